"""Age: one test for it, the sweep that frees what is due, and what stays known afterwards."""

from __future__ import annotations

import asyncio

import pytest

from meshbox.core.ids import Namespace, Topic
from meshbox.core.limits import BLOB_CHUNK_BYTES, LOG_RANGES_EMPTY_MAX, SWEEP_LOGS_MAX
from meshbox.core.ranges import SeqRanges
from meshbox.core.retention import BUCKET_MS, RETENTION_MIN_MS
from meshbox.storage.interface import MailboxStore, Outcome
from tests.contract.harness import FolderHarness, Harness
from tests.contract.material import (
    DAY_MS,
    HOUR_MS,
    LOG,
    OPAQUE,
    VERIFIED,
    blob,
    contents,
    held,
    log_of,
    put,
    put_one,
    record,
    sweep,
    turns,
    whole_feed,
)


async def assert_gone(store: MailboxStore, seq: int) -> None:
    known = await record(store)
    assert seq not in known.held
    assert seq in known.expired.all
    assert seq not in await contents(store)
    assert await store.topic(Namespace.LOGS, Topic("topic")) == (known,)
    assert await store.all_logs(None, logs_max=9) == {LOG.key: known}
    assert all(seq not in r.held for r in (await store.feed(None, logs_max=9)).records)


async def test_what_is_due_is_not_shown_swept_or_not(harness: Harness) -> None:
    store = await harness.open()
    await put(store, *(blob(store, seq, age_ms=3 * DAY_MS) for seq in range(5)))
    (stored, *_) = await held(store)
    assert len(await store.topic(Namespace.LOGS, Topic("topic"))) == 1
    await put(store, blob(store, 7))
    harness.clock.advance(4 * DAY_MS)
    assert sorted(await contents(store)) == [7]
    await assert_gone(store, 3)
    assert await store.read_part(stored, offset=0, size=4) is None
    assert (await sweep(store)).blobs == 5
    await assert_gone(store, 3)
    assert sorted(await contents(store)) == [7]
    assert (await sweep(store)).blobs == 0
    await assert_gone(await harness.reopen(), 3)


@pytest.mark.parametrize("swept", [False, True])
async def test_what_had_its_week_here_is_accepted_and_not_stored(
    harness: Harness, swept: bool
) -> None:
    store = await harness.open()
    await put(store, blob(store, 0), blob(store, 1, blob_class=VERIFIED))
    harness.clock.advance(7 * DAY_MS)
    if swept:
        await sweep(store)
    # Seen as opaque it had no verified week; seen as verified it had every week.
    assert await put(
        store,
        blob(store, 0, b"anything"),
        blob(store, 1),
        blob(store, 1, blob_class=VERIFIED),
        blob(store, 2),
        blob(store, 0, blob_class=VERIFIED),
    ) == (
        Outcome.EXPIRED,
        Outcome.EXPIRED,
        Outcome.EXPIRED,
        Outcome.STORED,
        Outcome.STORED,
    )
    known = await record(store)
    assert known.held_as(VERIFIED) == SeqRanges.single(0)
    assert known.held_as(OPAQUE) == SeqRanges.single(2)
    assert known.expired.verified == SeqRanges.single(1)
    assert not known.expired.opaque
    await sweep(store)
    assert await record(store) == known
    statistics = await store.statistics()
    assert (statistics.logs, statistics.blobs, statistics.expired) == (1, 2, 2)


async def test_a_blob_that_is_due_when_it_comes_leaves_no_trace(harness: Harness) -> None:
    store = await harness.open()
    assert await put_one(store, blob(store, 0, age_ms=7 * DAY_MS)) is Outcome.EXPIRED
    assert await put_one(store, blob(store, 0, age_ms=10**13)) is Outcome.EXPIRED
    assert await store.logs([LOG]) == (None,)


async def test_nothing_at_or_below_what_was_swept_is_accepted_ever_again(
    harness: Harness,
) -> None:
    store = await harness.open(retention_ms=RETENTION_MIN_MS)
    await put(store, blob(store, 0))
    harness.clock.advance(2 * DAY_MS)
    await sweep(store)
    await harness.close()
    store = await harness.open()  # Now with a week.
    assert await put_one(store, blob(store, 5, age_ms=2 * DAY_MS)) is Outcome.EXPIRED
    assert await put_one(store, blob(store, 6, age_ms=1 * HOUR_MS)) is Outcome.STORED
    assert sorted(await contents(store)) == [6]


async def test_the_sweep_goes_in_bounded_slices(folder: FolderHarness) -> None:
    store = await folder.open()
    count = 2 * SWEEP_LOGS_MAX + 10
    logs = [log_of(f"{at}") for at in range(count)]
    await put(store, *(blob(store, seq, log=log) for log in logs for seq in range(2)))
    folder.clock.advance(7 * DAY_MS)
    for slice_blobs, more in [
        (2 * SWEEP_LOGS_MAX, True),
        (2 * SWEEP_LOGS_MAX, True),
        (20, False),
        (0, False),
    ]:
        assert not await held(store, *logs)
        done = await store.sweep_slice()
        assert (done.blobs, done.more) == (slice_blobs, more)
    statistics = await store.statistics()
    assert (statistics.logs, statistics.blobs, statistics.bytes) == (0, 0, 0)
    assert statistics.expired == 2 * count


