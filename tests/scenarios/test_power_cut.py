"""Power cuts, clones and backups with three nodes: the schedules that storage has its rules for.

Each schedule is played with the rule, and again with just that rule taken out, where it must be
seen to do its harm: else the schedule would not test the rule.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest

from meshbox.core.errors import IdentityLost, MeshboxError, StoreFailed
from meshbox.core.limits import PAGE_LOGS_MAX, PAGES_UNSETTLED_MAX
from meshbox.identity.key import mint
from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.storage.interface import Deposit, Outcome
from tests.contract.material import blob, log_of, put, turns
from tests.contract.test_barrier import WithoutBarrier
from tests.contract.test_power import NeitherBarrierNorView
from tests.sync.nodes import MemoryDisk, Node, equal, joined
from tests.waiting import eventually

MOVED = "moves to the feed's end"
OTHERS = tuple(f"other {number}" for number in range(PAGE_LOGS_MAX * (PAGES_UNSETTLED_MAX + 2)))
WRITTEN = "written while the power goes"


class Three(NamedTuple):
    """C knows B and B knows A: what A has reaches C by B alone."""

    a: Node
    b: Node
    c: Node


@pytest.fixture
async def three() -> AsyncIterator[Three]:
    nodes = Three(Node(MemoryDisk()), Node(MemoryDisk()), Node(MemoryDisk()))
    for node in nodes:
        await node.start()
    try:
        yield nodes
    finally:
        for node in nodes:
            await node.stop()


async def in_a_line(three: Three) -> None:
    """A and B, and B and C, have a session."""
    three.b.knows(three.a)
    three.c.knows(three.b)
    await joined(three.a, three.b)
    await joined(three.b, three.c)


async def numbers(node: Node, author: str) -> set[int]:
    """What a node holds of a log."""
    return {seq for key, seq in await node.content() if key == log_of(author).key}


async def has(node: Node, author: str, seqs: set[int]) -> None:
    """Waits until a node holds just `seqs` of a log."""

    async def is_so() -> bool:
        return await numbers(node, author) == seqs

    await eventually(is_so)


async def with_store(node: Node, store_class: type[EmbeddedStore]) -> None:
    """From now on the node's store lacks a rule."""
    await node.stop()
    node.store_class = store_class
    await node.start()


async def proves_its_loss(node: Node) -> None:
    """A peer's cursor shows the node that it lost what it had told."""
    async with asyncio.timeout(10):
        failure: MeshboxError = await asyncio.shield(node.service.failed)
    assert isinstance(failure, IdentityLost)


# The read barrier.


class TakesOnePage(EmbeddedStore):
    """A store that settles one page and then is too slow for more."""

    pages = 0

    async def commit(self, deposit: Deposit) -> tuple[Outcome, ...]:
        if self.pages:
            await asyncio.Event().wait()
        outcomes = await super().commit(deposit)
        self.pages += len(deposit.cursors)
        return outcomes


async def cut_while_a_log_moves(three: Three) -> None:
    """A log is stored at A, then more logs than B settles, then the first log again: its entry
    leaves the feed's front for its end, which is not durable. B, which has a cursor from before,
    reads what A shows it, with the rule nothing. The power goes at A: the entry is in front again.
    """
    a, b, _ = three
    await a.put(range(1), author="known to all")
    await in_a_line(three)
    await equal(*three)
    await eventually(lambda: all(not r.session.pages_unsettled for r in a.service._runners))
    await b.stop()
    await a.put(range(1), author=MOVED)
    await put(a.store, *(blob(a.store, 0, log=log_of(author)) for author in OTHERS))
    assert isinstance(a.disk, MemoryDisk)
    a.disk.opened.hold_syncs()
    moving = asyncio.create_task(a.put(range(1, 2), author=MOVED))
    await turns()
    b.store_class = TakesOnePage
    await b.start()
    b.knows(a)
    await eventually(lambda: b.service._runners)
    if isinstance(a.store, WithoutBarrier):
        await eventually(lambda: isinstance(b.store, TakesOnePage) and b.store.pages)
    await turns()
    await a.lose_power()
    with pytest.raises(StoreFailed):
        await moving
    b.store_class = EmbeddedStore
    await b.stop()
    await b.start()
    await in_a_line(three)


async def test_a_log_that_moved_in_the_feed_reaches_all(three: Three) -> None:
    await cut_while_a_log_moves(three)
    await equal(*three)
    assert await numbers(three.c, MOVED) == {0}


async def test_without_the_barrier_a_healthy_node_proves_its_own_loss(three: Three) -> None:
    await with_store(three.a, WithoutBarrier)
    await cut_while_a_log_moves(three)
    await proves_its_loss(three.a)


