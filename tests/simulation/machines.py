"""Events: what happens to a machine, its disk and its clock."""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.disk import SYNC_MS
from tests.simulation.schedule import Event
from tests.simulation.world import World


@dataclass(frozen=True, slots=True)
class Crashes(Event):
    """The power goes, and returns `off_s` later, with a wall clock that may be wrong."""

    node: int
    unsynced_kept: int
    off_s: float
    wall_wrong_ms: int = 0
    synchronised: bool = True

    async def happen(self, world: World) -> None:
        machine = world.machine(self.node)
        machine.crash(unsynced_kept=self.unsynced_kept)

        async def power_up() -> None:
            if machine.is_off:
                machine.clock.reboot(
                    wall_wrong_ms=self.wall_wrong_ms, synchronised=self.synchronised
                )
                await world.start(machine)

        world.later(self.off_s, power_up)


@dataclass(frozen=True, slots=True)
class Restarts(Event):
    """The node is stopped, and started again on the same machine."""

    node: int
    off_s: float

    async def happen(self, world: World) -> None:
        machine = world.machine(self.node)

        async def restart() -> None:
            await machine.stop()
            world.later(self.off_s, lambda: world.start(machine))

        world.later(0.0, restart)


@dataclass(frozen=True, slots=True)
class FailsDisk(Event):
    """The disk confirms nothing any more, until the machine is started anew."""

    node: int
    off_s: float

    async def happen(self, world: World) -> None:
        machine = world.machine(self.node)
        if machine.process is None:
            return
        machine.disk.fail()

        async def replace() -> None:
            machine.crash(unsynced_kept=0)
            await world.start(machine)

        world.later(self.off_s, replace)


@dataclass(frozen=True, slots=True)
class SlowsDisk(Event):
    """Every sync takes long for a while."""

    node: int
    sync_ms: float
    for_s: float

    async def happen(self, world: World) -> None:
        disk = world.machine(self.node).disk
        disk.sync_ms = (self.sync_ms / 2, self.sync_ms)

        def hasten() -> None:
            disk.sync_ms = SYNC_MS

        world.later(self.for_s, hasten)


@dataclass(frozen=True, slots=True)
class Starves(Event):
    """The machine has so little time for the node that it looks for frames and syncs only every
    `looks_s`, and finds at once what came since: as a loop does that is behind."""

    node: int
    looks_s: float
    for_s: float

    async def happen(self, world: World) -> None:
        machine = world.machine(self.node)
        links = world.network.links_of(machine.host)

        def look(every_s: float) -> None:
            machine.disk.looks_s = every_s
            for link in links:
                link.looks_s = every_s

        look(self.looks_s)
        world.later(self.for_s, lambda: look(0.0))


@dataclass(frozen=True, slots=True)
class Allows(Event):
    """From now on so much may be stored, whatever there is; None: no bound."""

    node: int
    capacity_bytes: int | None

    @property
    def limits_room(self) -> bool:
        return True

    async def happen(self, world: World) -> None:
        world.machine(self.node).allow(self.capacity_bytes)


@dataclass(frozen=True, slots=True)
class BacksUp(Event):
    """A copy of the disk is put aside."""

    node: int

    async def happen(self, world: World) -> None:
        world.back_up(world.machine(self.node))


@dataclass(frozen=True, slots=True)
class Restores(Event):
    """The disk is replaced by the copy that was put aside, if there is one."""

    node: int

    async def happen(self, world: World) -> None:
        await world.restore(world.machine(self.node))


@dataclass(frozen=True, slots=True)
class Clones(Event):
    """The folder is copied to another machine, which meets the peers of the first."""

    node: int

    async def happen(self, world: World) -> None:
        await world.clone(world.machine(self.node))


@dataclass(frozen=True, slots=True)
class SetsClock(Event):
    """The wall clock is set, or found right."""

    node: int
    wall_wrong_ms: int
    synchronised: bool

    async def happen(self, world: World) -> None:
        clock = world.machine(self.node).clock
        clock.set(wall_wrong_ms=self.wall_wrong_ms, synchronised=self.synchronised)
