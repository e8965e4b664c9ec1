"""The embedded store's own parts, where the contract suite cannot see them."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.errors import StoreBusy, StoreDamaged, StoreFailed, StoreForeign, TooManyRanges
from meshbox.core.ids import BlobClass, LogKey, Namespace, NodeId, Origin, Topic, node_id_of
from meshbox.core.inventory import ClassedRanges, LogRecord, Run
from meshbox.core.limits import CURSORS_KEPT, LOG_RANGES_MAX, MIB, SWEEP_LOGS_MAX
from meshbox.core.ranges import SEQ_END, SeqRanges
from meshbox.core.retention import bucket_of
from meshbox.core.room import Allocation
from meshbox.storage.embedded import caches, commit, listing, peers, pending, planning, schema
from meshbox.storage.embedded.caches import record_weight
from meshbox.storage.embedded.changes import Changes, Remove
from meshbox.storage.embedded.disk import Disk
from meshbox.storage.embedded.headers import Header, decode_header, encode_header
from meshbox.storage.embedded.peers import PeerOrder, PeerRecord, decode_peer, encode_peer
from meshbox.storage.embedded.pending import Pending
from meshbox.storage.embedded.planning import GroupPlan, Known, PreparedDeposit
from meshbox.storage.embedded.records import decode_record, encode_record
from meshbox.storage.embedded.state import Counts, decode_epochs, decode_state
from meshbox.storage.embedded.trial import ChunksMissing, Held, PreparedBlob
from meshbox.storage.interface import Outcome, PeerCursor, PeerRefill
from meshbox.storage.keyvalue import Batch, Family
from meshbox.storage.memory import MemoryKeyValue
from tests.contract.harness import MemoryHarness
from tests.contract.material import (
    DAY_MS,
    LOG,
    blob,
    contents,
    held,
    log_of,
    put,
    put_cursor,
    put_one,
    record,
    sweep,
    turns,
)

seq_sets = st.lists(
    st.one_of(st.integers(0, 50), st.integers(SEQ_END - 50, SEQ_END - 1)), max_size=8
).map(lambda numbers: SeqRanges((n, n + 1) for n in numbers))
seen = st.tuples(seq_sets, seq_sets).map(lambda two: ClassedRanges(two[0] - two[1], two[1]))
u32, u64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)


@given(seq_sets, seen, seen, u64, u32, st.sampled_from(BlobClass), u32)
def test_records_are_read_as_they_were_written(
    numbers: SeqRanges,
    expired: ClassedRanges,
    evicted: ClassedRanges,
    change: int,
    bucket: int,
    blob_class: BlobClass,
    size_bytes: int,
) -> None:
    runs = tuple(
        Run(first, end, bucket, blob_class, size_bytes, size_bytes // 2) for first, end in numbers
    )
    written = LogRecord(log_of("ä", "\U00010000"), change, runs, expired, evicted, bucket)
    assert decode_record(encode_record(written)) == written


@given(st.booleans(), st.sampled_from(BlobClass), u32, u32, st.binary(max_size=50))
def test_headers_are_read_as_they_were_written(
    chunked: bool, blob_class: BlobClass, offset_ms: int, earlier_ms: int, data: bytes
) -> None:
    origin = Origin(b"n" * 32, b"\0\1\2\3")
    size_bytes = 2**20 + 5 if chunked else len(data)
    header = Header(chunked, blob_class, offset_ms, earlier_ms, size_bytes, origin, b"h" * 32)
    assert decode_header(encode_header(header) + (b"" if chunked else data)) == header


@given(st.binary(max_size=90))
def test_damaged_values_are_faults_and_never_values(garbage: bytes) -> None:
    for decode in (decode_record, decode_header, decode_peer, decode_state, decode_epochs):
        try:
            decode(garbage)
        except StoreFailed:
            continue


def test_a_value_cut_short_is_a_fault() -> None:
    origin = Origin(b"n" * 32, b"tag1")
    value = encode_header(Header(False, BlobClass.OPAQUE, 0, 0, 5, origin, b"h" * 32)) + b"12345"
    assert decode_header(value).size_bytes == 5
    for damaged in (value[:-1], value + b"6", value[:20], b"", b"\7" + value[1:]):
        with pytest.raises(StoreFailed):
            decode_header(damaged)
    whole = encode_record(LogRecord(LOG, 1))
    unknown = whole.replace(bytes([LOG.namespace]), b"\x07", 1)
    for damaged in (whole[:-1], unknown):
        with pytest.raises(StoreFailed):
            decode_record(damaged)


@given(st.lists(st.tuples(u32, st.binary(min_size=16, max_size=16), u64), max_size=20))
def test_keys_ascend_as_what_they_name(named: list[tuple[int, bytes, int]]) -> None:
    assert [schema.blob_key(*n) for n in sorted(named)] == sorted(
        schema.blob_key(*n) for n in named
    )


@given(u32, u64, u64, st.integers(0, 2**32 - 1), st.binary(min_size=32, max_size=32))
def test_a_blobs_chunks_lie_in_its_range_alone(
    bucket: int, first: int, seq: int, index: int, content_hash: bytes
) -> None:
    log = LogKey(b"\xff" * 16)
    start, end = schema.blob_range(bucket, log, first, min(first + 10, SEQ_END))
    key = schema.blob_key(bucket, log, seq)
    chunk = schema.chunk_key(key, content_hash, index)
    inside = first <= seq < min(first + 10, SEQ_END)
    assert (start <= key < end) == (start <= chunk < end) == inside
    chunks_start, chunks_end = schema.chunk_range(key, content_hash)
    assert chunks_start <= chunk < chunks_end
    assert not chunks_start <= key < chunks_end


def test_a_hostile_record_weighs_more() -> None:
    runs = tuple(Run(2 * at, 2 * at + 1, 0, BlobClass.OPAQUE, 1, 1) for at in range(1_000))
    assert record_weight(LogRecord(LOG, 1, runs)) > 100 * record_weight(LogRecord(LOG, 1))


async def test_deposits_that_wait_share_one_sync() -> None:
    harness = MemoryHarness()
    store = await harness.open()
    assert harness.gate is not None
    assert isinstance(harness.gate.inner, MemoryKeyValue)
    before = harness.gate.inner.syncs
    await asyncio.gather(*(put(store, blob(store, seq)) for seq in range(200)))
    assert harness.gate.inner.syncs == before + 1
    await asyncio.gather(*(put(store, blob(store, seq)) for seq in range(200)))
    assert harness.gate.inner.syncs == before + 1, "what changes nothing is not written"
    await harness.close()


async def test_a_group_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "COMMIT_BLOBS_MAX", 10)
    monkeypatch.setattr(commit, "COMMIT_BYTES_MAX", 1_000)
    harness = MemoryHarness()
    store = await harness.open()
    assert harness.gate is not None
    assert isinstance(harness.gate.inner, MemoryKeyValue)
    before = harness.gate.inner.syncs
    await asyncio.gather(*(put(store, blob(store, seq)) for seq in range(30)))
    assert harness.gate.inner.syncs == before + 3
    await asyncio.gather(*(put(store, blob(store, 100 + seq, bytes(400))) for seq in range(6)))
    assert harness.gate.inner.syncs == before + 6
    await put(store, *(blob(store, 1_000 + seq) for seq in range(25)))
    assert harness.gate.inner.syncs == before + 7
    await harness.close()


async def test_an_idle_poll_does_not_touch_the_database() -> None:
    harness = MemoryHarness()
    store = await harness.open()
    logs = [log_of(str(at)) for at in range(20)]
    await put(store, *(blob(store, 0, log=log) for log in logs))
    topics = [Topic("topic"), Topic("nobody's")]
    for topic in topics:
        await store.topic(Namespace.LOGS, topic)
    assert harness.gate is not None
    harness.gate.reads = 0
    for topic in topics:
        assert len(await store.topic(Namespace.LOGS, topic)) == (20 if topic == "topic" else 0)
    await store.logs(logs)
    await put(store, blob(store, 1, log=logs[3]), blob(store, 0, log=log_of("new")))
    await put(store, blob(store, 0, log=log_of("a", "nobody's")))
    harness.gate.reads = 0
    assert len(await store.topic(Namespace.LOGS, topics[0])) == 21
    assert len(await store.topic(Namespace.LOGS, topics[1])) == 1
    assert harness.gate.reads == 0
    await harness.close()


async def test_a_log_that_appears_while_a_long_topic_is_read_is_in_the_next_answer() -> None:
    harness = MemoryHarness()
    store = await harness.open()
    await put(store, *(blob(store, 0, log=log_of(f"{at:04}")) for at in range(600)))
    store = await harness.reopen()
    listing = asyncio.create_task(store.topic(Namespace.LOGS, Topic("topic")))
    await turns(1)
    await put(store, blob(store, 0, log=log_of("0000 new")), blob(store, 1, log=log_of("0599")))
    assert 600 <= len(await listing) <= 601
    for _ in range(2):
        found = await store.topic(Namespace.LOGS, Topic("topic"))
        assert len(found) == 601
        assert found[-1].held == SeqRanges.of(0, 2)
    await harness.close()


def damage(disk: MemoryKeyValue, family: Family, key: bytes, value: bytes | None) -> None:
    batch = disk.new_batch()
    if value is None:
        batch.delete(family, key)
    else:
        batch.put(family, key, value)
    disk.write(batch)


async def test_a_damaged_log_costs_only_who_meets_it() -> None:
    harness = MemoryHarness()
    store = await harness.open()
    await put(store, blob(store, 0), blob(store, 0, log=log_of("other")))
    store = await harness.reopen()
    assert harness.gate is not None
    assert isinstance(harness.gate.inner, MemoryKeyValue)
    damage(harness.gate.inner, Family.LOG, LOG.key, b"damaged")
    answers = await asyncio.gather(
        put(store, blob(store, 1, log=log_of("other"))),
        put(store, blob(store, 1)),
        put(store, blob(store, 2, log=log_of("other")), blob(store, 2)),
        put(store, blob(store, 3, log=log_of("other"))),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [tuple, StoreDamaged, StoreDamaged, tuple]
    with pytest.raises(StoreFailed):
        await store.logs([LOG])
    assert sorted(await contents(store, log_of("other"))) == [0, 1, 3]
    await harness.close()


async def test_a_blob_that_vanished_is_a_fault_and_not_a_gap() -> None:
    harness = MemoryHarness()
    store = await harness.open()
    data = bytes(3 * 2**20)
    await put(store, blob(store, 0), blob(store, 1), blob(store, 2, data))
    bucket = (await record(store)).runs[0].bucket
    assert harness.gate is not None
    assert isinstance(harness.gate.inner, MemoryKeyValue)
    (*_, large) = await held(store)
    key = schema.blob_key(bucket, LOG.key, 2)
    damage(harness.gate.inner, Family.BLOB, schema.chunk_key(key, large.content_hash, 1), None)
    with pytest.raises(StoreFailed):
        await contents(store)
    with pytest.raises(StoreFailed):
        await store.read_part(large, offset=2**20, size=5)
    damage(harness.gate.inner, Family.BLOB, schema.blob_key(bucket, LOG.key, 1), None)
    with pytest.raises(StoreFailed):
        await contents(store)
    with pytest.raises(StoreFailed):
        await put(store, blob(store, 1))
    assert await put_one(store, blob(store, 3)) is Outcome.STORED
    await harness.close()


def chunk_count(harness: MemoryHarness) -> int:
    assert harness.gate is not None
    keys = [key for key, _ in harness.gate.scan(Family.BLOB, b"", b"\xff" * 60, limit=9_999)]
    return sum(len(key) > len(schema.blob_key(0, LOG.key, 0)) for key in keys)


@pytest.mark.parametrize("given_up_after", [8, 12, 14])
async def test_chunks_of_a_deposit_that_was_given_up_are_removed(given_up_after: int) -> None:
    harness = MemoryHarness()
    store = await harness.open()
    storing = asyncio.create_task(put(store, blob(store, 0, bytes(5 * 2**20))))
    await turns(given_up_after)
    assert chunk_count(harness) > 0
    storing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await storing
    await turns()
    assert chunk_count(harness) in (0, 6), "none, or those of a blob that is stored after all"
    assert (chunk_count(harness) == 6) == bool(await contents(store))
    await harness.close()


async def test_chunks_of_a_blob_that_lost_are_removed() -> None:
    harness = MemoryHarness()
    store = await harness.open()
    large = [bytes([at]) * (2**20 + 1) for at in range(4)]
    await asyncio.gather(*(put(store, blob(store, 0, data)) for data in large))
    assert chunk_count(harness) == 3
    await put(store, blob(store, 0, b"signed", blob_class=BlobClass.VERIFIED))
    assert chunk_count(harness) == 0
    await harness.close()


async def until_chunks(harness: MemoryHarness, count: int) -> None:
    while chunk_count(harness) < count:
        await asyncio.sleep(0)


async def test_chunks_that_are_removed_while_they_are_written_are_written_again() -> None:
    """Another's change takes the range of keys in which this blob is just being written."""
    harness = MemoryHarness()
    store = await harness.open()
    data = bytes(10 * 2**20)
    storing = asyncio.create_task(put(store, blob(store, 0, data)))
    await until_chunks(harness, 2)
    first, end = schema.blob_range(bucket_of(store.now_ms()), LOG.key, 0, 1)

    def removal() -> Changes:
        return Changes(store._database.counts, [Remove(Family.BLOB, first, end)])

    removing = store._writer.alone(removal)
    await until_chunks(harness, 4)
    assert chunk_count(harness) == 4
    await removing
    assert chunk_count(harness) < 10
    await storing
    assert await contents(store) == {0: data}
    await harness.close()


