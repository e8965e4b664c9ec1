"""A session's requests against a real store: what is read, chosen and committed."""

from __future__ import annotations

import asyncio

from meshbox.core.ids import BlobClass, Origin, node_id_of, parse_topic
from meshbox.core.limits import PAGE_LOGS_MAX, PAGE_RUNS_MAX
from meshbox.core.room import Allocation
from meshbox.core.session.effects import (
    ChooseCursor,
    Commit,
    LoadCursors,
    ReadFeed,
    ReceivedBlob,
)
from meshbox.core.topics import ALL_TOPICS, OwnTopics
from meshbox.mailbox.sweeping import keep_room
from meshbox.sync.requests import StoreRequests
from meshbox.sync.summaries import Summaries
from tests.contract.material import DAY_MS, log_of
from tests.sync.nodes import MemoryDisk, Node, running

PEER = node_id_of(b"\7" * 32)


def requests_of(node: Node, carried: OwnTopics = ALL_TOPICS) -> StoreRequests:
    summaries = Summaries(node.store)
    return StoreRequests(node.store, summaries, peer=PEER, epoch_id=b"e" * 16, carried=carried)


async def test_the_feed_its_cursor_and_the_peers_cursor() -> None:
    async with running(MemoryDisk()) as node:
        await node.put(range(3))
        requests = requests_of(node)
        page = await requests.answer(ReadFeed(None, PAGE_LOGS_MAX, PAGE_RUNS_MAX))
        assert [record.held.count for record in page.records] == [3]
        assert await requests.answer(ChooseCursor((b"garbage", page.cursor))) == page.cursor
        assert await requests.answer(ChooseCursor((b"garbage",))) is None
        assert await requests.answer(LoadCursors(PEER)) == ()
        await requests.answer(Commit((), b"theirs"))
        assert await requests.answer(LoadCursors(PEER)) == (b"theirs",)


async def test_a_cursor_is_true_for_what_was_carried_when_it_was_settled() -> None:
    async with running(MemoryDisk()) as node:
        narrow = OwnTopics([parse_topic("one")])
        await requests_of(node, narrow).answer(Commit((), b"theirs"))
        assert await requests_of(node, narrow).answer(LoadCursors(PEER)) == (b"theirs",)
        assert await requests_of(node).answer(LoadCursors(PEER)) == ()


async def test_a_cursor_tells_what_the_commits_before_it_found_no_room_for() -> None:
    """It is asked for while they are under way, when the session cannot know."""
    async with running(MemoryDisk(), allocation=Allocation(10_000)) as node:
        requests = requests_of(node)
        await requests.answer(Commit((), b"first"))
        await node.put(range(8), size_bytes=1_000)
        origin, now_ms = Origin(b"o" * 32, b"tag."), node.store.now_ms()
        old = ReceivedBlob(log_of("old"), 0, BlobClass.OPAQUE, now_ms, DAY_MS, origin, b"." * 2_000)
        await asyncio.gather(
            requests.answer(Commit((old,), None)), requests.answer(Commit((), b"second"))
        )
        assert await requests.answer(LoadCursors(PEER)) == (b"second",)
        node.store._disk._allocation = Allocation(100_000)
        await keep_room(node.store)
        assert await requests.answer(LoadCursors(PEER)) == (b"first",)
