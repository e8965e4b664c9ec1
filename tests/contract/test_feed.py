"""The feed: each log once, at its last change; cursors that never pass what was not shown."""

from __future__ import annotations

import asyncio
import random

import pytest

from meshbox.storage.interface import Deposit
from tests.contract.harness import Harness
from tests.contract.material import blob, log_of, put, turns, whole_feed


async def test_logs_come_in_the_order_of_their_last_change(harness: Harness) -> None:
    store = await harness.open()
    assert (await store.feed(None, logs_max=5)).records == ()
    changes = []
    for author in "abcab":
        await put(store, blob(store, store.change, log=log_of(author)))
        changes.append(store.change)
    records, cursor = await whole_feed(store)
    assert [r.log.author for r in records] == ["c", "a", "b"]
    assert [r.change for r in records] == changes[2:]
    assert await whole_feed(store, cursor) == ([], cursor)
    await put(store, blob(store, 100, log=log_of("c")))
    assert [r.log.author for r in (await whole_feed(store, cursor))[0]] == ["c"]


async def test_a_page_says_whether_there_is_more(harness: Harness) -> None:
    store = await harness.open()
    for at in range(6):
        await put(store, blob(store, 0, log=log_of(str(at))))
    page = await store.feed(None, logs_max=5)
    assert (len(page.records), page.more, page.view) == (5, True, store.change)
    page = await store.feed(page.cursor, logs_max=1)
    assert (len(page.records), page.more) == (1, False)
    assert len((await store.feed(None, logs_max=6)).records) == 6
    assert not (await store.feed(None, logs_max=6)).more


@pytest.mark.parametrize("seed", range(3))
async def test_a_reader_sees_every_change_whatever_happens_between_its_pages(
    harness: Harness, seed: int
) -> None:
    store = await harness.open()
    chance = random.Random(seed)
    shown: dict[str, int] = {}
    cursor = None
    for step in range(120):
        if chance.random() < 0.6:
            author = str(chance.randrange(12))
            await put(store, blob(store, step, log=log_of(author)))
        if chance.random() < 0.5:
            page = await store.feed(cursor, logs_max=chance.randrange(1, 4))
            cursor = page.cursor
            shown.update((r.log.author, r.change) for r in page.records)
        if chance.random() < 0.05:
            store = await harness.reopen()
    records, _ = await whole_feed(store, cursor)
    shown.update((r.log.author, r.change) for r in records)
    everything, _ = await whole_feed(store)
    assert shown == {r.log.author: r.change for r in everything}


async def test_a_former_openings_cursor_goes_on(harness: Harness) -> None:
    store = await harness.open()
    await put(store, blob(store, 0, log=log_of("a")))
    _, cursor = await whole_feed(store)
    await put(store, blob(store, 0, log=log_of("b")))
    store = await harness.reopen()
    assert store.honours(cursor)
    await put(store, blob(store, 0, log=log_of("c")))
    assert [r.log.author for r in (await whole_feed(store, cursor))[0]] == ["b", "c"]


async def test_a_cursor_that_is_not_honoured_reads_nothing(harness: Harness) -> None:
    store = await harness.open()
    with pytest.raises(ValueError, match="cursor"):
        await store.feed(b"garbage", logs_max=1)


async def test_waiting_for_a_change(harness: Harness) -> None:
    store = await harness.open()
    await put(store, blob(store, 0))
    assert await store.wait_beyond(store.change - 1) == store.change
    waiting = asyncio.create_task(store.wait_beyond(store.change))
    await turns()
    assert not waiting.done()
    await put(store, blob(store, 1))
    assert await waiting == store.change == store.durable_change
    both = asyncio.create_task(store.wait_beyond(store.change))
    await turns()
    assert not both.done()
    await put(store, blob(store, 2))
    assert await both == store.durable_change


async def test_what_clients_deposit_is_told_from_what_peers_brought(harness: Harness) -> None:
    store = await harness.open()
    before = store.deposited_change
    await store.commit(Deposit([blob(store, 0)], whole=False))
    assert before < store.durable_change
    assert store.deposited_change in (before, store.durable_change)
    await store.commit(Deposit([blob(store, 1)]))
    assert store.deposited_change == store.durable_change
    before = store.deposited_change
    await store.commit(Deposit([blob(store, 1)]))
    await store.commit(Deposit([blob(store, 2)], whole=False))
    assert store.deposited_change in (before, store.durable_change)
