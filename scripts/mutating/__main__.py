"""The command line of `scripts/mutate`."""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from scripts.mutating.modules import NoSuchBase, all_modules, changed_modules, pattern
from scripts.mutating.tally import Tally, tally, together

SHARE_MIN: Final = 0.9
"""The part of the mutants that the tests must notice."""
CHANGED_MINUTES_MAX: Final = 5.0
"""Minutes that changed modules are tried for: the tests of a change wait for it."""
_STOPPING_S: Final = 60
_FAILED: Final = 1
_WRONG_USE: Final = 2
_INTERRUPTED: Final = 130
_OUT: Final = Path("mutants")
_MUTMUT: Final = Path(sys.executable).with_name("mutmut")


class RunFailed(Exception):
    """mutmut itself did not get through."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 when nine tenths of the mutants that were tried were noticed."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.show:
        return subprocess.run(  # noqa: S603 - what a developer asks for
            [_MUTMUT, "show", chosen.show], check=False
        ).returncode
    modules = all_modules()
    if unknown := sorted(set(chosen.module) - set(modules)):
        parser.error(f"no module of meshbox/core: {', '.join(unknown)}")
    # Ignored by what was started in the background, and by all that it starts in turn.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if chosen.changed is not None:
            modules = changed_modules(chosen.changed or None)
        modules = chosen.module or modules
        if not chosen.report and modules:
            minutes = chosen.minutes or (chosen.changed is not None and CHANGED_MINUTES_MAX)
            _run(modules, seconds_max=60 * minutes or None)
        return _tell(tally(_results(), modules) if modules else {})
    except (NoSuchBase, RunFailed) as error:
        sys.stderr.write(f"scripts/mutate: {error}\n")
        return _WRONG_USE
    except KeyboardInterrupt:
        return _INTERRUPTED


def _run(modules: Sequence[str], *, seconds_max: float | None) -> None:
    """Tries all mutants of `modules`, those with the quickest tests first, until time is up."""
    # Which tests reach a function is looked up anew: mutmut keeps that of tests that changed.
    shutil.rmtree(_OUT / "tests", ignore_errors=True)
    (_OUT / "mutmut-stats.json").unlink(missing_ok=True)
    for module in modules:  # an outcome of an earlier run is none of this one
        (_OUT / f"meshbox/core/{module}.py").unlink(missing_ok=True)
        (_OUT / f"meshbox/core/{module}.py.meta").unlink(missing_ok=True)
    with subprocess.Popen(  # noqa: S603 - names of our own files
        [_MUTMUT, "run", *map(pattern, modules)], stdout=sys.stderr
    ) as running:
        try:
            status = running.wait(seconds_max)
        except (subprocess.TimeoutExpired, KeyboardInterrupt) as stopped:
            running.send_signal(signal.SIGINT)
            status = running.wait(_STOPPING_S)
            if isinstance(stopped, KeyboardInterrupt):
                raise
    if status:
        raise RunFailed(f"mutmut run ended with status {status}")


def _results() -> list[str]:
    if not _OUT.exists():
        raise RunFailed("nothing was run yet: scripts/mutate")
    listed = subprocess.run(  # noqa: S603 - our own command
        [_MUTMUT, "results", "--all", "true"], check=True, capture_output=True, text=True
    )
    return listed.stdout.splitlines()


def _tell(tallies: dict[str, Tally]) -> int:
    whole = together(tallies.values())
    lines = [_line(module, one) for module, one in sorted(tallies.items())]
    sys.stdout.write("\n".join([*whole.survivors, *lines, _line("together", whole)]) + "\n")
    return 0 if whole.share >= SHARE_MIN else _FAILED


def _line(name: str, told: Tally) -> str:
    parts = f"{told.killed} of {told.tried} killed, {100 * told.share:.1f} %"
    rest = told.all - told.tried
    return f"{name:<22} {parts}" + (f"; {rest} not tried" if rest else "")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/mutate",
        description="Changes meshbox/core in small ways, one at a time, and runs the tests of "
        "tests/core that reach each change. Prints the changes that no test notices, and the score "
        "of each module; exit status 1 below 90 %. It has a processor's idle time.",
    )
    parser.add_argument("module", nargs="*", help="ranges, session/pages, …; all without")
    parser.add_argument(
        "--changed",
        nargs="?",
        const="",
        metavar="BASE",
        help="only modules that differ from BASE (main; on main the commit before), "
        f"for {CHANGED_MINUTES_MAX:g} minutes",
    )
    parser.add_argument("--minutes", type=float, metavar="N", help="stop after so many minutes")
    parser.add_argument("--report", action="store_true", help="only tell of the last run")
    parser.add_argument("--show", metavar="MUTANT", help="the change that a mutant is")
    return parser


if __name__ == "__main__":
    sys.exit(main())
