"""The refill list: every peer is asked for its logs by name, once, also across openings."""

from __future__ import annotations

import asyncio

import pytest

from meshbox.core.errors import StoreFailed
from meshbox.core.ids import LogKey, NodeId, node_id_of
from meshbox.core.limits import REFILL_LOGS_MAX
from meshbox.storage.interface import Deposit, MailboxStore, PeerRefill, RefillPage
from tests.contract.harness import Harness, PowerHarness
from tests.contract.material import DAY_MS, PEER, log_of, put_cursor, sweep, turns

OTHER = node_id_of(b"q" * 32)
A, B, C = (log_of(author).key for author in "abc")


async def asked(store: MailboxStore, page: RefillPage, *, peer: NodeId = PEER) -> None:
    await store.commit(Deposit(refills=(PeerRefill(peer, b"e" * 16, page.through),)))


async def next_page(store: MailboxStore, peer: NodeId = PEER, logs_max: int = 9) -> RefillPage:
    return await store.refill(peer, logs_max=logs_max)


async def nothing_to_ask(store: MailboxStore, peer: NodeId = PEER) -> bool:
    waiting = asyncio.ensure_future(next_page(store, peer))
    await turns()
    waiting.cancel()
    return not waiting.done()


async def test_every_peer_is_asked_once_in_the_order_of_the_list(harness: Harness) -> None:
    store = await harness.open()
    await store.ask_for([B])
    await store.ask_for([C, A])
    first = await next_page(store, logs_max=1)
    assert first.logs == (B,)
    await asked(store, first)
    second = await next_page(store)
    assert set(second.logs) == {A, C}
    await asked(store, second)
    assert await nothing_to_ask(store)
    assert set((await next_page(store, OTHER)).logs) == {A, B, C}


async def test_a_log_is_named_once_a_page(harness: Harness) -> None:
    store = await harness.open()
    await store.ask_for([A, A])
    await store.ask_for([A])
    page = await next_page(store)
    assert page.logs == (A,)
    await asked(store, page)
    assert await nothing_to_ask(store)


async def test_who_waits_is_woken_by_what_comes(harness: Harness) -> None:
    store = await harness.open()
    waiting = asyncio.ensure_future(next_page(store))
    await turns()
    await store.ask_for([A])
    assert (await waiting).logs == (A,)


async def test_a_page_is_asked_again_until_it_was_answered(harness: Harness) -> None:
    store = await harness.open()
    await store.ask_for([A, B])
    assert await next_page(store) == await next_page(store)


async def test_list_and_progress_survive_an_opening(harness: Harness) -> None:
    store = await harness.open()
    await put_cursor(store, b"c")
    await store.ask_for([A])
    await asked(store, await next_page(store))
    await store.ask_for([B])
    store = await harness.reopen()
    assert (await next_page(store)).logs == (B,)
    assert set((await next_page(store, OTHER)).logs) == {A, B}
    assert [kept.cursor for kept in await store.cursors(PEER)] == [b"c"]


async def test_an_older_answer_does_not_take_progress_back(harness: Harness) -> None:
    store = await harness.open()
    await store.ask_for([A])
    older = await next_page(store)
    await store.ask_for([B])
    await asked(store, await next_page(store))
    await asked(store, older)
    assert await nothing_to_ask(store)


async def test_entries_go_when_nothing_can_come_back(harness: Harness) -> None:
    store = await harness.open()
    await store.ask_for([log_of(f"{at}").key for at in range(300)])
    harness.clock.advance(3 * DAY_MS)
    await store.ask_for([B])
    harness.clock.advance(4 * DAY_MS)
    await sweep(store)
    assert (await next_page(store)).logs == (B,)
    harness.clock.advance(4 * DAY_MS)
    await sweep(store)
    assert await nothing_to_ask(store)


async def test_the_oldest_entries_go_first_when_there_are_too_many(harness: Harness) -> None:
    store = await harness.open()
    keys = [LogKey(at.to_bytes(16, "big")) for at in range(REFILL_LOGS_MAX + 1)]
    await store.ask_for(keys[:-1])
    assert (await next_page(store, logs_max=1)).logs == (keys[0],)
    await store.ask_for(keys[-1:])
    assert (await next_page(store, logs_max=1)).logs == (keys[1],)


async def test_a_power_cut_takes_back_only_what_was_not_shown(power: PowerHarness) -> None:
    store = await power.open()
    await store.ask_for([A])
    power.hold_syncs()
    lost = asyncio.ensure_future(store.ask_for([B]))
    await turns()
    reading = asyncio.ensure_future(next_page(store))
    await turns()
    assert not lost.done()
    assert not reading.done()
    store = await power.power_cut()
    assert (await next_page(store)).logs == (A,)
    await asyncio.gather(lost, reading, return_exceptions=True)


async def test_who_waits_learns_that_the_store_is_closed(harness: Harness) -> None:
    store = await harness.open()
    waiting = asyncio.ensure_future(next_page(store))
    await turns()
    await harness.close()
    with pytest.raises(StoreFailed):
        await waiting
