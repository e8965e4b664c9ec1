"""Whatever a repair took or brought back, what is rebuilt is whole, and claims nothing it lacks."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pytest

from meshbox.core.errors import IdentityLost
from meshbox.core.ids import BlobClass, LogId, NodeId, node_id_of
from meshbox.core.inventory import LogRecord
from meshbox.core.limits import BLOB_CHUNK_BYTES
from meshbox.core.ranges import SeqRanges
from meshbox.core.retention import bucket_of
from meshbox.core.room import Allocation
from meshbox.storage.embedded.rebuilding import EPOCH_GAP, Rebuilt, rebuild
from meshbox.storage.embedded.schema import BLOB_KEY_BYTES
from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.storage.embedded.surviving import LOGS_AT_ONCE
from meshbox.storage.interface import Deposit, MailboxStore, Outcome, PeerRefill
from meshbox.storage.keyvalue import Family
from meshbox.storage.memory import MemoryKeyValue
from tests.contract.harness import MemoryHarness
from tests.contract.material import (
    DAY_MS,
    EVERYTHING,
    LOG,
    NO_BOUND,
    OPAQUE,
    PEER,
    VERIFIED,
    blob,
    log_of,
    put,
    put_cursor,
    put_one,
    sweep,
    whole_feed,
)
from tests.storage.embedded.recount import assert_exact, entries

EPOCH_ID = b"mended".rjust(16, b".")
LOGS = [LOG, *(log_of(f"author {a}", f"topic {t}") for t in range(3) for a in range(5))]
PEERS = [node_id_of(bytes([65 + at]) * 32) for at in range(2)]
Contents = dict[tuple[LogId, int], tuple[BlobClass, bytes]]


class Disk(NamedTuple):
    """A closed store's database, an older state of it, and what the store held."""

    harness: MemoryHarness
    older: MemoryKeyValue
    held: Contents
    change: int
    epoch_number: int

    @property
    def now(self) -> MemoryKeyValue:
        return self.harness._disk.copy()


async def held_in(store: MailboxStore, logs: Sequence[LogId] = LOGS) -> Contents:
    page = await store.read(
        [(log, EVERYTHING) for log in logs],
        blobs_max=NO_BOUND,
        bytes_max=NO_BOUND,
        whole_bytes_max=NO_BOUND,
    )
    assert not page.more
    return {(b.log, b.seq): (b.blob_class, b.data or b"") for b in page.blobs}