def test_a_deposit_does_not_count_on_chunks_that_another_of_its_group_removes() -> None:
    """They were there when the group was loaded, and go with the run that its first deposit
    pushes out: the second deposit is told to write them again."""
    bucket, top, origin = 80_000, 2 * LOG_RANGES_MAX, Origin(b"n" * 32, b"tag1")

    def deposit(seq: int, blob_class: BlobClass, *, chunked: bool) -> PreparedDeposit:
        header = Header(chunked, blob_class, 0, 0, 2**21 if chunked else 1, origin, b"h" * 32)
        prepared = PreparedBlob(LOG, LOG.key, seq, bucket, header, b"" if chunked else b"x")
        return PreparedDeposit((prepared,), (), (), (), True, 0, 0)

    first = deposit(1, BlobClass.OPAQUE, chunked=False)
    second = deposit(top, BlobClass.VERIFIED, chunked=True)
    numbers = [*range(3, 2 * LOG_RANGES_MAX, 2), top]
    runs = tuple(Run(seq, seq + 1, bucket, BlobClass.OPAQUE, 1, 1) for seq in numbers)
    assert len(runs) == LOG_RANGES_MAX
    known = Known(
        {LOG.key: LogRecord(LOG, 1, runs, last_bucket=bucket)},
        {(LOG.key, top): Held(bucket, first.blobs[0].header)},
        {(second.blobs[0].blob_key, b"h" * 32)},
    )
    plan = GroupPlan(known, Counts(), due_through=-1)
    assert plan.add(first) == (Outcome.STORED,)
    with pytest.raises(ChunksMissing):
        plan.add(second)


