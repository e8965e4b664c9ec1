"""The command line of `scripts/mutate`."""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from math import inf, isinf
from pathlib import Path
from typing import Final

from scripts.mutating.groups import Group, groups
from scripts.mutating.modules import (
    NoSuchBase,
    all_modules,
    changed_modules,
    module_of,
)
from scripts.mutating.tally import Tally, tally, together

SHARE_MIN: Final = 0.9
"""The part of the mutants that the tests must notice."""
CHANGED_MINUTES_MAX: Final = 2.0
"""Minutes that changed modules are tried for: the tests of a change wait for it."""
_STOPPING_S: Final = 60
_FAILED: Final = 1
_WRONG_USE: Final = 2
_INTERRUPTED: Final = 130
_MUTMUT: Final = Path(sys.executable).with_name("mutmut").absolute()


class RunFailed(Exception):
    """mutmut itself did not get through."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 when nine tenths of the mutants that were tried were noticed."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    # Ignored by what was started in the background, and by all that it starts in turn.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    modules = all_modules()
    if unknown := sorted(set(chosen.module) - set(modules)):
        parser.error(f"no module of meshbox/core: {', '.join(unknown)}")
    try:
        if chosen.show:
            (group,) = groups([module_of(chosen.show)])
            sys.stdout.write(_mutmut(group, "show", chosen.show))
            return 0
        if chosen.changed is not None:
            modules = changed_modules(chosen.changed or None)
        modules = chosen.module or modules
        if not chosen.report:
            minutes = chosen.minutes or (CHANGED_MINUTES_MAX if chosen.changed is not None else inf)
            _run(groups(modules), until_s=time.monotonic() + 60 * minutes)
        return _tell(modules)
    except (NoSuchBase, RunFailed) as error:
        sys.stderr.write(f"scripts/mutate: {error}\n")
        return _WRONG_USE
    except KeyboardInterrupt:
        return _INTERRUPTED


def _run(chosen: Sequence[Group], *, until_s: float) -> None:
    """Tries all mutants of one group after the other, anew, until time is up."""
    for group in chosen:
        left_s = until_s - time.monotonic()
        shutil.rmtree(group.folder, ignore_errors=True)
        if left_s > 0:
            sys.stderr.write(f"{group.name}, by {' '.join(group.tests)}\n")
            group.prepare()
            _try(group, seconds_max=None if isinf(left_s) else left_s)


def _try(group: Group, *, seconds_max: float | None) -> None:
    log = group.folder / "mutmut.log"
    with (
        log.open("wb") as written,
        subprocess.Popen(  # noqa: S603 - our own command
            [_MUTMUT, "run"], cwd=group.folder, stdout=written, stderr=subprocess.STDOUT
        ) as running,
    ):
        try:
            if status := running.wait(seconds_max):
                raise RunFailed(f"mutmut ended with status {status}: {log}")
        except (subprocess.TimeoutExpired, KeyboardInterrupt) as stopped:
            running.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                running.wait(_STOPPING_S)
            running.kill()  # does nothing when it has ended
            if isinstance(stopped, KeyboardInterrupt):
                raise


def _mutmut(group: Group, *arguments: str) -> str:
    """What it says of the last run of a group; nothing when that was not run."""
    if not group.folder.exists():
        return ""
    done = subprocess.run(  # noqa: S603 - our own command
        [_MUTMUT, *arguments], cwd=group.folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RunFailed(f"mutmut {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def _tell(modules: Sequence[str]) -> int:
    listed = [_mutmut(group, "results", "--all", "true") for group in groups(modules)]
    tallies = tally("\n".join(listed).splitlines(), modules)
    whole = together(tallies.values())
    lines = [_line(module, one) for module, one in sorted(tallies.items())]
    sys.stdout.write("\n".join([*whole.survivors, *lines, _line("together", whole)]) + "\n")
    return 0 if whole.share >= SHARE_MIN else _FAILED


def _line(name: str, told: Tally) -> str:
    if not told.tried:
        return f"{name:<22} none tried"
    rest = told.all - told.tried
    score = f"{told.killed} of {told.tried} killed, {100 * told.share:.1f} %"
    return f"{name:<22} {score}" + (f"; {rest} not tried" if rest else "")


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
