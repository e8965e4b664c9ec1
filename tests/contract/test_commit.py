"""What becomes of a blob: stored once, classes, conflicts, all or nothing."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from meshbox.core.errors import TooLarge
from meshbox.core.ids import Author, LogId, Namespace, Topic
from meshbox.core.limits import CURSOR_BYTES_MAX
from meshbox.core.ranges import SEQ_END, SeqRanges
from meshbox.storage.interface import Deposit, NewBlob, Outcome, PeerCursor
from tests.contract.harness import Harness
from tests.contract.material import (
    HOUR_MS,
    LOG,
    OPAQUE,
    ORIGIN,
    PEER,
    VERIFIED,
    blob,
    contents,
    held,
    log_of,
    put,
    put_cursor,
    put_one,
    record,
    turns,
)


async def test_a_blob_is_read_as_it_was_stored(harness: Harness) -> None:
    store = await harness.open()
    stamp_ms = store.now_ms() - 12_345_678
    new = NewBlob(LOG, 7, VERIFIED, stamp_ms, ORIGIN, b"\0some bytes", 4_321)
    assert await put_one(store, new) is Outcome.STORED

    (stored,) = await held(store)
    assert stored.log == LOG
    assert stored.seq == 7
    assert stored.blob_class is VERIFIED
    assert stored.stamp_ms == stamp_ms
    assert stored.earlier_ms == 4_321
    assert stored.origin == ORIGIN
    assert stored.content_hash == hashlib.blake2b(b"\0some bytes", digest_size=32).digest()
    assert (stored.size_bytes, stored.data) == (11, b"\0some bytes")


async def test_what_was_acknowledged_is_there_after_a_restart(harness: Harness) -> None:
    store = await harness.open()
    await put(store, *(blob(store, seq) for seq in range(20)))
    before, known = await held(store), await record(store)
    statistics = await store.statistics()
    store = await harness.reopen()
    assert await held(store) == before
    assert await record(store) == known
    assert (await store.statistics())._replace(used_bytes=0) == statistics._replace(used_bytes=0)


async def test_the_ends_of_a_log(harness: Harness) -> None:
    store = await harness.open()
    assert await put(store, blob(store, SEQ_END - 1), blob(store, 0, b"")) == (
        Outcome.STORED,
        Outcome.STORED,
    )
    assert await contents(store) == {0: b"", SEQ_END - 1: b"blob %d" % (SEQ_END - 1)}
    assert (await record(store)).held == SeqRanges([(0, 1), (SEQ_END - 1, SEQ_END)])


async def test_the_same_bytes_again_do_not_renew_the_age(harness: Harness) -> None:
    store = await harness.open()
    await put_one(store, blob(store, 0))
    (first,) = await held(store)
    harness.clock.advance(30 * HOUR_MS)
    change = store.change
    assert await put_one(store, blob(store, 0)) is Outcome.KNOWN
    assert await held(store) == [first]
    assert store.change == change


async def test_of_two_as_good_the_first_stays_and_the_conflict_counts(harness: Harness) -> None:
    store = await harness.open()
    await put(store, blob(store, 0), blob(store, 1, blob_class=VERIFIED))
    change = store.change
    other = (blob(store, 0, b"other"), blob(store, 1, b"other", blob_class=VERIFIED))
    assert await put(store, *other) == (Outcome.CONFLICT, Outcome.CONFLICT)
    assert await contents(store) == {0: b"blob 0", 1: b"blob 1"}
    assert (await store.statistics()).conflicts == 2
    assert store.change == change
    store = await harness.reopen()
    assert (await store.statistics()).conflicts == 2


async def test_a_verified_blob_takes_an_opaque_ones_place_and_keeps_its_own_age(
    harness: Harness,
) -> None:
    store = await harness.open()
    await put(store, *(blob(store, seq, b"squatted") for seq in range(5)))
    harness.clock.advance(50 * HOUR_MS)
    signed = blob(store, 2, blob_class=VERIFIED, age_ms=20 * HOUR_MS)
    assert await put_one(store, signed) is Outcome.REPLACED
    found = {stored.seq: stored for stored in await held(store)}
    assert found[2].data == b"blob 2"
    assert found[2].stamp_ms == signed.stamp_ms
    assert [found[seq].data for seq in (0, 1, 3, 4)] == [b"squatted"] * 4
    known = await record(store)
    assert known.held_as(VERIFIED) == SeqRanges.single(2)
    assert known.held_as(OPAQUE) == SeqRanges([(0, 2), (3, 5)])
    assert known.bytes == 4 * 8 + 6
    statistics = await store.statistics()
    assert (statistics.blobs, statistics.bytes, statistics.conflicts) == (5, 38, 0)


async def test_the_same_bytes_can_become_verified_but_never_opaque_again(harness: Harness) -> None:
    store = await harness.open()
    await put_one(store, blob(store, 0))
    assert await put_one(store, blob(store, 0, blob_class=VERIFIED)) is Outcome.REPLACED
    assert await put_one(store, blob(store, 0)) is Outcome.KNOWN
    assert await put_one(store, blob(store, 0, b"other")) is Outcome.CONFLICT
    (stored,) = await held(store)
    assert (stored.blob_class, stored.data) == (VERIFIED, b"blob 0")


async def test_one_deposit_may_name_a_place_twice(harness: Harness) -> None:
    store = await harness.open()
    outcomes = await put(
        store,
        blob(store, 0),
        blob(store, 0),
        blob(store, 0, b"other"),
        blob(store, 0, b"signed", blob_class=VERIFIED),
        blob(store, 0, b"other"),
    )
    assert [outcome.value for outcome in outcomes] == [
        "stored",
        "known",
        "conflict",
        "replaced",
        "conflict",
    ]
    assert await contents(store) == {0: b"signed"}
    assert (await store.statistics()).blobs == 1


async def test_no_blob_is_younger_than_new(harness: Harness) -> None:
    store = await harness.open()
    await put_one(store, blob(store, 0, age_ms=-100 * HOUR_MS))
    (stored,) = await held(store)
    assert stored.stamp_ms == store.now_ms()


async def test_the_namespace_is_part_of_a_logs_name(harness: Harness) -> None:
    store = await harness.open()
    logs = LogId(Namespace.LOGS, Topic("t"), Author("a"))
    messages = LogId(Namespace.MESSAGES, Topic("t"), Author("a"))
    await put(store, blob(store, 0, b"log", log=logs), blob(store, 0, b"message", log=messages))
    assert await contents(store, logs) == {0: b"log"}
    assert await contents(store, messages) == {0: b"message"}
    assert [r.log for r in await store.topic(Namespace.LOGS, Topic("t"))] == [logs]
    assert [r.log for r in await store.topic(Namespace.MESSAGES, Topic("t"))] == [messages]


async def test_an_empty_deposit_is_nothing(harness: Harness) -> None:
    store = await harness.open()
    change = store.change
    assert await store.commit(Deposit()) == ()
    assert store.change == change


async def test_deposits_at_once_store_each_blob_once(harness: Harness) -> None:
    store = await harness.open()
    deposits = [
        put(store, blob(store, seq, b"from %d" % client), blob(store, 1_000 + client))
        for client in range(8)
        for seq in range(25)
    ]
    outcomes = await asyncio.gather(*deposits)
    firsts = [first for first, _ in outcomes]
    assert firsts.count(Outcome.STORED) == 25
    assert firsts.count(Outcome.CONFLICT) == 175
    assert [second for _, second in outcomes].count(Outcome.STORED) == 8
    statistics = await store.statistics()
    assert (statistics.logs, statistics.blobs, statistics.conflicts) == (1, 33, 175)
    assert len(await held(store)) == 33


async def test_a_caller_that_goes_away_disturbs_nobody(harness: Harness) -> None:
    store = await harness.open()
    gone = asyncio.create_task(put(store, blob(store, 0)))
    stays = asyncio.create_task(put(store, blob(store, 1)))
    await turns(1)
    gone.cancel()
    assert await stays == (Outcome.STORED,)
    assert await put_one(store, blob(store, 2)) is Outcome.STORED
    assert {1, 2} <= set(await contents(store))


async def test_cursors_come_with_the_data_and_are_bounded(harness: Harness) -> None:
    store = await harness.open()
    assert await store.cursors(PEER) == ()
    for epoch in range(6):
        for number in range(3):
            cursor = PeerCursor(PEER, b"epoch %d" % epoch, b"cursor %d.%d" % (epoch, number))
            await store.commit(Deposit([blob(store, epoch * 3 + number)], [cursor]))
    newest = tuple(
        PeerCursor(PEER, b"epoch %d" % epoch, b"cursor %d.2" % epoch) for epoch in (5, 4, 3, 2)
    )
    assert await store.cursors(PEER) == newest
    assert await (await harness.reopen()).cursors(PEER) == newest


async def test_a_cursor_alone_moves_no_log(harness: Harness) -> None:
    store = await harness.open()
    change = store.change
    await put_cursor(store, b"c")
    assert store.change == change
    assert [kept.cursor for kept in await store.cursors(PEER)] == [b"c"]


async def test_a_cursor_too_long_to_keep_is_refused_with_its_deposit(harness: Harness) -> None:
    store = await harness.open()
    cursor = PeerCursor(PEER, b"e", b"c" * (CURSOR_BYTES_MAX + 1))
    with pytest.raises(TooLarge):
        await store.commit(Deposit([blob(store, 0)], [cursor]))
    assert await store.logs([LOG]) == (None,)


async def test_what_was_relayed_counts(harness: Harness) -> None:
    store = await harness.open()
    store.count_relayed(3)
    store.count_relayed(4)
    await put_one(store, blob(store, 0, log=log_of("b")))
    assert (await store.statistics()).relayed == 7
    assert (await (await harness.reopen()).statistics()).relayed == 7
