"""The shortest part of a schedule that still breaks a promise of the same kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.simulation.schedule import Event, Schedule

Fails = Callable[[Schedule], bool]


def shrink(schedule: Schedule, fails: Fails, *, runs_max: int = 400) -> Schedule:
    """`schedule` without the events that it does not take to fail; at most `runs_max` runs.

    Leaves out ever smaller stretches as long as it `fails`, as delta debugging does.
    """
    left = runs_max
    events = schedule.events
    size = len(events) // 2
    while size and left > 0:
        at = 0
        while at < len(events) and left > 0:
            shorter = events[:at] + events[at + size :]
            left -= 1
            if fails(replace(schedule, events=shorter)):
                events = shorter
            else:
                at += size
        size = min(size // 2, len(events))
    return replace(schedule, events=events)


def kept_of(schedule: Schedule, shrunk: Schedule) -> list[int]:
    """The places in `schedule` of the events that are left in `shrunk`."""
    left: list[Event] = list(shrunk.events)
    places: list[int] = []
    for place, event in enumerate(schedule.events):
        if left and event is left[0]:
            places.append(place)
            left.pop(0)
    return places