async def test_chunks_of_a_deposit_that_was_refused_are_removed() -> None:
    harness = MemoryHarness()
    store = await harness.open()
    await put(store, *(blob(store, 2 * at) for at in range(LOG_RANGES_MAX)))
    large = blob(store, 2 * LOG_RANGES_MAX, bytes(2 * 2**20))
    with pytest.raises(TooManyRanges):
        await put(store, large)
    assert chunk_count(harness) == 0
    assert await put(store, large, whole=False) == (Outcome.REFUSED,)
    assert chunk_count(harness) == 0
    await harness.close()


async def test_no_chunk_is_written_into_a_bucket_that_was_swept() -> None:
    """Nothing would ever remove it but the next sweep."""
    harness = MemoryHarness()
    store = await harness.open()
    storing = asyncio.create_task(
        put(
            store,
            blob(store, 0, bytes(9 * 2**20), age_ms=6 * DAY_MS),
            blob(store, 1),
            whole=False,
        )
    )
    await until_chunks(harness, 2)
    harness.clock.advance(DAY_MS)
    await sweep(store)
    assert chunk_count(harness) == 0
    assert await storing == (Outcome.EXPIRED, Outcome.STORED)
    assert chunk_count(harness) == 0
    await harness.close()


@pytest.mark.parametrize("swept", [False, True])
async def test_a_blob_whose_log_the_sweep_has_not_mended_yet_is_expired(swept: bool) -> None:
    """Its bytes are gone with the bucket, and the record still lists it."""
    harness = MemoryHarness()
    store = await harness.open()
    logs = [log_of(str(at)) for at in range(SWEEP_LOGS_MAX + 20)]
    await put(store, *(blob(store, 0, log=log) for log in logs))
    harness.clock.advance(8 * DAY_MS)
    if swept:
        assert (await store.sweep_slice()).more
    outcomes = await put(store, *(blob(store, 0, log=log) for log in logs))
    assert set(outcomes) == {Outcome.EXPIRED}
    assert await held(store, *logs) == []
    await harness.close()


