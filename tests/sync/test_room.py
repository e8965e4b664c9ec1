"""Room and sync: what a full node passes settles, and comes when there is room again."""

from __future__ import annotations

import asyncio

from meshbox.core.errors import RoomReturned
from meshbox.core.room import Allocation
from meshbox.mailbox.sweeping import keep_room
from tests.contract.material import DAY_MS, log_of
from tests.sync.conftest import NewDisk
from tests.sync.nodes import MemoryDisk, Node, content_of_store, joined, running
from tests.waiting import a_while, eventually

SIZE = 1_000
FULL = Allocation(30_000)
ROOMY = Allocation(200_000)


async def held(node: Node, author: str) -> int:
    (record,) = await node.store.logs([log_of(author)])
    return record.blobs if record else 0


def offered_all(node: Node, to: Node) -> bool:
    """Whether the other settled all of the node's feed."""
    peer = node.service._peers.get(to.node_id)
    return peer is not None and peer.runner is not None and peer.runner.session.is_settled


def make_roomy(node: Node) -> None:
    """The operator allows more, while the node runs."""
    node.store._disk._allocation = ROOMY


async def test_what_was_passed_comes_when_there_is_room_again(new_disk: NewDisk) -> None:
    async with running(new_disk()) as a, running(new_disk(), allocation=FULL) as b:
        await a.put(range(20), author="old", size_bytes=SIZE)
        a.clock.advance(DAY_MS)
        for first in range(0, 40, 10):
            await b.put(range(first, first + 10), author="new", size_bytes=SIZE)
        assert b.store.floor is not None
        a.knows(b)
        await joined(a, b)
        await eventually(lambda: offered_all(a, b))
        assert await held(b, "old") == 0
        cursors = await b.store.cursors(a.node_id)
        make_roomy(b)
        await keep_room(b.store)
        assert await b.store.cursors(a.node_id) != cursors
        async with asyncio.timeout(20):
            while await held(b, "old") < 20:
                await b.store.wait_beyond(b.store.durable_change)
        assert {"reason": RoomReturned.code} in [
            {"reason": fields["reason"]} for fields in b.seen("peer.ended")
        ]


async def test_what_went_comes_back_by_name_within_the_session(new_disk: NewDisk) -> None:
    async with running(new_disk()) as a, running(new_disk(), allocation=FULL) as b:
        for node in (a, b):
            await node.put(range(15), author="old", size_bytes=SIZE)
        a.knows(b)
        await joined(a, b)
        for node in (a, b):
            node.clock.advance(DAY_MS)
        await b.put(range(20), author="new", size_bytes=SIZE)
        gone = 15 - await held(b, "old")
        assert gone > 5
        async with asyncio.timeout(20):
            while await held(a, "new") < 20:
                await a.store.wait_beyond(a.store.durable_change)
        make_roomy(b)
        await keep_room(b.store)
        async with asyncio.timeout(20):
            while await held(b, "old") < 15:
                await b.store.wait_beyond(b.store.durable_change)
        assert not b.seen("peer.ended")
        assert await content_of_store(a.store) == await content_of_store(b.store)


async def test_two_full_nodes_come_to_rest() -> None:
    """A peer's offers never become a loop: what went is not wanted again while there is no room."""
    a_disk, b_disk = MemoryDisk(), MemoryDisk()
    async with running(a_disk, allocation=FULL) as a, running(b_disk, allocation=FULL) as b:
        a.knows(b)
        await joined(a, b)
        for at in range(6):
            await a.put(range(at * 10, at * 10 + 10), author="of a", size_bytes=SIZE)
            await b.put(range(at * 10, at * 10 + 10), author="of b", size_bytes=SIZE)
        await eventually(lambda: offered_all(a, b) and offered_all(b, a))
        evicted = [(await node.store.statistics()).evicted for node in (a, b)]
        for node in (a, b):
            await keep_room(node.store)
        await a_while(0.5)
        assert [(await node.store.statistics()).evicted for node in (a, b)] == evicted
        for node in (a, b):
            assert (await node.store.statistics()).footprint_bytes <= 30_000
