"""The read barrier: nothing computed from the store leaves before what it saw is durable."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from meshbox.core.ids import Namespace, Topic
from meshbox.core.ranges import SeqRanges
from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.storage.interface import MailboxStore, Outcome
from tests.contract.harness import LocalHarness
from tests.contract.material import (
    LOG,
    NO_BOUND,
    PEER,
    blob,
    held,
    log_of,
    put,
    put_cursor,
    put_one,
    turns,
)

Operation = Callable[[MailboxStore], Awaitable[object]]


async def read_first(store: MailboxStore) -> object:
    return await store.read(
        [(LOG, SeqRanges.single(0))],
        blobs_max=1,
        bytes_max=NO_BOUND,
        whole_bytes_max=NO_BOUND,
    )


async def read_nothing(store: MailboxStore) -> object:
    """The place was never seen, or the blob there is not durable: a poll cannot tell."""
    return await store.read(
        [(log_of("never seen"), SeqRanges.single(0))],
        blobs_max=1,
        bytes_max=NO_BOUND,
        whole_bytes_max=NO_BOUND,
    )


READS: dict[str, Operation] = {
    "logs": lambda store: store.logs([LOG]),
    "logs never seen": lambda store: store.logs([log_of("never seen")]),
    "topic": lambda store: store.topic(Namespace.LOGS, Topic("topic")),
    "topic never seen": lambda store: store.topic(Namespace.LOGS, Topic("never seen")),
    "all logs": lambda store: store.all_logs(None, logs_max=10),
    "read": read_first,
    "read nothing": read_nothing,
    "feed": lambda store: store.feed(None, logs_max=10),
    "cursors": lambda store: store.cursors(PEER),
    "notes": lambda store: store.notes(b"k" * 16, [LOG.key]),
    "statistics": lambda store: store.statistics(),
}

ANSWERS: dict[str, tuple[Operation, Outcome]] = {
    "known": (lambda store: put_one(store, blob(store, 1)), Outcome.KNOWN),
    "conflict": (lambda store: put_one(store, blob(store, 1, b"other")), Outcome.CONFLICT),
    "stored": (lambda store: put_one(store, blob(store, 2)), Outcome.STORED),
}


class WithoutBarrier(EmbeddedStore):
    """The store with the rule taken out."""

    async def _barrier(self) -> None:
        return


async def opened(local: LocalHarness) -> MailboxStore:
    """A store that has something durable, and something else that is visible only."""
    store = await local.open()
    await put(store, blob(store, 0))
    local.hold_syncs()
    return store


@pytest.mark.parametrize("name", READS)
async def test_a_read_waits_for_what_it_saw(local: LocalHarness, name: str) -> None:
    store = await opened(local)
    writing = asyncio.create_task(put(store, blob(store, 1)))
    await turns()
    reading = asyncio.ensure_future(READS[name](store))
    await turns()
    assert not writing.done()
    assert not reading.done()
    local.release_syncs()
    await reading
    await writing


@pytest.mark.parametrize("name", READS)
async def test_without_the_barrier_a_read_does_not_wait(local: LocalHarness, name: str) -> None:
    """The counterpart of the test above: it is the barrier that makes it wait."""
    local.store_class = WithoutBarrier
    store = await opened(local)
    writing = asyncio.create_task(put(store, blob(store, 1)))
    await turns()
    reading = asyncio.ensure_future(READS[name](store))
    await turns()
    assert reading.done()
    local.release_syncs()
    await writing


@pytest.mark.parametrize("name", READS)
async def test_a_read_does_not_wait_when_all_is_durable(local: LocalHarness, name: str) -> None:
    store = await opened(local)
    reading = asyncio.ensure_future(READS[name](store))
    await turns()
    assert reading.done()


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_to_a_deposit_waits_for_what_it_saw(local: LocalHarness, name: str) -> None:
    store = await opened(local)
    operation, outcome = ANSWERS[name]
    writing = asyncio.create_task(put(store, blob(store, 1)))
    await turns()
    answering = asyncio.ensure_future(operation(store))
    await turns()
    assert not answering.done()
    local.release_syncs()
    assert await answering is outcome
    await writing


async def test_a_part_of_a_blob_waits_too(local: LocalHarness) -> None:
    store = await opened(local)
    local.release_syncs()
    (stored,) = await held(store)
    local.hold_syncs()
    writing = asyncio.create_task(put(store, blob(store, 1)))
    await turns()
    reading = asyncio.create_task(store.read_part(stored, offset=0, size=4))
    await turns()
    assert not reading.done()
    local.release_syncs()
    assert await reading == b"blob"
    await writing


async def test_a_read_returns_what_it_saw_and_does_not_look_again(local: LocalHarness) -> None:
    store = await opened(local)
    first = asyncio.create_task(put(store, blob(store, 1)))
    await turns()
    page_task = asyncio.create_task(store.feed(None, logs_max=10))
    view = store.change
    await turns()
    second = asyncio.create_task(put(store, blob(store, 0, log=log_of("later"))))
    local.release_syncs()
    page = await page_task
    await asyncio.gather(first, second)
    assert page.view == view
    assert [r.log for r in page.records] == [LOG]
    assert [r.log for r in (await store.feed(page.cursor, logs_max=10)).records] == [
        log_of("later")
    ]


async def test_what_only_a_cursor_changed_is_waited_for(local: LocalHarness) -> None:
    store = await opened(local)
    writing = asyncio.create_task(put_cursor(store, b"c"))
    await turns()
    reading = asyncio.create_task(store.cursors(PEER))
    await turns()
    assert not reading.done()
    local.release_syncs()
    assert [kept.cursor for kept in await reading] == [b"c"]
    await writing


async def test_a_sweep_is_waited_for(local: LocalHarness) -> None:
    store = await opened(local)
    local.clock.advance(8 * 24 * 3_600_000)
    change = store.change
    sweeping = asyncio.create_task(store.sweep_slice())
    await turns()
    assert store.change > change
    reading = asyncio.create_task(store.logs([LOG]))
    await turns()
    assert not sweeping.done()
    assert not reading.done()
    local.release_syncs()
    ((found,),) = await asyncio.gather(reading)
    assert found is not None
    assert not found.held
    await sweeping


async def test_the_durable_counter_moves_with_the_disk(local: LocalHarness) -> None:
    store = await opened(local)
    durable = store.durable_change
    assert durable == store.change
    writing = asyncio.create_task(put(store, blob(store, 1)))
    waiting = asyncio.create_task(store.wait_beyond(durable))
    await turns()
    assert (store.change, store.durable_change) == (durable + 1, durable)
    assert not waiting.done()
    local.release_syncs()
    assert await waiting == durable + 1
    await writing
