"""Events: what happens between machines."""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.network import DELAY_MS
from tests.simulation.schedule import Ends, Event
from tests.simulation.world import World


@dataclass(frozen=True, slots=True)
class Cuts(Event):
    """All streams of a link are reset, when `frames` more have passed."""

    link: Ends
    frames: int = 0

    async def happen(self, world: World) -> None:
        link = world.link(self.link)
        if self.frames:
            link.frames_left = self.frames
        else:
            link.cut()


@dataclass(frozen=True, slots=True)
class Parts(Event):
    """Nothing passes between two nodes for a while, and nobody is told."""

    link: Ends
    for_s: float

    async def happen(self, world: World) -> None:
        link = world.link(self.link)
        link.go_down()
        world.later(self.for_s, link.come_up)


@dataclass(frozen=True, slots=True)
class Slows(Event):
    """Every frame of a link takes long for a while."""

    link: Ends
    delay_ms: float
    for_s: float

    async def happen(self, world: World) -> None:
        link = world.link(self.link)
        link.delay_ms = (self.delay_ms / 2, self.delay_ms)

        def hasten() -> None:
            link.delay_ms = DELAY_MS

        world.later(self.for_s, hasten)


@dataclass(frozen=True, slots=True)
class Meets(Event):
    """Two nodes hear of each other."""

    link: Ends

    async def happen(self, world: World) -> None:
        world.meet(self.link)


@dataclass(frozen=True, slots=True)
class Leaves(Event):
    """Two nodes hear no more of each other."""

    link: Ends

    async def happen(self, world: World) -> None:
        one, other = (world.machine(end) for end in self.link)
        one.forgets(other)
        other.forgets(one)
