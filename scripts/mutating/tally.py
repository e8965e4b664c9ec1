"""What became of the mutants, from the lines of `mutmut results`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from scripts.mutating.modules import module_of

_FOUND: Final = frozenset({"killed", "timeout", "segfault", "caught by type check"})
"""A mutant that makes a test fail, hang or crash was noticed."""
_NOT_TRIED: Final = frozenset({"not checked", "skipped", "check was interrupted by user"})


@dataclass(slots=True)
class Tally:
    """The mutants of one module, or of several."""

    outcomes: Counter[str] = field(default_factory=Counter)
    survivors: list[str] = field(default_factory=list)
    """Mutants that were tried and not noticed, by mutmut's name."""

    def add(self, mutant: str, status: str) -> None:
        """Counts one mutant."""
        self.outcomes[status] += 1
        if status not in _FOUND | _NOT_TRIED:
            self.survivors.append(mutant)

    @property
    def all(self) -> int:
        """How many there are."""
        return self.outcomes.total()

    @property
    def killed(self) -> int:
        """How many were noticed."""
        return sum(self.outcomes[status] for status in _FOUND)

    @property
    def tried(self) -> int:
        """How many the tests were run against."""
        return self.killed + len(self.survivors)

    @property
    def share(self) -> float:
        """The part of those tried that was noticed; 1 of none."""
        return self.killed / self.tried if self.tried else 1.0


def tally(lines: Iterable[str], modules: Iterable[str]) -> dict[str, Tally]:
    """By module, what `mutmut results --all true` says of those `modules`; none without mutants."""
    chosen = frozenset(modules)
    tallies: dict[str, Tally] = {}
    for line in lines:
        mutant, colon, status = line.strip().rpartition(": ")
        module = module_of(mutant)
        if colon and module in chosen:
            tallies.setdefault(module, Tally()).add(mutant, status)
    return tallies


def together(tallies: Iterable[Tally]) -> Tally:
    """All of them as one."""
    whole = Tally()
    for one in tallies:
        whole.outcomes += one.outcomes
        whole.survivors += one.survivors
    return whole
