"""Rebuilding a database that was repaired: it is made whole from what can be told (design.md 4.8).

A repaired database has lost keys, and may show older values again. What each family says can be
told from others, but for two:

    blob    nothing tells it: what is not there leaves seen, and its log goes on the refill list
    log     its runs from the blobs, its names from `topic`, what was evicted from `evicted`; only
            what expired since an older record is told by nothing, and leaves seen. The last
            bucket of one without a record is that of its newest blob, held or evicted, or else
            the present one: nothing tells for how long it has been empty
    evicted nothing tells it: what is not there leaves seen
    topic   from the logs; names that both have lost are lost, and with them the log's blobs
    feed    from the logs
    due     from the logs
    empty   from the logs
    peer    dropped: we ask every peer from the beginning
    refill  what is left of it stays
    meta    from `spare`, its copy as of the opening and the last minute, where that is newer;
            without both the database is lost
    spare   from `meta`, likewise

A new epoch begins and none is kept; its number leaves a gap that no older value can have reached,
so a cursor of before is unknown rather than proof of a loss. So do the changes: every log gets a
new one, above all that ever were, though the counter that was found may be an older one. Every
batch may be repeated: who calls this remembers that it was not finished, and calls it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple

from meshbox.core.clock import SavedReading
from meshbox.core.errors import IdentityLost, StoreDamaged
from meshbox.core.ids import LOG_KEY_BYTES, LogKey
from meshbox.core.inventory import NONE_SEEN, ClassedRanges, LogDraft, LogRecord, Run
from meshbox.core.limits import BLOB_CHUNK_BYTES, REFILL_LOGS_MAX
from meshbox.core.ranges import SeqRanges
from meshbox.core.retention import bucket_of, bucket_start_ms
from meshbox.storage.embedded.changes import Put, Remove
from meshbox.storage.embedded.commit import patiently
from meshbox.storage.embedded.evicted import decode_evicted
from meshbox.storage.embedded.headers import Header, decode_header
from meshbox.storage.embedded.records import (
    decode_name,
    decode_record,
    encode_name,
    encode_record,
)
from meshbox.storage.embedded.schema import (
    BLOB_KEY_BYTES,
    META_EPOCHS,
    META_NODE,
    META_SCHEMA,
    META_STATE,
    REFILL_END,
    TOPIC_HASH_BYTES,
    blob_range,
    bucket_key,
    chunk_key,
    due_key,
    feed_key,
    parse_blob_key,
    parse_due_key,
    refill_key,
    topic_prefix,
)
from meshbox.storage.embedded.state import (
    Epochs,
    State,
    decode_epochs,
    decode_state,
    encode_epochs,
    encode_state,
)
from meshbox.storage.interface import Epoch
from meshbox.storage.keyvalue import Family, KeyValue

EPOCH_GAP: Final = 2**20
"""Added to the epoch's number: far more openings than an older value may be behind."""
CHANGE_GAP: Final = 2**40
"""Added to the counter of changes: 10,000 a second for three years. A number used again would let
a peer pass entries of the refill list, and a waiting client sleep."""
_META_NAMES: Final = (META_STATE, META_EPOCHS, META_SCHEMA, META_NODE)
_LOGS_AT_ONCE: Final = 64
_BLOBS_AT_ONCE: Final = 16
"""Entries of one scan: large blobs have chunks of a MiB."""
_KEY_FIRST, _KEY_END = b"", b"\xff" * (LOG_KEY_BYTES + 1)
_AFTER_SEQS: Final = b"\xff" * 9
"""Behind K: above all keys of the log's blobs in a bucket, and below the next log's."""
_EVERYTHING_END: Final = b"\xff" * 64

_Ops = list[Put | Remove]


class Rebuilt(NamedTuple):
    """What became of a database."""

    logs: int
    blobs: int
    lost_logs: int
    """Logs that hold less than they did, or may: they are asked for by name."""


async def rebuild(key_value: KeyValue, *, epoch_id: bytes) -> Rebuilt:
    """Makes a repaired database whole; it can be opened when this returns.

    `epoch_id`: 16 fresh random bytes. `IdentityLost` when it says no longer what it was;
    `StoreFailed` and `StoreDamaged` as every access.
    """
    return await _Rebuilding(key_value, epoch_id).run()