async def test_two_topics_with_one_prefix_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight bytes of a hash can be made to collide on purpose."""
    monkeypatch.setattr(planning, "topic_prefix", lambda *_: b"8 bytes.")
    monkeypatch.setattr(listing, "topic_prefix", lambda *_: b"8 bytes.")
    harness = MemoryHarness()
    store = await harness.open()
    await put(store, *(blob(store, 0, log=log_of("a", topic)) for topic in "xyz"))
    store = await harness.reopen()
    for topic in "xyz":
        found = await store.topic(Namespace.LOGS, Topic(topic))
        assert [r.log for r in found] == [log_of("a", topic)]
    assert await store.topic(Namespace.LOGS, Topic("nobody's")) == ()
    await harness.close()


async def test_a_log_that_changes_while_a_long_topic_is_read_is_read_again() -> None:
    harness = MemoryHarness()
    store = await harness.open()
    logs = [log_of(f"{at:04}") for at in range(600)]
    await put(store, *(blob(store, 0, log=log) for log in logs))
    for at in range(12):
        await put(store, blob(store, 1 + at, log=logs[-1]))
        listing_now = asyncio.create_task(store.topic(Namespace.LOGS, Topic("topic")))
        await turns(at)
        await put(store, blob(store, 1 + at, log=logs[0]))
        await listing_now
        found = await store.topic(Namespace.LOGS, Topic("topic"))
        assert found[0].held == found[-1].held == SeqRanges.of(0, at + 2)
    await harness.close()


async def test_a_large_blob_replaced_while_it_is_read_is_read_anew() -> None:
    harness = MemoryHarness()
    store = await harness.open()
    before, after = bytes(5 * 2**20), b"\1" * (4 * 2**20)
    for at in range(10):
        await put(store, blob(store, at, before))
        reading = asyncio.create_task(
            store.read(
                [(LOG, SeqRanges.single(at))],
                blobs_max=1,
                bytes_max=2**30,
                whole_bytes_max=2**30,
            )
        )
        await turns(at)
        signed = blob(store, at, b"signed" if at % 2 else after, blob_class=BlobClass.VERIFIED)
        await put(store, signed)
        (found,) = (await reading).blobs
        assert found.data in (before, signed.data)
        assert (found.data == before) == (found.blob_class is BlobClass.OPAQUE)
    await harness.close()


async def test_what_was_left_behind_in_older_buckets_goes_with_the_next_sweep() -> None:
    harness = MemoryHarness()
    store = await harness.open()
    assert harness.gate is not None
    assert isinstance(harness.gate.inner, MemoryKeyValue)
    bucket = bucket_of(store.now_ms()) - 40
    damage(harness.gate.inner, Family.BLOB, schema.blob_key(bucket, LOG.key, 1), b"orphan")
    await sweep(store)
    assert harness.gate.scan(Family.BLOB, b"", b"\xff" * 60, limit=9) == []
    await harness.close()


async def test_what_was_recovered_is_durable_before_anything_else_happens() -> None:
    calls: list[str] = []

    class Recorded(MemoryKeyValue):
        async def flush(self) -> None:
            calls.append("flush")
            await super().flush()

        def write(self, batch: Batch) -> None:
            calls.append("write")
            super().write(batch)

        async def sync(self) -> None:
            calls.append("sync")
            await super().sync()

    disk = Recorded()
    harness = MemoryHarness()
    harness._engine = lambda: disk  # type: ignore[method-assign]
    await harness.open()
    assert calls == ["flush", "write", "sync"]
    await harness.close()


async def test_a_bug_leaves_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    harness = MemoryHarness()
    store = await harness.open()

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(GroupPlan, "finish", broken)
    answers = await asyncio.gather(
        put(store, blob(store, 0)), put(store, blob(store, 1)), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [StoreFailed] * 2
    assert isinstance(answers[0], StoreFailed)
    assert store.trouble is not None
    assert store.trouble is answers[0].__cause__
    assert isinstance(store.trouble.__cause__, ZeroDivisionError)
    with pytest.raises(StoreFailed):
        await store.logs([LOG])
    await harness.close()


async def test_a_database_that_is_behind_for_a_moment_is_waited_for() -> None:
    harness = MemoryHarness()
    store = await harness.open()
    harness.refuse_writes(True)
    small = asyncio.create_task(put(store, blob(store, 0)))
    large = asyncio.create_task(put(store, blob(store, 1, bytes(2**20 + 1))))
    await turns()
    assert not small.done()
    harness.refuse_writes(False)
    assert await small == await large == (Outcome.STORED,)
    await harness.close()


def test_room_is_bounded_but_for_a_single_deposit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "PENDING_BLOBS_MAX", 10)
    monkeypatch.setattr(pending, "PENDING_BYTES_MAX", 1_000)
    waiting = Pending()
    with waiting.taken(blobs=6, size_bytes=10):
        with pytest.raises(StoreBusy), waiting.taken(blobs=5, size_bytes=1):
            pass
        with pytest.raises(StoreBusy), waiting.taken(blobs=1, size_bytes=991):
            pass
        with waiting.taken(blobs=4, size_bytes=990):
            pass
    with (
        waiting.taken(blobs=11, size_bytes=5_000),
        pytest.raises(StoreBusy),
        waiting.taken(blobs=1, size_bytes=1),
    ):
        pass
    with waiting.taken(blobs=10, size_bytes=1_000):
        pass


async def test_a_store_with_too_much_waiting_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "PENDING_BLOBS_MAX", 10)
    harness = MemoryHarness()
    store = await harness.open()
    harness.hold_syncs()
    waiting = [asyncio.create_task(put(store, blob(store, seq))) for seq in range(12)]
    await turns()
    assert [task.done() for task in waiting] == [False] * 10 + [True] * 2
    assert isinstance(waiting[-1].exception(), StoreBusy)
    assert isinstance(waiting[-2].exception(), StoreBusy)
    harness.release_syncs()
    assert await asyncio.gather(*waiting[:10]) == [(Outcome.STORED,)] * 10
    await harness.close()


async def test_a_newer_schema_and_a_foreign_database_are_refused() -> None:
    harness = MemoryHarness()
    store = await harness.open()
    await put(store, blob(store, 0))
    await harness.close()
    newer = harness.copy()._engine()
    assert isinstance(newer, MemoryKeyValue)
    version = (schema.SCHEMA_VERSION + 1).to_bytes(4, "big")
    damage(newer, Family.META, schema.META_SCHEMA, version)
    await newer.sync()
    with pytest.raises(StoreForeign, match="schema"):
        await MemoryHarness(newer).open()
    foreign = MemoryKeyValue()
    damage(foreign, Family.TOPIC, b"what", b"ever")
    await foreign.sync()
    with pytest.raises(StoreForeign, match="none of ours"):
        await MemoryHarness(foreign).open()
    partial = harness.copy()._engine()
    assert isinstance(partial, MemoryKeyValue)
    damage(partial, Family.META, schema.META_STATE, None)
    await partial.sync()
    with pytest.raises(StoreForeign, match="incomplete"):
        await MemoryHarness(partial).open()


def peer_at(number: int) -> NodeId:
    return node_id_of(number.to_bytes(32, "big"))


async def test_the_peer_that_is_quiet_longest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "PEERS_KEPT_MAX", 3)
    harness = MemoryHarness()
    store = await harness.open()
    for number in (1, 2, 3, 1):
        await put(store, blob(store, store.change))
        await put_cursor(store, b"c%d" % store.change, peer=peer_at(number))
    store = await harness.reopen()
    await asyncio.gather(*(put_cursor(store, b"x", peer=peer_at(number)) for number in (4, 5)))
    kept = [bool(await store.cursors(peer_at(number))) for number in range(1, 6)]
    assert kept == [True, False, False, True, True]
    await harness.close()


def test_who_was_just_heard_is_never_the_one_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "PEERS_KEPT_MAX", 2)
    order = PeerOrder([(peer_at(1), PeerRecord(5)), (peer_at(2), PeerRecord(3))])
    assert order.surplus([peer_at(2), peer_at(3)]) == [peer_at(1)]
    assert order.surplus([peer_at(1), peer_at(2)]) == []
    assert order.surplus([peer_at(3)]) == [peer_at(2)]


def test_the_last_cursors_of_an_epoch_are_kept() -> None:
    kept = PeerRecord(0)
    for number in range(2 * CURSORS_KEPT):
        kept = kept.adding(PeerCursor(peer_at(1), b"e", b"%d" % number), change=number)
    assert kept.epochs[0].cursors == tuple(
        b"%d" % number for number in reversed(range(CURSORS_KEPT, 2 * CURSORS_KEPT))
    )
    assert decode_peer(encode_peer(kept)) == kept
    newest = PeerCursor(peer_at(1), b"e", kept.epochs[0].cursors[0])
    assert kept.adding(newest, change=99) is kept


def of_epochs(*passed: bool) -> PeerRecord:
    """A peer that restarted between its cursors, of which some passed something."""
    kept = PeerRecord(0)
    for at, was_passed in enumerate(passed):
        epoch, cursor = b"e%d" % at, b"c%d" % at
        kept = kept.adding(PeerCursor(peer_at(1), epoch, cursor), change=at)
        if was_passed:
            after = PeerCursor(peer_at(1), epoch, cursor + b" and more", passed=True)
            kept = kept.adding(after, change=at)
    return kept


def test_cursors_return_to_before_a_peer_restarted() -> None:
    """Its next opening went on from a cursor that had passed something."""
    returned = of_epochs(False, True, False).returned()
    assert [kept.cursor for kept in returned.newest(peer_at(1))] == [b"c1", b"c0"]
    assert not returned.has_passed


def test_the_smallest_of_what_was_passed_says_when_to_return() -> None:
    kept = PeerRecord(0)
    for number, size_bytes in enumerate((900, 300, 600)):
        passing = PeerCursor(peer_at(1), b"e", b"%d" % number, passed=True, room_bytes=size_bytes)
        kept = kept.adding(passing, change=number)
    kept = kept.adding(PeerCursor(peer_at(1), b"e", b"more"), change=9)
    assert kept.room_bytes == 300
    assert PeerOrder([(peer_at(1), kept)]).passed == {peer_at(1): 300}
    assert kept.returned().room_bytes == 0


def test_what_was_asked_for_by_name_and_passed_is_before_every_cursor() -> None:
    asked = PeerRefill(peer_at(1), b"e2", b"1", passed=True, room_bytes=300)
    for known in (PeerRecord(0), of_epochs(False, False), of_epochs(False, True, False)):
        kept = known.asked_for(asked, change=9)
        assert (kept.refilled, kept.has_passed, kept.change) == (b"1", True, 9)
        assert kept.newest(peer_at(1)) == known.newest(peer_at(1))
        assert decode_peer(encode_peer(kept)) == kept
        assert kept.asked_for(asked, change=10) is kept
        assert kept.returned().newest(peer_at(1)) == ()
    assert PeerRecord(0).asked_for(asked, change=9).room_bytes == 300
    unpassed = of_epochs(False).asked_for(asked._replace(passed=False), change=9)
    assert not unpassed.has_passed


def test_what_a_forgotten_epoch_passed_is_found_by_comparing() -> None:
    kept = of_epochs(True, *(False for _ in range(CURSORS_KEPT)))
    assert len(kept.epochs) == CURSORS_KEPT
    assert kept.has_passed
    assert kept.returned().newest(peer_at(1)) == ()


async def test_small_caches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caches, "RECORDS_COUNT_MAX", 2)
    monkeypatch.setattr(caches, "TOPICS_COUNT_MAX", 1)
    harness = MemoryHarness()
    store = await harness.open()
    chance = random.Random(5)
    stored: dict[tuple[str, str], set[int]] = {}
    for step in range(150):
        name = (chance.choice("abcde"), chance.choice("xyz"))
        many = [blob(store, step + extra, log=log_of(*name)) for extra in range(3)]
        await put(store, *many)
        stored.setdefault(name, set()).update(range(step, step + 3))
        topic = chance.choice("xyz")
        found = await store.topic(Namespace.LOGS, Topic(topic))
        assert {(r.log.author, r.log.topic): r.held for r in found} == {
            name: SeqRanges((n, n + 1) for n in numbers)
            for name, numbers in stored.items()
            if name[1] == topic
        }
    await harness.close()


async def test_a_sweep_does_not_fill_the_caches_with_what_is_empty(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is remembered is looked through by the garbage collector, and was asked for."""
    monkeypatch.setattr(caches, "RECORDS_COUNT_MAX", 3)
    harness = MemoryHarness()
    store = await harness.open()
    old = [log_of(f"old {at}") for at in range(9)]
    await put(store, *(blob(store, 0, log=log) for log in old))
    harness.clock.advance(7 * DAY_MS)
    await put_one(store, blob(store, 0))
    asked = await record(store)
    assert (await sweep(store)).blobs == 9
    remembered = store._database.caches.records
    assert len(remembered) == 1
    assert remembered.get(LOG.key) is asked
    assert all(r is not None and r.expired.all for r in await store.logs(old))
    await harness.close()