async def lived_in(seed: int, *, days: int = 9) -> Disk:
    """A store that was used for some days: every class, gaps, large blobs, replaced and expired."""
    chance = random.Random(seed)
    harness = MemoryHarness()
    store = await harness.open()
    older = harness._opened.copy()
    for day in range(days * 2):
        new = [
            blob(
                store,
                chance.randrange(12) + 4 * (day // 2),
                chance.randbytes(chance.choice([3, 40])),
                log=log,
                blob_class=chance.choice([OPAQUE, VERIFIED]),
                age_ms=chance.randrange(2 * DAY_MS),
            )
            for log in chance.sample(LOGS, 6)
            for _ in range(3)
        ]
        await put(store, *new)
        if day % 8 == 7:
            await put_one(store, blob(store, 999, chance.randbytes(BLOB_CHUNK_BYTES + 9), log=LOG))
        for peer in PEERS:
            await put_cursor(store, b"cursor %d" % day, peer=peer)
        harness.clock.advance(DAY_MS // 2)
        await sweep(store)
        if chance.random() < 0.2:
            older = harness._opened.copy()
    disk = Disk(harness, older, await held_in(store), store.change, store.epoch.number)
    await harness.close()
    return disk


async def change(disk: Disk, family: Family, values: dict[bytes, bytes | None]) -> None:
    """Puts other values on the disk, None for keys that are gone."""
    database = disk.now
    batch = database.new_batch()
    for key, value in values.items():
        if value is None:
            batch.delete(family, key)
        else:
            batch.put(family, key, value)
    database.write(batch)
    await database.sync()
    disk.harness._disk = database


async def rebuilt(disk: Disk) -> tuple[Rebuilt, EmbeddedStore]:
    database = disk.now
    result = await rebuild(database, epoch_id=EPOCH_ID)
    await database.close()
    disk.harness._disk = database.copy()
    return result, await disk.harness.open()


async def assert_whole(store: EmbeddedStore, before: Disk) -> Contents:
    """All that the store says of itself agrees; what it holds it held before."""
    assert_exact(store)
    records = {r.log: r for r in (await store.all_logs(None, logs_max=NO_BOUND)).values()}
    found = await held_in(store)
    assert found.items() <= before.held.items()
    for record in records.values():
        held = SeqRanges((seq, seq + 1) for log, seq in found if log == record.log)
        assert record.held == held
        assert not record.held & (record.expired.all | record.evicted.all)
        assert record.bytes == sum(
            len(d) for (log, _), (_, d) in found.items() if log == record.log
        )
    counts = await store.statistics()
    assert (counts.logs, counts.blobs) == (sum(bool(r.runs) for r in records.values()), len(found))
    assert counts.bytes == sum(len(data) for _, data in found.values())
    in_feed = [record.log for record in (await whole_feed(store))[0]]
    assert sorted(in_feed) == sorted(log for log, record in records.items() if record.runs)
    for topic in {log.topic for log in LOGS}:
        listed = await store.topic(LOGS[0].namespace, topic)
        assert {r.log for r in listed} == {log for log in records if log.topic == topic}
    assert [await store.cursors(peer) for peer in PEERS] == [()] * len(PEERS)
    return found


async def asked_for(store: MailboxStore, peer: NodeId = PEER) -> set[LogId]:
    page = await store.refill(peer, logs_max=NO_BOUND)
    return {record.log for record in await store.by_key(page.logs) if record is not None}


@pytest.mark.parametrize("seed", range(3))
async def test_a_database_that_lost_nothing_is_the_same_afterwards(seed: int) -> None:
    disk = await lived_in(seed)
    before = await disk.harness.open()
    records = {
        r.log: r._replace(change=0)
        for r in (await before.all_logs(None, logs_max=NO_BOUND)).values()
    }
    await disk.harness.close()
    result, store = await rebuilt(disk)
    assert await assert_whole(store, disk) == disk.held
    assert result.lost_logs == 0
    after = {
        r.log: r._replace(change=0)
        for r in (await store.all_logs(None, logs_max=NO_BOUND)).values()
    }
    assert without_sizes(after.values()) == without_sizes(records.values())
    assert store.epoch.number > disk.epoch_number + EPOCH_GAP
    await disk.harness.close()


async def test_more_logs_than_are_mended_at_once() -> None:
    harness = MemoryHarness()
    store = await harness.open()
    logs = [log_of(f"author {at}", "many") for at in range(3 * LOGS_AT_ONCE + 7)]
    for seq in range(3):
        await put(store, *(blob(store, seq, log=log) for log in logs))
        harness.clock.advance(DAY_MS)
    held = await held_in(store, logs)
    disk = Disk(harness, harness._opened, held, store.change, store.epoch.number)
    await harness.close()
    result, store = await rebuilt(disk)
    assert await held_in(store, logs) == held
    assert result == Rebuilt(len(logs), len(held), 0)
    await harness.close()


def without_sizes(records: Iterable[LogRecord]) -> list[LogRecord]:
    """A run's parts know only the sum of their bytes; a rebuilt one knows its own."""
    return [
        record._replace(runs=tuple(run._replace(bytes=0, largest_bytes=0) for run in record.runs))
        for record in records
    ]


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_was_lost_or_came_back(seed: int) -> None:
    chance = random.Random(seed)
    disk = await lived_in(seed)
    for family in chance.sample([f for f in Family if f is not Family.META], 3):
        now, older = entries(disk.now, family), entries(disk.older, family)
        share = chance.choice([0.05, 0.5, 1.0])
        # In the order of the keys, as a file holds them.
        keys = sorted({*now, *older})
        first = chance.randrange(len(keys) + 1)
        taken = keys[first : first + int(len(keys) * share)]
        comes_back = chance.random() < 0.5
        await change(disk, family, {key: older.get(key) if comes_back else None for key in taken})
    _, store = await rebuilt(disk)
    found = await assert_whole(store, disk)
    # What is gone is stored again like anything that was never seen.
    for (log, seq), (blob_class, data) in disk.held.items():
        if (log, seq) not in found:
            again = blob(store, seq, data, log=log, blob_class=blob_class)
            outcome = await put_one(store, again)
            assert outcome in (Outcome.STORED, Outcome.EXPIRED)
    disk.harness.clock.advance(8 * DAY_MS)
    await sweep(store)
    assert await held_in(store) == {}
    assert (await store.statistics()).blobs == 0
    await disk.harness.close()


async def test_lost_blobs_leave_seen_and_are_asked_for() -> None:
    disk = await lived_in(1)
    (log, seq), _ = next(iter(disk.held.items()))
    lost = [
        key
        for key in entries(disk.now, Family.BLOB)
        if key[4:BLOB_KEY_BYTES] == log.key + seq.to_bytes(8)
    ]
    await change(disk, Family.BLOB, dict.fromkeys(lost))
    result, store = await rebuilt(disk)
    assert len(disk.held) - len(await assert_whole(store, disk)) == 1
    (record,) = await store.logs([log])
    assert record is not None
    assert seq not in record.seen
    assert result.lost_logs == 1
    assert await asked_for(store) == {log}
    await disk.harness.close()


async def test_a_lost_record_is_told_by_names_and_blobs() -> None:
    disk = await lived_in(2)
    await change(disk, Family.LOG, dict.fromkeys(entries(disk.now, Family.LOG)))
    result, store = await rebuilt(disk)
    assert await assert_whole(store, disk) == disk.held
    assert result.lost_logs == len(LOGS)
    assert await asked_for(store) == set(LOGS)
    await disk.harness.close()


async def test_a_lost_record_tells_when_its_log_last_took_a_blob() -> None:
    """What forgetting goes by: never too early, and of an empty log from now on."""
    disk = await lived_in(2)
    store = await disk.harness.open()
    disk.harness.clock.advance(8 * DAY_MS)
    await sweep(store)
    await put(store, blob(store, 5_000))
    disk.harness.clock.advance(DAY_MS)
    before = {
        record.log: record for record in (await store.all_logs(None, logs_max=NO_BOUND)).values()
    }
    bucket = bucket_of(store.now_ms())
    await disk.harness.close()
    await change(disk, Family.LOG, dict.fromkeys(entries(disk.now, Family.LOG)))
    _, store = await rebuilt(disk)
    after = {
        record.log: record for record in (await store.all_logs(None, logs_max=NO_BOUND)).values()
    }
    assert {bool(record.runs) for record in after.values()} == {True, False}
    for log, record in after.items():
        assert record.last_bucket == (before[log].last_bucket if record.runs else bucket)
    await disk.harness.close()


async def test_what_was_evicted_tells_when_a_log_last_took_a_blob() -> None:
    harness = MemoryHarness()
    store = await harness.open(allocation=Allocation(100_000))
    await put(store, blob(store, 0))
    harness.clock.advance(DAY_MS)
    bucket = bucket_of(store.now_ms())
    await put(store, blob(store, 1, bytes(60_000)))
    harness.clock.advance(DAY_MS)
    await put(store, blob(store, 0, bytes(90_000), log=log_of("b")))
    disk = Disk(harness, harness._opened, await held_in(store), store.change, store.epoch.number)
    await harness.close()
    await change(disk, Family.LOG, {LOG.key: None})
    _, store = await rebuilt(disk)
    (known,) = await store.logs([LOG])
    assert known is not None
    assert (known.runs, known.evicted.all.pairs) == ((), ((0, 2),))
    assert known.last_bucket == bucket
    await harness.close()


async def test_a_log_whose_names_are_lost_is_lost() -> None:
    disk = await lived_in(3)
    log = next(log for log, _ in disk.held)
    await change(disk, Family.LOG, {log.key: b"garbage"})
    topic = [key for key in entries(disk.now, Family.TOPIC) if key.endswith(log.key)]
    await change(disk, Family.TOPIC, dict.fromkeys(topic, b""))
    _, store = await rebuilt(disk)
    found = await assert_whole(store, disk)
    assert found == {place: kept for place, kept in disk.held.items() if place[0] != log}
    assert not [key for key in entries(disk.now, Family.BLOB) if key[4:20] == log.key]
    await disk.harness.close()


async def test_a_large_blob_without_a_part_is_lost() -> None:
    disk = await lived_in(4)
    chunks = [key for key in entries(disk.now, Family.BLOB) if len(key) > BLOB_KEY_BYTES]
    if not chunks:
        pytest.fail("the seed holds no large blob")
    await change(disk, Family.BLOB, {chunks[0]: None})
    _, store = await rebuilt(disk)
    found = await assert_whole(store, disk)
    assert set(disk.held) - set(found) == {(LOG, 999)}
    await disk.harness.close()


async def test_cursors_of_before_are_unknown_and_no_proof_of_loss() -> None:
    harness = MemoryHarness()
    store = await harness.open()
    await put(store, *(blob(store, seq) for seq in range(5)))
    former = (await store.feed(None, logs_max=1)).cursor
    store = await harness.reopen()
    await put(store, blob(store, 9))
    cursor = (await store.feed(None, logs_max=1)).cursor
    assert store.honours(former)
    disk = Disk(harness, harness._opened, {}, store.change, store.epoch.number)
    await harness.close()
    _, store = await rebuilt(disk)
    assert not store.honours(former)
    assert not store.honours(cursor)
    await harness.close()


async def test_node_time_and_what_was_swept_go_on() -> None:
    disk = await lived_in(5)
    store = await disk.harness.open()
    now_ms = store.now_ms()
    await disk.harness.close()
    _, store = await rebuilt(disk)
    assert store.now_ms() == now_ms
    expired = blob(store, 1, log=LOGS[0], age_ms=8 * DAY_MS)
    assert await put_one(store, expired) is Outcome.EXPIRED
    await disk.harness.close()


async def test_a_database_that_does_not_say_what_it_was_is_lost() -> None:
    disk = await lived_in(6, days=1)
    for name in (b"state", b"epochs"):
        was = entries(disk.now, Family.META)[name]
        spare = entries(disk.now, Family.SPARE)[name]
        for value in (None, b"garbage"):
            await change(disk, Family.META, {name: value})
            await change(disk, Family.SPARE, {name: value})
            with pytest.raises(IdentityLost):
                await rebuild(disk.now, epoch_id=EPOCH_ID)
        await change(disk, Family.META, {name: was})
        await change(disk, Family.SPARE, {name: spare})


async def test_what_it_was_is_told_by_the_spare_copy() -> None:
    """As it was when the store was opened: later changes, and node time, are not lost with it."""
    disk = await lived_in(6, days=1)
    blobs = len(entries(disk.now, Family.BLOB))
    await change(disk, Family.META, dict.fromkeys(entries(disk.now, Family.META)))
    _, store = await rebuilt(disk)
    assert len(entries(disk.now, Family.BLOB)) == blobs
    newest = max(int.from_bytes(key[:4]) for key in entries(disk.now, Family.BLOB))
    assert bucket_of(store.now_ms()) >= newest
    await assert_whole(store, disk)
    await disk.harness.close()


@pytest.mark.parametrize("older", [Family.META, Family.SPARE])
async def test_of_two_copies_of_what_it_was_the_newer_counts(older: Family) -> None:
    """A repair that drops a table file brings back what an older one says."""
    disk = await lived_in(13)
    store = await disk.harness.open()
    now_ms, epoch = store.now_ms(), store.epoch.number
    await disk.harness.close()
    was = entries(disk.older, older)
    assert was[b"state"] != entries(disk.now, older)[b"state"]
    await change(disk, older, dict(was))
    _, store = await rebuilt(disk)
    assert store.epoch.number > epoch + EPOCH_GAP
    assert store.change > disk.change
    assert store.now_ms() == now_ms
    assert (await store.statistics()).expired > 0
    assert await assert_whole(store, disk) == disk.held
    await disk.harness.close()


async def test_each_copy_may_tell_a_part_of_what_it_was() -> None:
    disk = await lived_in(8)
    await change(disk, Family.META, {b"epochs": b"garbage"})
    await change(disk, Family.SPARE, {b"state": None})
    _, store = await rebuilt(disk)
    assert await assert_whole(store, disk) == disk.held
    await disk.harness.close()


async def test_no_change_is_used_again_though_the_counter_found_is_an_older_one() -> None:
    """What goes on the refill list later comes behind what is on it: no peer passes it."""
    disk = await lived_in(9)
    store = await disk.harness.open()
    await store.ask_for([LOGS[0].key])
    last = store.change
    await disk.harness.close()
    for family in (Family.META, Family.SPARE):
        await change(disk, family, {b"state": entries(disk.older, family)[b"state"]})
    _, store = await rebuilt(disk)
    assert min(r.change for r in (await store.all_logs(None, logs_max=NO_BOUND)).values()) > last
    page = await store.refill(PEER, logs_max=NO_BOUND)
    assert LOGS[0].key in page.logs
    await store.commit(Deposit(refills=[PeerRefill(PEER, b"e" * 16, page.through)]))
    await store.ask_for([LOGS[1].key])
    assert (await store.refill(PEER, logs_max=NO_BOUND)).logs == (LOGS[1].key,)
    await disk.harness.close()


async def test_a_crash_in_the_middle_is_mended_by_doing_it_again() -> None:
    disk = await lived_in(7)
    blobs = list(entries(disk.now, Family.BLOB))
    await change(disk, Family.BLOB, dict.fromkeys(blobs[: len(blobs) // 2]))
    _, store = await rebuilt(disk)
    expected, asked = await assert_whole(store, disk), await asked_for(store)
    await disk.harness.close()

    for syncs in range(1, 5):
        again = await lived_in(7)
        await change(again, Family.BLOB, dict.fromkeys(blobs[: len(blobs) // 2]))
        database = Dying(again.now, syncs)
        with pytest.raises(PowerCut):
            await rebuild(database, epoch_id=EPOCH_ID)
        again.harness._disk = database.power_cut()
        _, store = await rebuilt(again)
        assert await assert_whole(store, again) == expected
        assert await asked_for(store) <= asked
        await again.harness.close()


class PowerCut(Exception):
    """The test cuts the power."""


class Dying(MemoryKeyValue):
    """A database whose power is cut at its n-th sync."""

    def __init__(self, disk: MemoryKeyValue, syncs: int) -> None:
        super().__init__(disk._durable)
        self._left = syncs

    async def sync(self) -> None:
        self._left -= 1
        if not self._left:
            raise PowerCut
        await super().sync()
