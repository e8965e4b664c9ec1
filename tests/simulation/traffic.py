"""Events: what phones do, and what passes by itself."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

from meshbox.core.errors import MeshboxError
from meshbox.core.ids import BlobClass
from meshbox.core.ranges import SeqRanges
from meshbox.mailbox.sweeping import sweep
from tests.simulation.bringing import Bringing, deposit
from tests.simulation.node import Process
from tests.simulation.plots import PLOTS
from tests.simulation.schedule import Event
from tests.simulation.stranger import harassing
from tests.simulation.world import World


@dataclass(frozen=True, slots=True)
class Deposits(Event):
    """A phone brings blobs to a mailbox."""

    node: int
    log: int
    seqs: SeqRanges
    blob_class: BlobClass = BlobClass.OPAQUE
    variant: int = 0
    size_bytes: int = 40

    @property
    def is_fault(self) -> bool:
        return False

    async def happen(self, world: World) -> None:
        what = Bringing(self.log, self.seqs, self.blob_class, self.variant, self.size_bytes)
        world.begin(deposit(world.machine(self.node), what, world.truth))


@dataclass(frozen=True, slots=True)
class Polls(Event):
    """A phone asks a mailbox for what is new, and may bring what that misses."""

    phone: int
    node: int
    uploads: bool = False

    @property
    def is_fault(self) -> bool:
        return False

    async def happen(self, world: World) -> None:
        phone = world.phones[self.phone % len(world.phones)]
        machine = world.machine(self.node)

        async def poll() -> None:
            await phone.poll(machine, uploads=self.uploads)

        world.begin(poll())


@dataclass(frozen=True, slots=True)
class Harasses(Event):
    """A stranger visits a node, and misbehaves (stranger.py)."""

    node: int
    speech: int
    answer: int

    async def happen(self, world: World) -> None:
        machine = world.machine(self.node)
        world.begin(world.visit(machine, harassing(self.speech, self.answer)))


@dataclass(frozen=True, slots=True)
class Deceives(Event):
    """Strangers meet a node one after another, and have it in for it (plots.py)."""

    node: int
    plot: int

    async def happen(self, world: World) -> None:
        machine = world.machine(self.node)
        for turn, manner in enumerate(PLOTS[self.plot % len(PLOTS)]):
            world.later(turn * 0.5, partial(world.visit, machine, manner))


@dataclass(frozen=True, slots=True)
class Sweeps(Event):
    """A node frees what is due."""

    node: int

    async def happen(self, world: World) -> None:
        process = world.machine(self.node).process
        if process is not None:
            world.begin(_sweep(process))


@dataclass(frozen=True, slots=True)
class Passes(Event):
    """Nothing happens for hours or days: every link is cut, and all clocks go on."""

    passed_ms: int

    async def happen(self, world: World) -> None:
        for link in world.network.links.values():
            link.cut()
        world.time.leap(self.passed_ms)


async def _sweep(process: Process) -> None:
    await asyncio.wait([process.owner.start(_swept(process))])


async def _swept(process: Process) -> None:
    try:
        await sweep(process.store)
    except MeshboxError:
        """The disk failed: the process is of no use until it is started anew."""
