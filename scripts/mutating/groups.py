"""What is mutated in one go, by which tests: a module and its own, all of core/session and its.

A switch in every function of core would make each test several times as slow, so only the modules
of a group have them; and each module is to be tested by its own tests, not by those of all others.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SESSION: Final = "session/"
_TESTS: Final = Path("tests/core")
_ALL: Final = '["meshbox/core/*"]'
_ALL_TESTS: Final = '["tests/core"]'
_LINKED: Final = ("meshbox", "scripts", "tests")


@dataclass(frozen=True, slots=True)
class Group:
    """Modules that are mutated together."""

    name: str
    modules: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Where mutmut works and keeps what it found."""
        return Path("mutants") / self.name

    @property
    def tests(self) -> list[str]:
        """Those that must notice."""
        if self.name == "session":
            return [f"{_TESTS}/session", f"{_TESTS}/test_session.py"]
        own = (*_TESTS.glob(f"test_{self.name}.py"), *_TESTS.glob(f"test_{self.name}_*.py"))
        return sorted(map(str, own)) or [str(_TESTS)]

    def prepare(self) -> None:
        """The folder as mutmut wants to find a project: this tree, with settings of the group."""
        self.folder.mkdir(parents=True)
        for name in _LINKED:
            (self.folder / name).symlink_to(Path(name).resolve())
        settings = Path("pyproject.toml").read_text(encoding="utf-8")
        files = [f"meshbox/core/{module}.py" for module in self.modules]
        for all_of_it, chosen in ((_ALL, files), (_ALL_TESTS, self.tests)):
            assert settings.count(all_of_it) == 1
            settings = settings.replace(all_of_it, json.dumps(chosen))
        (self.folder / "pyproject.toml").write_text(settings, encoding="utf-8")


def groups(modules: Iterable[str]) -> list[Group]:
    """The groups of `modules`, those with the quickest tests first."""
    chosen: Sequence[str] = sorted(modules)
    session = tuple(module for module in chosen if module.startswith(_SESSION))
    single = [Group(module, (module,)) for module in chosen if module not in session]
    return [*single, Group("session", session)] if session else single
