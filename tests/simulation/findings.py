"""What a seed that fails says: how to repeat it, and the least that it takes."""

from __future__ import annotations

from typing import NamedTuple

from tests.simulation.drawing import draw
from tests.simulation.playing import Report, play
from tests.simulation.schedule import Event, Schedule
from tests.simulation.shrinking import kept_of, shrink


class Finding(NamedTuple):
    """A broken promise."""

    seed: int
    broken: tuple[str, ...]
    command: str
    """Repeats it."""
    events: tuple[Event, ...]
    """The least that it takes."""

    def __str__(self) -> str:
        events = "\n".join(f"    {event}" for event in self.events)
        broken = "\n".join(f"    {promise}" for promise in self.broken[:5])
        return f"seed {self.seed} breaks\n{broken}\nby\n{events}\nrepeat it: {self.command}"


def look_into(seed: int, report: Report, *, runs_max: int = 300) -> Finding:
    """Shrinks the schedule of a seed that failed."""
    kind = _kind(report)

    def fails(schedule: Schedule) -> bool:
        return _kind(play(schedule)) == kind

    schedule = draw(seed)
    shrunk = shrink(schedule, fails, runs_max=runs_max)
    only = ",".join(map(str, kept_of(schedule, shrunk)))
    command = f"scripts/simulate --seed {seed} --only {only}"
    return Finding(seed, play(shrunk).broken, command, shrunk.events)


def _kind(report: Report) -> str | None:
    """Which promise was broken first."""
    return report.broken[0].partition(":")[0] if report.broken else None
