"""Plays a schedule: its events one after another, then the end of all faults.

    events ──▶ faults end ──▶ all equal, within `SETTLED_S` ──▶ nothing more is said

Where there is little room, all come to rest with it first, and become equal once it is lifted.
The checks run all the while: at each answer of a store, at each poll, and after each event.
"""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

from tests.simulation.loop import Deadlock, VirtualLoop
from tests.simulation.schedule import Schedule
from tests.simulation.small import small_limits
from tests.simulation.world import World

SETTLED_S: Final = 90.0
"""Seconds after the faults within which all are equal: several of the longest time-outs."""
LOOK_S: Final = 0.25
QUIET_S: Final = 4.0
"""Seconds without a word that are taken for the end: longer than whoever waits for another."""

POLL_S: Final = 2.0
REST_S: Final = 15.0
"""Seconds without anything new that are taken for the end where there is little room: longer than
a mailbox takes to let more of what went for room come back."""


class Report(NamedTuple):
    """How a run ended."""

    broken: tuple[str, ...]
    """Promises that were broken; none is what is wanted."""
    frames: int
    blobs: int
    """Kept at the end, by all nodes together."""
    settled_s: float
    """Seconds from the end of the faults until all were equal."""


def play(schedule: Schedule) -> Report:
    """One run, to its end or to the first broken promise."""
    loop = VirtualLoop()
    try:
        with small_limits():
            return loop.run_until_complete(_play(schedule, loop))
    except Deadlock as error:
        return Report((str(error),), 0, 0, 0.0)
    finally:
        loop.end()


async def _play(schedule: Schedule, loop: VirtualLoop) -> Report:
    world = World(schedule)
    await world.open()
    for event in schedule.events:
        await asyncio.sleep(event.at_s - loop.time())
        await event.happen(world)
        world.audit()
        if world.truth.broken:
            return _report(world, loop, 0.0)
    await world.finish()
    await world.heal()
    world.truth.is_at_rest = True
    began_s = loop.time()
    if schedule.limits_room:
        await _become_equal(world, until_s=began_s + SETTLED_S)
        await _come_to_rest(world, until_s=began_s + 2 * SETTLED_S)
        world.lift_limits()
        began_s = loop.time()
    await _become_equal(world, until_s=began_s + SETTLED_S)
    settled_s = loop.time() - began_s
    if schedule.limits_room:
        await _come_to_rest(world, until_s=began_s + 2 * SETTLED_S)
        await _become_equal(world, until_s=loop.time())
    elif not world.truth.broken:
        await _become_quiet(world, until_s=began_s + 2 * SETTLED_S)
    _check_wants_nothing(world)
    return _report(world, loop, settled_s)


async def _become_equal(world: World, *, until_s: float) -> None:
    loop = asyncio.get_running_loop()
    while found := world.unconnected() + world.differences():
        if loop.time() > until_s:
            world.truth.breaks("never equal", "; ".join(found[:3]))
        if world.truth.broken:
            return
        await asyncio.sleep(LOOK_S)
        world.audit()


async def _become_quiet(world: World, *, until_s: float) -> None:
    """Who is equal has nothing to say in the end, and wants nothing."""
    loop = asyncio.get_running_loop()
    said = -1
    while said != world.network.frames:
        if loop.time() > until_s:
            world.truth.breaks("never quiet", f"{world.network.frames} frames and no end")
            return
        said = world.network.frames
        await asyncio.sleep(QUIET_S)
    world.audit()


async def _come_to_rest(world: World, *, until_s: float) -> None:
    """Phones upload what mailboxes miss, until for `REST_S` nothing moves any more."""
    loop = asyncio.get_running_loop()
    rested_s = loop.time()
    seen: tuple[int, int] | None = None
    moved = 0
    while not world.truth.broken and loop.time() < rested_s + REST_S:
        if seen != world.progress or moved:
            moved, seen = await world.poll_all(), world.progress
            rested_s = loop.time()
            world.audit()
        if loop.time() > until_s:
            world.truth.breaks("never at rest", f"{world.network.frames} frames and no end")
        await asyncio.sleep(POLL_S)


def _check_wants_nothing(world: World) -> None:
    for machine in world.machines:
        if machine.process is not None and machine.process.sync.ledger._logs:
            world.truth.breaks("wanted for ever", f"at {machine.name}")


def _report(world: World, loop: VirtualLoop, settled_s: float) -> Report:
    blobs = sum(len(machine.watch.book.kept) for machine in world.machines)
    broken = (*world.truth.broken, *loop.faults)
    return Report(broken, world.network.frames, blobs, settled_s)