async def test_a_blob_that_many_ask_for_is_read_once_and_never_when_replaced() -> None:
    harness = MemoryHarness()
    store = await harness.open()
    large = bytes(caches.BLOB_BYTES_MAX + 1)
    await put(store, blob(store, 0, b"opaque", blob_class=BlobClass.OPAQUE), blob(store, 1, large))

    async def data(*, whole_bytes_max: int = len(large)) -> list[bytes | None]:
        page = await store.read(
            [(LOG, SeqRanges.of(0, 2))],
            blobs_max=2,
            bytes_max=10 * len(large),
            whole_bytes_max=whole_bytes_max,
        )
        return [found.data for found in page.blobs]

    assert await data() == [b"opaque", large]
    assert await data(whole_bytes_max=5) == [None, None]
    assert harness.gate is not None
    harness.gate.reads = 0
    assert await data() == [b"opaque", large]
    assert harness.gate.reads == 1, "for the large one alone"
    await put_one(store, blob(store, 0, b"verified", blob_class=BlobClass.VERIFIED))
    assert await data() == [b"verified", large]
    await harness.close()


class Sprawling(MemoryKeyValue):
    """A database whose log grows."""

    log_bytes = 0

    def disk_bytes(self) -> int:
        return super().disk_bytes() + self.log_bytes


async def test_nothing_has_to_go_for_what_the_database_itself_takes() -> None:
    database = Sprawling()
    others_bytes = 0
    disk = Disk(
        database,
        Allocation(None, 100 * MIB),
        lambda: 1_000 * MIB - database.disk_bytes() - others_bytes,
    )
    assert disk.bound_bytes(0) == 900 * MIB
    database.log_bytes = 40 * MIB
    assert disk.bound_bytes(0) == 900 * MIB
    others_bytes = 500 * MIB
    assert disk.bound_bytes(0) == 400 * MIB
    database.log_bytes = 480 * MIB
    assert disk.is_exhausted, "it is counted all the same"


async def test_the_sweep_of_an_idle_store_writes_nothing_twice() -> None:
    harness = MemoryHarness()
    store = await harness.open()
    await put(store, blob(store, 0))
    harness.clock.advance(8 * DAY_MS)
    await sweep(store)
    assert harness.gate is not None
    assert isinstance(harness.gate.inner, MemoryKeyValue)
    before, change = harness.gate.inner.syncs, store.change
    for _ in range(5):
        await sweep(store)
    assert (harness.gate.inner.syncs, store.change) == (before, change)
    await harness.close()
