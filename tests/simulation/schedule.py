"""A schedule: what happens to a mesh, and when. A value, drawn from one seed, that can be cut down.

What is not in the schedule (delays, nonces) is drawn by each part from a source of its own, named
by the seed and the part: so an event can be left out without all others changing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.world import World

Ends = tuple[int, int]
"""Two nodes, by number."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens `at_s` seconds after the world began.

    Nodes, phones and logs are named by numbers; one that does not exist stands for another.
    """

    at_s: float

    @property
    def is_fault(self) -> bool:
        """Whether anything may be repeated because of it."""
        return True

    @property
    def limits_room(self) -> bool:
        """Whether a node may be short of room because of it."""
        return False

    async def happen(self, world: World) -> None:
        """Does it. What takes time goes on by itself."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Schedule:
    """One run."""

    seed: int
    nodes: int
    links: tuple[Ends, ...]
    """Who knows whom from the beginning, and at the end: all are connected."""
    events: tuple[Event, ...]
    """In the order of their times."""
    way_out: bool = False
    """Whether the others have node 0 as their way out, which they share."""

    @property
    def is_calm(self) -> bool:
        """Whether nothing goes wrong."""
        return not any(event.is_fault for event in self.events)

    @property
    def limits_room(self) -> bool:
        """Whether any node may be short of room."""
        return any(event.limits_room for event in self.events)
