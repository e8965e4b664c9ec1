"""Which modules of meshbox/core a run is about."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

CORE: Final = Path("meshbox/core")


class NoSuchBase(Exception):
    """Git does not know what to compare with."""


def all_modules() -> list[str]:
    """`ranges`, `session/pages`, … in the order of their names; not those without a function, such
    as the limits: mutmut finds nothing to change there, and calls that a failure."""
    return [module for module in _named(CORE.rglob("*.py")) if _has_functions(module)]


def changed_modules(base: str | None) -> list[str]:
    """Those that differ from where this branch left `base`, committed or not.

    None: from `main`; where that is where we are, from the commit before. `NoSuchBase` where git
    lacks it.
    """
    start = _git("merge-base", "HEAD", base or "main")
    if base is None and start == _git("rev-parse", "HEAD"):
        start = "HEAD^"
    differing = _git("diff", "--name-only", "--diff-filter=d", start, "--", str(CORE))
    changed = _named(Path(line) for line in differing.splitlines())
    return [module for module in changed if _has_functions(module)]


def module_of(mutant: str) -> str:
    """The module of a mutant, by mutmut's name of it: `meshbox.core.ranges.x_union__mutmut_1`."""
    return mutant.removeprefix("meshbox.core.").rpartition(".")[0].replace(".", "/")


def _has_functions(module: str) -> bool:
    source = (CORE / module).with_suffix(".py").read_text(encoding="utf-8")
    return any(isinstance(node, ast.FunctionDef) for node in ast.walk(ast.parse(source)))


def _named(paths: Iterable[Path]) -> list[str]:
    within = (path.relative_to(CORE).with_suffix("") for path in paths if path.suffix == ".py")
    return sorted(path.as_posix() for path in within if path.name != "__init__")


def _git(*arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 - a developer's own arguments
        ["git", *arguments],  # noqa: S607 - the user's own
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NoSuchBase(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()
