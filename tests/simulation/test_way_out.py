"""Nodes that share a way out: what is new there crosses it once, though each could bring it, and
what one of them fails to bring another brings within 10 s."""

from __future__ import annotations

import asyncio

import pytest

from meshbox.core.ranges import SeqRanges
from tests.simulation.links import Parts
from tests.simulation.loop import VirtualLoop
from tests.simulation.schedule import Event, Schedule
from tests.simulation.traffic import Deposits
from tests.simulation.world import World

LOGS = 12
ONE = SeqRanges.of(0, 1)
TAKEN_OVER_S = 10.0
_LOOK_S = 0.1


def brought(*events: Event, gateways: int, way_out: bool = True) -> tuple[int, float]:
    """What the far node gave when something new came there every second, and all have it; and the
    longest that it took from then to be everywhere."""
    nodes = gateways + 1
    links = tuple((b, a) for b in range(nodes) for a in range(b))
    deposits = [Deposits(1.0 + log, 0, log, ONE) for log in range(LOGS)]
    happening = sorted((*deposits, *events), key=lambda event: event.at_s)
    loop = VirtualLoop()
    try:
        schedule = Schedule(1, nodes, links, tuple(happening), way_out)
        return loop.run_until_complete(_brought(schedule, loop))
    finally:
        loop.end()


async def _brought(schedule: Schedule, loop: VirtualLoop) -> tuple[int, float]:
    world = World(schedule)
    await world.open()
    for event in schedule.events:
        await asyncio.sleep(event.at_s - loop.time())
        await event.happen(world)
    began_s = loop.time()
    await asyncio.sleep(_LOOK_S)  # The last one is stored.
    while world.differences():
        await asyncio.sleep(_LOOK_S)
    took_s = loop.time() - began_s
    far = world.machines[0].process
    assert far is not None
    assert world.truth.broken == []
    return sum(peer.blobs_out for peer in far.sync.peers()), took_s


@pytest.mark.parametrize("gateways", [2, 4])
def test_what_is_new_crosses_once_however_many_could_bring_it(gateways: int) -> None:
    crossed, took_s = brought(gateways=gateways)
    assert crossed == LOGS
    assert took_s < 1.0
    assert brought(gateways=gateways, way_out=False)[0] > LOGS


@pytest.mark.parametrize("gateway", [1, 2])
def test_one_whose_line_is_dead_is_not_waited_for_long(gateway: int) -> None:
    crossed, took_s = brought(Parts(3.5, (gateway, 0), 60.0), gateways=2)
    assert crossed == LOGS
    assert took_s < TAKEN_OVER_S