async def test_without_barrier_and_view_a_log_is_hidden_from_all_others(three: Three) -> None:
    await with_store(three.a, NeitherBarrierNorView)
    await cut_while_a_log_moves(three)
    await three.a.put(range(1), author="later")
    await has(three.c, "later", {0})
    assert await numbers(three.a, MOVED) == {0}
    assert await numbers(three.c, MOVED) == set()


# Cursors move with their data.


class TheCut(EmbeddedStore):
    """A store whose disk stops syncing while the first blobs from a peer are on their way to it."""

    disk: MemoryDisk
    reached: asyncio.Event

    async def commit(self, deposit: Deposit) -> tuple[Outcome, ...]:
        if deposit.blobs and deposit.cursors:
            return await self._commit_cut(deposit)
        return await super().commit(deposit)

    async def _commit_cut(self, deposit: Deposit) -> tuple[Outcome, ...]:
        self.disk.opened.hold_syncs()
        self.reached.set()
        return await super().commit(deposit)


class CursorFirst(TheCut):
    """The same without the rule: the cursor is durable before the data."""

    async def _commit_cut(self, deposit: Deposit) -> tuple[Outcome, ...]:
        await super().commit(Deposit((), deposit.cursors))
        self.disk.opened.hold_syncs()
        self.reached.set()
        return await super().commit(Deposit(deposit.blobs, (), whole=False))


async def cut_while_a_page_is_stored(three: Three, store_class: type[TheCut]) -> None:
    """B has a cursor at A, gets something new from it, and loses its power while it stores it."""
    a, b, _ = three
    await a.put(range(1), author="known to all")
    await in_a_line(three)
    await equal(*three)
    await b.stop()
    await a.put(range(3), author=WRITTEN)
    assert isinstance(b.disk, MemoryDisk)
    store_class.disk, store_class.reached = b.disk, asyncio.Event()
    b.store_class = store_class
    await b.start()
    b.knows(a)
    async with asyncio.timeout(20):
        await store_class.reached.wait()
    await turns()
    b.store_class = EmbeddedStore
    await b.lose_power()
    await in_a_line(three)


async def test_what_a_power_cut_took_from_a_reader_comes_again(three: Three) -> None:
    await cut_while_a_page_is_stored(three, TheCut)
    await equal(*three)
    assert await numbers(three.c, WRITTEN) == {0, 1, 2}


async def test_with_the_cursor_first_it_would_never_come_again(three: Three) -> None:
    await cut_while_a_page_is_stored(three, CursorFirst)
    await three.a.put(range(1), author="later")
    await has(three.c, "later", {0})
    assert await numbers(three.b, WRITTEN) == set()
    assert await numbers(three.c, WRITTEN) == set()


# Copies of a folder.


async def test_a_node_restored_from_a_backup_becomes_another_and_loses_nothing(
    three: Three,
) -> None:
    a, b, _ = three
    await a.put(range(1), author="before the backup")
    await in_a_line(three)
    await equal(*three)
    assert isinstance(a.disk, MemoryDisk)
    backup = a.disk.copy()
    await a.put(range(1), author="after the backup")
    await equal(*three)
    await eventually(lambda: all(not r.session.pages_unsettled for r in a.service._runners))
    endpoint = a.endpoint
    await a.stop()
    a.disk = backup
    await a.start(endpoint)
    b.knows(a)
    await proves_its_loss(a)
    await a.become(mint())
    await a.put(range(1), author="stored by the new identity")
    await in_a_line(three)
    content = await equal(*three)
    assert {key for key, _ in content} == {
        log_of(author).key
        for author in ("before the backup", "after the backup", "stored by the new identity")
    }


async def test_a_cloned_folder_is_found_out_and_both_go_on(three: Three) -> None:
    """The clone runs at another address with the same identity: B has met the first, C meets the
    clone, and B, which then dials the clone, shows it that it is one."""
    a, b, c = three
    await a.put(range(1), author="of both")
    b.knows(a)
    await joined(a, b)
    await equal(a, b)
    assert isinstance(a.disk, MemoryDisk)
    clone = Node(a.disk.copy(), identity=a.identity)
    await a.put(range(1), author="of the first")
    await equal(a, b)
    await eventually(lambda: all(not r.session.pages_unsettled for r in a.service._runners))
    await clone.start()
    try:
        await clone.put(range(1), author="of the clone")
        c.knows(clone)
        await joined(c, clone)
        await equal(c, clone)
        await a.stop()
        b.knows(clone)
        await proves_its_loss(clone)
        await clone.become(mint())
        await a.start()
        for node in (a, clone, c):
            b.knows(node)
        content = await equal(a, b, c, clone)
        assert len(content) == 3
    finally:
        await clone.stop()