async def test_a_restart_in_the_middle_of_a_sweep(folder: FolderHarness) -> None:
    store = await folder.open()
    logs = [log_of(f"{at}") for at in range(SWEEP_LOGS_MAX + 10)]
    await put(store, *(blob(store, 0, log=log) for log in logs))
    folder.clock.advance(7 * DAY_MS)
    assert (await store.sweep_slice()).more
    store = await folder.reopen()
    assert not await held(store, *logs)
    done = await store.sweep_slice()
    assert (done.blobs, done.more) == (10, False)
    assert (await store.statistics()).blobs == 0


async def test_a_log_of_several_buckets_loses_one_after_the_other(harness: Harness) -> None:
    store = await harness.open()
    for seq in range(6):
        await put(store, blob(store, seq))
        harness.clock.advance(12 * HOUR_MS)
    harness.clock.advance(4 * DAY_MS - 12 * HOUR_MS)
    for seq in range(6):
        assert sorted(await contents(store)) == list(range(seq, 6))
        if seq % 2:
            await sweep(store)
        harness.clock.advance(12 * HOUR_MS)
    assert await contents(store) == {}
    assert (await record(store)).watermark == 5


async def test_the_watermark_survives_and_an_empty_log_shrinks(harness: Harness) -> None:
    store = await harness.open()
    await put(store, *(blob(store, 10 + 2 * at) for at in range(50)))
    await put(store, *(blob(store, seq) for seq in range(8)))
    harness.clock.advance(7 * DAY_MS)
    await sweep(store)
    known = await record(await harness.reopen())
    assert not known.runs
    assert known.range_count <= LOG_RANGES_EMPTY_MAX
    assert known.watermark is not None
    assert known.watermark >= 7
    assert known.seen.highest == 108


async def test_a_log_with_nothing_held_leaves_the_feed_and_comes_back(harness: Harness) -> None:
    store = await harness.open()
    await put(store, blob(store, 0), blob(store, 0, log=log_of("other")))
    _, cursor = await whole_feed(store)
    harness.clock.advance(7 * DAY_MS)
    await sweep(store)
    assert (await whole_feed(store))[0] == []
    await put(store, blob(store, 1))
    for after in (None, cursor):
        assert [r.log for r in (await whole_feed(store, after))[0]] == [LOG]


async def test_what_expires_is_no_news(harness: Harness) -> None:
    store = await harness.open()
    await put(store, blob(store, 0, age_ms=3 * DAY_MS), blob(store, 1))
    _, cursor = await whole_feed(store)
    change = store.change
    harness.clock.advance(5 * DAY_MS)
    await sweep(store)
    assert store.change > change
    assert (await whole_feed(store, cursor))[0] == []


async def test_retention_is_that_of_now(harness: Harness) -> None:
    store = await harness.open()
    await put(store, blob(store, 0))
    bucket = (await record(store)).runs[0].bucket
    assert not store.retention.due(bucket, store.now_ms())
    harness.clock.advance(7 * DAY_MS)
    assert store.retention.due(bucket, store.now_ms())
    await sweep(store)
    assert store.retention.due(bucket, 0)


async def test_what_waited_for_its_turn_is_no_older_for_that(folder: FolderHarness) -> None:
    """The machine slept between: what is acknowledged lives for a week from then on."""
    store = await folder.open()
    storing = asyncio.create_task(put_one(store, blob(store, 0)))
    aged = asyncio.create_task(put_one(store, blob(store, 1, age_ms=DAY_MS)))
    sent = asyncio.create_task(put(store, blob(store, 2), whole=False))
    await asyncio.sleep(0)
    folder.clock.advance(8 * DAY_MS)
    assert await storing is await aged is Outcome.STORED
    assert await sent == (Outcome.EXPIRED,), "a peer's goes on ageing"
    first, second = await held(store)
    assert first.stamp_ms == store.now_ms()
    assert second.stamp_ms == store.now_ms() - DAY_MS
    folder.clock.advance(7 * DAY_MS - BUCKET_MS)
    assert sorted(await contents(store)) == [0]
    folder.clock.advance(BUCKET_MS)
    assert await contents(store) == {}


@pytest.mark.parametrize("passed_ms", [BUCKET_MS, 8 * DAY_MS])
@pytest.mark.parametrize("waited", [1, 3, 5, 7])
async def test_nor_is_a_large_one_of_which_some_was_written(
    folder: FolderHarness, passed_ms: int, waited: int
) -> None:
    store = await folder.open()
    data = b"x" * (3 * BLOB_CHUNK_BYTES)
    storing = asyncio.create_task(put_one(store, blob(store, 0, data)))
    await turns(waited)
    assert not storing.done()
    folder.clock.advance(passed_ms)
    await sweep(store)
    assert await storing is Outcome.STORED
    assert await contents(store) == {0: data}
    folder.clock.advance(7 * DAY_MS - BUCKET_MS)
    assert await contents(store) == {0: data}
    folder.clock.advance(BUCKET_MS)
    await sweep(store)
    assert await contents(store) == {}