class _Rebuilding:
    def __init__(self, key_value: KeyValue, epoch_id: bytes) -> None:
        self._key_value = key_value
        self._epoch_id = epoch_id
        self._copies, self._state, self._epochs = _what_it_was(key_value)
        self._change = self._state.counts.change + CHANGE_GAP
        self._counts = self._state.counts._replace(
            logs=0, blobs=0, bytes=0, logs_bytes=0, empty_bytes=0
        )
        self._bucket = bucket_of(self._state.reading.node_ms)
        self._lost: set[LogKey] = set()
        self._refills = 0

    async def run(self) -> Rebuilt:
        await self._write(self._copies)
        told_by_others = (Family.FEED, Family.DUE, Family.EMPTY, Family.PEER, Family.NOTE)
        await self._write([Remove(family, b"", _EVERYTHING_END) for family in told_by_others])
        self._refills = self._count_refills()
        await self._restore_records()
        await self._mend_records()
        await self._finish()
        return Rebuilt(self._counts.logs, self._counts.blobs, len(self._lost))

    async def _restore_records(self) -> None:
        """Gives every log that has a name a record, be it an empty one."""
        first = b""
        while page := self._key_value.scan(
            Family.TOPIC, first, _EVERYTHING_END, limit=_LOGS_AT_ONCE
        ):
            first = page[-1][0] + b"\0"
            ops: _Ops = []
            keys = [LogKey(entry[TOPIC_HASH_BYTES:]) for entry, _ in page]
            values = self._key_value.get_many(Family.LOG, keys)
            for (entry, name), key, value in zip(page, keys, values, strict=True):
                if value is None or _record(value) is None:
                    self._restore(ops, entry, name, key)
            await self._write(ops)

    def _restore(self, ops: _Ops, entry: bytes, name: bytes, key: LogKey) -> None:
        try:
            log = decode_name(name)
        except StoreDamaged:
            ops.append(Remove(Family.TOPIC, entry))
            return
        ops.append(Put(Family.LOG, key, encode_record(LogRecord(log, 0))))
        self._ask_for(ops, key)

    def _ask_for(self, ops: _Ops, key: LogKey) -> None:
        """Puts a log on the refill list, in the batch that forgets why: see refill.py."""
        if key not in self._lost and self._refills < REFILL_LOGS_MAX:
            entry = refill_key(self._change, key)
            ops.append(Put(Family.REFILL, entry, bucket_key(self._bucket)))
            self._refills += 1
        self._lost.add(key)

    async def _mend_records(self) -> None:
        """Every record, by key, a page at a time, with the blobs of all buckets between."""
        buckets = list(self._buckets(Family.BLOB))
        evicted_buckets = list(self._buckets(Family.EVICTED))
        first = _KEY_FIRST
        while True:
            page = self._key_value.scan(Family.LOG, first, _KEY_END, limit=_LOGS_AT_ONCE)
            last_page = len(page) < _LOGS_AT_ONCE
            end = _KEY_END if last_page else page[-1][0] + _AFTER_SEQS
            records = {LogKey(key): _record(value) for key, value in page}
            ops: _Ops = []
            for key, record in records.items():
                if record is None:
                    ops.append(Remove(Family.LOG, key))
            found: dict[LogKey, list[Run]] = {}
            for bucket in buckets:
                await self._find_runs(ops, found, records, bucket, first, end)
            evicted: dict[LogKey, ClassedRanges] = {}
            for bucket in evicted_buckets:
                self._find_evicted(ops, evicted, records, bucket, first, end)
            for key, record in records.items():
                if record is not None:
                    went = evicted.get(key, NONE_SEEN)
                    self._put(ops, key, record, found.get(key, []), went)
            await self._write(ops)
            if last_page:
                return
            first = end

    def _buckets(self, family: Family) -> Iterator[int]:
        """Those that a family has something of and that were not swept."""
        bucket = self._state.counts.swept + 1
        while entries := self._key_value.scan(family, bucket_key(bucket), _EVERYTHING_END, limit=1):
            bucket = int.from_bytes(entries[0][0][:4])
            yield bucket
            bucket += 1

    async def _find_runs(
        self,
        ops: _Ops,
        found: dict[LogKey, list[Run]],
        records: dict[LogKey, LogRecord | None],
        bucket: int,
        first: bytes,
        end: bytes,
    ) -> None:
        """Adds to `found` what lies in a bucket between two logs; removes what is nobody's."""
        start, stop = bucket_key(bucket) + first, bucket_key(bucket) + end
        while entries := self._key_value.scan(Family.BLOB, start, stop, limit=_BLOBS_AT_ONCE):
            start = entries[-1][0] + b"\0"
            for entry, value in entries:
                if len(entry) != BLOB_KEY_BYTES:
                    continue
                _, key, seq = parse_blob_key(entry)
                header = self._whole(entry, value) if records.get(key) is not None else None
                if header is None:
                    ops.append(Remove(Family.BLOB, *blob_range(bucket, key, seq, seq + 1)))
                else:
                    _note(found.setdefault(key, []), bucket, seq, header)
            await asyncio.sleep(0)

    def _find_evicted(
        self,
        ops: _Ops,
        evicted: dict[LogKey, ClassedRanges],
        records: dict[LogKey, LogRecord | None],
        bucket: int,
        first: bytes,
        end: bytes,
    ) -> None:
        """Adds to `evicted` what went from a bucket, of the logs between two."""
        start, stop = bucket_key(bucket) + first, bucket_key(bucket) + end
        # One entry a log and bucket: no more than the page of logs has, or theirs that are lost.
        while entries := self._key_value.scan(Family.EVICTED, start, stop, limit=_LOGS_AT_ONCE):
            start = entries[-1][0] + b"\0"
            for entry, value in entries:
                key = parse_due_key(entry).log
                went, record = _evicted(value), records.get(key)
                if record is None or went is None:
                    ops.append(Remove(Family.EVICTED, entry))
                    continue
                records[key] = _not_before(record, bucket)
                before = evicted.get(key, NONE_SEEN)
                evicted[key] = ClassedRanges(
                    before.opaque | went.opaque, before.verified | went.verified
                )

    def _whole(self, entry: bytes, value: bytes) -> Header | None:
        """The header of a blob of which nothing is missing."""
        try:
            header = decode_header(value)
        except StoreDamaged:
            return None
        if header.chunked:
            for index in range(-(-header.size_bytes // BLOB_CHUNK_BYTES)):
                part = chunk_key(entry, header.content_hash, index)
                if self._key_value.get_many(Family.BLOB, [part]) == [None]:
                    return None
        return header

    def _put(
        self,
        ops: _Ops,
        key: LogKey,
        before: LogRecord,
        found: list[Run],
        evicted: ClassedRanges,
    ) -> None:
        """Writes a log as it is now, and all that tells of it."""
        newest = max((run.bucket for run in found), default=0)
        draft = LogDraft(_not_before(before, newest or before.last_bucket or self._bucket))
        draft.expire(self._state.counts.swept)
        aged = draft.finish(0)
        runs, surplus = _disjoint(found, aged)
        held = SeqRanges((run.first, run.end) for run in runs)
        mended = LogDraft(
            aged._replace(
                runs=runs,
                expired=aged.expired - held,
                evicted=evicted - held - aged.expired.all,
            )
        )
        for run in (*surplus, *mended.trim()):
            ops.append(Remove(Family.BLOB, *blob_range(run.bucket, key, run.first, run.end)))
        self._change += 1
        record = mended.finish(self._change)
        if (aged.held | aged.evicted.all) - record.held - record.evicted.all:
            self._ask_for(ops, key)
        self._counts = self._counts.moved(None, record)
        ops.append(Put(Family.LOG, key, encode_record(record)))
        name = record.log
        prefix = topic_prefix(name.namespace, name.topic)
        ops.append(Put(Family.TOPIC, prefix + key, encode_name(name)))
        for bucket in {run.bucket for run in record.runs}:
            ops.append(Put(Family.DUE, due_key(bucket, key), b""))
        if record.runs:
            ops.append(Put(Family.FEED, feed_key(self._change), key))
        else:
            ops.append(Put(Family.EMPTY, due_key(record.last_bucket, key), b""))

    async def _finish(self) -> None:
        """The counts and the new epoch, in the last batch."""
        ops: _Ops = []
        counts = self._counts._replace(change=self._change, refills=self._count_refills())
        epochs = Epochs(Epoch(self._epochs.current.number + EPOCH_GAP, self._epoch_id))
        state = State(counts, self._not_before_its_blobs(self._state.reading))
        ops.append(Put(Family.META, META_EPOCHS, encode_epochs(epochs)))
        ops.append(Put(Family.META, META_STATE, encode_state(state)))
        await self._write(ops)
        await self._key_value.flush()

    def _not_before_its_blobs(self, reading: SavedReading) -> SavedReading:
        """A spare copy may be older than the newest blobs, which node time had reached."""
        newest = max(self._buckets(Family.BLOB), default=0)
        return reading._replace(node_ms=max(reading.node_ms, bucket_start_ms(newest)))

    def _count_refills(self) -> int:
        count, first = 0, b""
        while page := self._key_value.scan(Family.REFILL, first, REFILL_END, limit=1_024):
            count += len(page)
            first = page[-1][0] + b"\0"
        return count

    async def _write(self, ops: _Ops) -> None:
        """One batch, durable; a database that is behind is waited for."""
        await patiently(partial(self._apply, ops))
        await self._key_value.sync()

    def _apply(self, ops: _Ops) -> None:
        batch = self._key_value.new_batch()
        for op in ops:
            if isinstance(op, Put):
                batch.put(*op)
            elif op.end is None:
                batch.delete(op.family, op.first)
            else:
                batch.delete_range(op.family, op.first, op.end)
        self._key_value.write(batch)


def _what_it_was(key_value: KeyValue) -> tuple[_Ops, State, Epochs]:
    """What makes both copies say the newest that either does, and that: state and epochs.

    A repair may have brought back an older value in one of them, or in either a part.
    """
    copies = Family.META, Family.SPARE
    states: list[State] = []
    openings: list[tuple[Epochs, bytes, bytes]] = []
    for family in copies:
        state, epochs, schema, node = key_value.get_many(family, _META_NAMES)
        with suppress(StoreDamaged):
            if state is not None:
                states.append(decode_state(state))
        with suppress(StoreDamaged):
            if epochs is not None and schema is not None and node is not None:
                openings.append((decode_epochs(epochs), schema, node))
    if not states or not openings:
        raise IdentityLost(
            "the database is so damaged that it does not say any more what this node acknowledged",
            hint="start again: it becomes a new node, and gets from its peers what they have",
        )
    last = max(states, key=lambda state: (state.counts.change, state.reading.node_ms))
    opening, *names = max(openings, key=lambda found: found[0].current.number)
    values = (encode_state(last), encode_epochs(opening), *names)
    same: _Ops = [
        Put(family, name, value)
        for family in copies
        for name, value in zip(_META_NAMES, values, strict=True)
    ]
    return same, last, opening


def _evicted(value: bytes) -> ClassedRanges | None:
    try:
        return decode_evicted(value).ranges
    except StoreDamaged:
        return None


def _record(value: bytes) -> LogRecord | None:
    try:
        return decode_record(value)
    except StoreDamaged:
        return None


def _not_before(record: LogRecord, bucket: int) -> LogRecord:
    """The record of a log that took a blob in `bucket`."""
    return record._replace(last_bucket=max(record.last_bucket, bucket))


def _note(runs: list[Run], bucket: int, seq: int, header: Header) -> None:
    """Adds a blob that comes after those of the same bucket in `runs`."""
    size_bytes, blob_class = header.size_bytes, header.blob_class
    last = runs[-1] if runs else None
    if last and (last.end, last.bucket, last.blob_class) == (seq, bucket, blob_class):
        largest_bytes = max(last.largest_bytes, size_bytes)
        runs[-1] = last._replace(
            end=seq + 1, bytes=last.bytes + size_bytes, largest_bytes=largest_bytes
        )
    else:
        runs.append(Run(seq, seq + 1, bucket, blob_class, size_bytes, size_bytes))


def _disjoint(found: Sequence[Run], record: LogRecord) -> tuple[tuple[Run, ...], list[Run]]:
    """The runs to hold, ascending, and those that are to go.

    Two buckets may have a blob at one number when one of them was removed: the run that the record
    knows of comes first, then the newer. Where runs overlap the whole of the later one goes.
    """
    kept: list[Run] = []
    surplus: list[Run] = []
    taken = SeqRanges()
    for run in sorted(found, key=lambda run: (not _is_known(record, run), -run.bucket)):
        numbers = SeqRanges.of(run.first, run.end)
        if taken & numbers:
            surplus.append(run)
        else:
            kept.append(run)
            taken |= numbers
    return tuple(sorted(kept)), surplus


def _is_known(record: LogRecord, run: Run) -> bool:
    known = record.run_of(run.first)
    return known is not None and (known.bucket, known.blob_class) == (run.bucket, run.blob_class)
