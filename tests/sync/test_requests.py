"""A session's requests against a real store: what is read, chosen and committed."""

from __future__ import annotations

from meshbox.core.ids import node_id_of
from meshbox.core.limits import PAGE_LOGS_MAX, PAGE_RUNS_MAX
from meshbox.core.session.effects import ChooseCursor, Commit, LoadCursors, ReadFeed
from meshbox.sync.requests import StoreRequests
from meshbox.sync.summaries import Summaries
from tests.sync.nodes import MemoryDisk, running

PEER = node_id_of(b"\7" * 32)


async def test_the_feed_its_cursor_and_the_peers_cursor() -> None:
    async with running(MemoryDisk()) as node:
        await node.put(range(3))
        requests = StoreRequests(node.store, Summaries(node.store), peer=PEER, epoch_id=b"e" * 16)
        page = await requests.answer(ReadFeed(None, PAGE_LOGS_MAX, PAGE_RUNS_MAX))
        assert [record.held.count for record in page.records] == [3]
        assert await requests.answer(ChooseCursor((b"garbage", page.cursor))) == page.cursor
        assert await requests.answer(ChooseCursor((b"garbage",))) is None
        assert await requests.answer(LoadCursors(PEER)) == ()
        await requests.answer(Commit((), b"theirs"))
        assert await requests.answer(LoadCursors(PEER)) == (b"theirs",)
