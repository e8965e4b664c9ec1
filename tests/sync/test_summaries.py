"""What a node holds, in short: of one moment, shared, and told apart from another's."""

from __future__ import annotations

import asyncio

import pytest

from meshbox.core.limits import SUMMARY_LOGS_MAX
from meshbox.core.reconcile import Digest
from meshbox.sync import summaries
from meshbox.sync.summaries import Summaries
from tests.contract.material import log_of
from tests.sync.nodes import MemoryDisk, running

KEY = b"k" * 16


async def test_what_another_lacks_is_told_by_its_symbols() -> None:
    async with running(MemoryDisk()) as ours, running(MemoryDisk()) as theirs:
        for number in range(300):
            await ours.put(range(3), author=f"a{number}")
            if number % 100:
                await theirs.put(range(3), author=f"a{number}")
        await theirs.put(range(3, 5), author="a7")
        await theirs.put(range(1), author="theirs alone")
        mine = await Summaries(ours.store).of(KEY)
        other = await Summaries(theirs.store).of(KEY)
        assert mine is not None
        assert other is not None
        assert len(mine) == 300
        few = await other.symbols(0, 2)
        assert await mine.lacking(other.digest, few) is None
        enough = few + await other.symbols(2, 40)
        lacking = await mine.lacking(other.digest, enough)
        assert lacking is not None
        expected = {log_of(f"a{number}").key for number in (0, 7, 100, 200)}
        logs, elements = lacking
        assert set(logs) == expected
        assert set(other.with_elements(elements)) == {
            log_of(author).key for author in ("a7", "theirs alone")
        }


async def test_a_sketch_that_does_not_account_for_the_digest_is_not_believed() -> None:
    async with running(MemoryDisk()) as node:
        await node.put(range(3))
        summary = await Summaries(node.store).of(KEY)
        assert summary is not None
        own = await summary.symbols(0, 16)
        assert await summary.lacking(summary.digest, own) == ((), ())
        assert await summary.lacking(Digest(summary.digest.total + 1, 1), own) is None


async def test_a_summary_is_of_one_moment_and_its_cursor_brings_what_came_later() -> None:
    async with running(MemoryDisk()) as node:
        await node.put(range(3), author="before")
        all_of_them = Summaries(node.store)
        first = await all_of_them.of(KEY)
        await node.put(range(3), author="after")
        assert first is not None
        assert await all_of_them.of(KEY) is first
        later = await node.store.feed(first.cursor, logs_max=10)
        assert [record.log for record in later.records] == [log_of("after")]
        another = await all_of_them.of(b"x" * 16)
        assert another is not None
        assert len(another) == 2


async def test_sessions_that_ask_at_once_share_one() -> None:
    async with running(MemoryDisk()) as node:
        await node.put(range(3))
        all_of_them = Summaries(node.store)
        first, second = await asyncio.gather(all_of_them.of(KEY), all_of_them.of(KEY))
        assert first is second


async def test_who_holds_too_much_is_not_summarised(monkeypatch: pytest.MonkeyPatch) -> None:
    assert SUMMARY_LOGS_MAX > 2
    monkeypatch.setattr(summaries, "SUMMARY_LOGS_MAX", 2)
    async with running(MemoryDisk()) as node:
        for number in range(3):
            await node.put(range(1), author=f"a{number}")
        all_of_them = Summaries(node.store)
        assert await all_of_them.of(KEY) is None
        monkeypatch.setattr(summaries, "SUMMARY_LOGS_MAX", 3)
        assert await all_of_them.of(KEY) is None, "which is not found out again at once"
        assert await Summaries(node.store).of(KEY) is not None
