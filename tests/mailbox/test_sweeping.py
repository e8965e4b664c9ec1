"""Sweeping in slices, and the coroutine that does it by the clock."""

from __future__ import annotations

import asyncio

import pytest

from meshbox.core.errors import StoreBusy
from meshbox.core.filling import NothingFilling
from meshbox.core.forgetting import FORGET_AFTER_MS
from meshbox.core.limits import SWEEP_LOGS_MAX
from meshbox.core.retention import RETENTION_MAX_MS
from meshbox.mailbox.deposit import ClientBlob
from meshbox.mailbox.mailbox import Mailbox
from meshbox.mailbox.sweeping import run_sweeper, sweep
from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.storage.keyvalue import Batch
from meshbox.storage.memory import MemoryKeyValue
from tests.clocks import ManualClock
from tests.mailbox.stores import NODE_KEY, opened_store
from tests.waiting import eventually

LOGS = 2 * SWEEP_LOGS_MAX + 1


async def fill(mailbox: Mailbox, name: str = "a") -> None:
    blobs = [ClientBlob("t", f"{name}{n}", 0, b"xyz") for n in range(LOGS)]
    await mailbox.deposit(blobs, client="")


async def stop(sweeper: asyncio.Task[None]) -> None:
    sweeper.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sweeper


async def test_a_sweep_frees_all_that_is_due_and_lets_others_run(
    mailbox: Mailbox, store: EmbeddedStore, clock: ManualClock
) -> None:
    await fill(mailbox)
    assert (await sweep(store)).blobs == 0
    clock.advance(RETENTION_MAX_MS)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    running = asyncio.create_task(others())
    swept = await sweep(store)
    running.cancel()
    assert (swept.blobs, swept.bytes) == (LOGS, 3 * LOGS)
    assert turns >= 3
    assert (await store.statistics()).blobs == 0
    clock.advance(FORGET_AFTER_MS)
    assert (await sweep(store)).forgotten == LOGS


async def test_the_sweeper_sweeps_at_once_and_again(
    mailbox: Mailbox, store: EmbeddedStore, clock: ManualClock
) -> None:
    await fill(mailbox)
    clock.advance(RETENTION_MAX_MS)
    sweeper = asyncio.create_task(run_sweeper(store, interval_ms=1))
    for name in "bcd":
        while (await store.statistics()).blobs:
            await asyncio.sleep(0)
        await fill(mailbox, name)
        clock.advance(RETENTION_MAX_MS)
    while (await store.statistics()).expired < 4 * LOGS:
        await asyncio.sleep(0)
    await stop(sweeper)


class RefusingKeyValue(MemoryKeyValue):
    """Refuses the next writes, as a database that is behind."""

    refusals = 0

    def write(self, batch: Batch) -> None:
        if self.refusals:
            self.refusals -= 1
            raise StoreBusy("the database is behind")
        super().write(batch)


async def test_a_busy_store_is_swept_the_next_time(clock: ManualClock) -> None:
    key_value = RefusingKeyValue()
    async with opened_store(key_value, clock=clock) as store:
        mailbox = Mailbox(store, node_key=NODE_KEY, tag_salt=b"s", filling=NothingFilling())
        await fill(mailbox)
        clock.advance(RETENTION_MAX_MS)
        key_value.refusals = 3
        sweeper = asyncio.create_task(run_sweeper(store, interval_ms=1))
        while (await store.statistics()).blobs:
            assert not sweeper.done()
            await asyncio.sleep(0)
        assert key_value.refusals == 0
        await stop(sweeper)


async def test_readings_are_saved_by_the_clock() -> None:
    key_value = MemoryKeyValue()
    async with opened_store(key_value) as store:
        syncs = key_value.syncs
        sweeper = asyncio.create_task(run_sweeper(store, interval_ms=10**9, reading_interval_ms=1))
        while key_value.syncs < syncs + 3:
            assert not sweeper.done()
            await asyncio.sleep(0)
        await stop(sweeper)


async def test_a_disk_that_fails_does_not_end_the_sweeper() -> None:
    key_value = MemoryKeyValue()
    async with opened_store(key_value) as store:
        key_value.fail_syncs(OSError("no space"))
        sweeper = asyncio.create_task(run_sweeper(store, interval_ms=1, reading_interval_ms=1))
        await eventually(lambda: store.trouble is not None)
        done, _ = await asyncio.wait([sweeper], timeout=0.02)
        assert not done
        sweeper.cancel()
        await asyncio.wait([sweeper])
