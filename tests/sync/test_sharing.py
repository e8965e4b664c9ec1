"""Nodes of one LAN share a way out: a blob crosses it once, and when its carrier fails another
takes over."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from meshbox.sync.peers import INTERNET
from tests.sync.nodes import MemoryDisk, Node, Wire, equal, joined, running
from tests.waiting import eventually

TAKEN_OVER_S_MAX = 10.0
LOGS = 30


@asynccontextmanager
async def islanders() -> AsyncIterator[tuple[Node, Node, Node]]:
    """Two gateways on one LAN that share the way to a third node."""
    async with running(MemoryDisk()) as far:
        how = {"ways_out": [far.node_id]}
        async with running(MemoryDisk(), **how) as a, running(MemoryDisk(), **how) as b:
            a.knows(b)
            b.knows(a)
            await joined(a, b)
            yield far, a, b


def brought(by: Node, from_: Node) -> int:
    """Blobs that a node got from another."""
    told = by.peer(from_)
    return told.blobs_in if told else 0


def twice(*nodes: Node) -> int:
    return sum(peer.duplicates_in for node in nodes for peer in node.service.peers())


async def test_in_quiet_a_blob_crosses_once_in_both_directions() -> None:
    async with islanders() as (far, a, b):
        for gateway in (a, b):
            gateway.knows(far, source=INTERNET)
        await joined(far, a, b)
        for number in range(LOGS):
            await far.put(range(2), author=f"there {number}")
            await (a if number % 2 else b).put(range(2), author=f"here {number}")
            await equal(far, a, b)
        carried = [brought(gateway, far) for gateway in (a, b)]
        assert sum(carried) == 2 * LOGS
        assert all(carried)
        assert brought(far, a) + brought(far, b) == 2 * LOGS
        assert twice(far, a, b) == 0


@pytest.mark.slow
async def test_one_whose_line_hangs_is_replaced() -> None:
    async with islanders() as (far, a, b), Wire(far.endpoint) as line:
        a.knows(far, via=line.endpoint, source=INTERNET)
        b.knows(far, source=INTERNET)
        await joined(far, a, b)
        line.freeze()
        began_s = time.monotonic()
        for number in range(LOGS):
            await far.put(range(1), author=f"there {number}")
            await a.put(range(1), author=f"here {number}")
        await equal(far, a, b)
        assert time.monotonic() - began_s < TAKEN_OVER_S_MAX


async def test_one_that_goes_is_replaced() -> None:
    async with islanders() as (far, a, b):
        for gateway in (a, b):
            gateway.knows(far, source=INTERNET)
        await joined(far, a, b)
        await a.stop()
        began_s = time.monotonic()
        for number in range(LOGS):
            await far.put(range(1), author=f"there {number}")
            await b.put(range(1), author=f"here {number}")
        await equal(far, b)
        assert time.monotonic() - began_s < TAKEN_OVER_S_MAX


@pytest.mark.slow
async def test_one_that_says_it_has_the_way_and_carries_nothing_is_soon_not_waited_for() -> None:
    async with islanders() as (far, a, b):
        b.knows(far, source=INTERNET)
        await joined(far, b)
        began_s = time.monotonic()
        for number in range(LOGS):
            await far.put(range(1), author=f"there {number}")
        await equal(far, a, b)
        assert 2.5 < time.monotonic() - began_s < TAKEN_OVER_S_MAX
        began_s = time.monotonic()
        for number in range(LOGS):
            await far.put(range(1), author=f"then {number}")
        await equal(far, a, b)
        assert time.monotonic() - began_s < 2.5


async def test_what_a_far_node_says_of_its_ways_out_is_no_reason_to_wait() -> None:
    async with running(MemoryDisk()) as far:
        how = {"ways_out": [far.node_id]}
        async with running(MemoryDisk(), **how) as a, running(MemoryDisk(), **how) as b:
            a.knows(b, source=INTERNET)
            a.knows(far, source=INTERNET)
            await eventually(lambda: a.connected(b) and a.connected(far))
            assert a.service.ways_out.by_name[far.node_id]._sharing == frozenset()
