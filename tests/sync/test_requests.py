"""A session's requests against a real store: what is read, chosen and committed."""

from __future__ import annotations

from meshbox.core.ids import node_id_of, parse_topic
from meshbox.core.limits import PAGE_LOGS_MAX, PAGE_RUNS_MAX
from meshbox.core.session.effects import ChooseCursor, Commit, LoadCursors, ReadFeed
from meshbox.core.topics import ALL_TOPICS, OwnTopics
from meshbox.sync.requests import StoreRequests
from meshbox.sync.summaries import Summaries
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
