"""A disk that fails: nothing is claimed that is not so, and everybody is told at once."""

from __future__ import annotations

import asyncio

import pytest

from meshbox.core.errors import StoreBusy, StoreFailed
from meshbox.core.ids import Namespace, Topic
from meshbox.storage.interface import MailboxStore, Outcome
from tests.contract.harness import LocalHarness
from tests.contract.material import (
    LOG,
    PEER,
    blob,
    contents,
    log_of,
    put,
    put_one,
    record,
    turns,
    whole_feed,
)


async def assert_refuses_everything(store: MailboxStore) -> None:
    with pytest.raises(StoreFailed):
        await put(store, blob(store, 77))
    with pytest.raises(StoreFailed):
        await store.logs([LOG])
    with pytest.raises(StoreFailed):
        await store.topic(Namespace.LOGS, Topic("topic"))
    with pytest.raises(StoreFailed):
        await store.all_logs(None, logs_max=1)
    with pytest.raises(StoreFailed):
        await store.feed(None, logs_max=1)
    with pytest.raises(StoreFailed):
        await contents(store)
    with pytest.raises(StoreFailed):
        await store.cursors(PEER)
    with pytest.raises(StoreFailed):
        await store.statistics()
    with pytest.raises(StoreFailed):
        await store.wait_beyond(store.change)
    with pytest.raises(StoreFailed):
        await store.sweep_slice()
    with pytest.raises(StoreFailed):
        await store.flush_reading()


async def test_a_failed_sync_fails_everything_that_waits(local: LocalHarness) -> None:
    store = await local.open()
    await put(store, blob(store, 0))
    local.hold_syncs()
    waiting: list[asyncio.Task] = [asyncio.create_task(put(store, blob(store, 1)))]
    await turns()
    waiting += [
        asyncio.create_task(put(store, blob(store, 2))),
        asyncio.create_task(put(store, blob(store, 0))),
        asyncio.create_task(contents(store)),
        asyncio.create_task(store.sweep_slice()),
        asyncio.create_task(store.wait_beyond(store.change)),
    ]
    durable = store.durable_change
    await turns()
    local.fail_syncs()
    local.release_syncs()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [StoreFailed] * len(waiting)
    assert store.durable_change == durable
    assert store.trouble is not None
    await assert_refuses_everything(store)
    await local.close()
    store = await local.open()
    found = await contents(store)
    assert found[0] == b"blob 0"
    assert 2 not in found
    assert await put_one(store, blob(store, 2)) is Outcome.STORED


async def test_a_failed_write_ends_writing_and_reads_go_on(local: LocalHarness) -> None:
    store = await local.open()
    await put(store, blob(store, 0))
    assert store.trouble is None
    local.fail_writes()
    results = await asyncio.gather(
        put(store, blob(store, 1)), put(store, blob(store, 2)), return_exceptions=True
    )
    assert [type(result) for result in results] == [StoreFailed] * 2
    assert store.trouble is not None
    for change in (put(store, blob(store, 77)), store.sweep_slice(), store.flush_reading()):
        with pytest.raises(StoreFailed):
            await change
    assert await contents(store) == {0: b"blob 0"}
    assert (await whole_feed(store))[0] == [await record(store)]
    store = await local.reopen()
    assert await contents(store) == {0: b"blob 0"}


async def test_a_database_that_is_behind_refuses_and_goes_on(local: LocalHarness) -> None:
    store = await local.open()
    await put(store, blob(store, 0))
    before, statistics, change = await record(store), await store.statistics(), store.change
    local.refuse_writes(True)
    results = await asyncio.gather(
        put(store, blob(store, 1)),
        put(store, blob(store, 0, log=log_of("other"))),
        store.flush_reading(),
        put(store, blob(store, 0)),
        return_exceptions=True,
    )
    assert [type(result) for result in results[:3]] == [StoreBusy] * 3
    assert store.change == change
    assert await record(store) == before
    assert await store.logs([log_of("other")]) == (None,)
    assert (await store.statistics())._replace(used_bytes=0) == statistics._replace(used_bytes=0)
    local.refuse_writes(False)
    assert await put_one(store, blob(store, 1)) is Outcome.STORED
    assert len((await whole_feed(store))[0]) == 1


async def test_a_closed_store_refuses(local: LocalHarness) -> None:
    store = await local.open()
    await put(store, blob(store, 0))
    waiting = asyncio.create_task(store.wait_beyond(store.change))
    await turns()
    await local.close()
    with pytest.raises(StoreFailed):
        await waiting
    await assert_refuses_everything(store)
    await store.close()


async def test_close_waits_for_what_is_being_committed(local: LocalHarness) -> None:
    store = await local.open()
    local.hold_syncs()
    writing = [asyncio.create_task(put(store, blob(store, seq))) for seq in range(3)]
    await turns()
    closing = asyncio.create_task(store.close())
    await turns()
    assert not closing.done()
    local.release_syncs()
    assert await asyncio.gather(*writing) == [(Outcome.STORED,)] * 3
    await closing
    assert len(await contents(await local.reopen())) == 3
