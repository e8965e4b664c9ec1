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

from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

from meshbox.core.clock import SavedReading
from meshbox.core.errors import StoreDamaged
from meshbox.core.ids import LogKey
from meshbox.core.inventory import NONE_SEEN, ClassedRanges, LogDraft, LogRecord, Run
from meshbox.core.limits import REFILL_LOGS_MAX
from meshbox.core.ranges import SeqRanges
from meshbox.core.retention import bucket_of, bucket_start_ms
from meshbox.storage.embedded.changes import Put, Remove
from meshbox.storage.embedded.commit import patiently
from meshbox.storage.embedded.records import (
    decode_name,
    encode_name,
    encode_record,
)
from meshbox.storage.embedded.schema import (
    META_EPOCHS,
    META_STATE,
    REFILL_END,
    TOPIC_HASH_BYTES,
    blob_range,
    bucket_key,
    due_key,
    feed_key,
    refill_key,
    topic_prefix,
)
from meshbox.storage.embedded.state import (
    Epochs,
    State,
    encode_epochs,
    encode_state,
)
from meshbox.storage.embedded.surviving import (
    LOGS_AT_ONCE,
    SCAN_END,
    Ops,
    Surviving,
    not_before,
    record_in,
    what_it_was,
)
from meshbox.storage.interface import Epoch
from meshbox.storage.keyvalue import Family, KeyValue

EPOCH_GAP: Final = 2**20
"""Added to the epoch's number: far more openings than an older value may be behind."""
CHANGE_GAP: Final = 2**40
"""Added to the counter of changes: 10,000 a second for three years. A number used again would let
a peer pass entries of the refill list, and a waiting client sleep."""


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
        self._copies, self._state, self._epochs = what_it_was(key_value)
        self._surviving = Surviving(key_value, swept=self._state.counts.swept)
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
        await self._write([Remove(family, b"", SCAN_END) for family in told_by_others])
        self._refills = self._count_refills()
        await self._restore_records()
        await self._mend_records()
        await self._finish()
        return Rebuilt(self._counts.logs, self._counts.blobs, len(self._lost))

    async def _restore_records(self) -> None:
        """Gives every log that has a name a record, be it an empty one."""
        first = b""
        while page := self._key_value.scan(Family.TOPIC, first, SCAN_END, limit=LOGS_AT_ONCE):
            first = page[-1][0] + b"\0"
            ops: Ops = []
            keys = [LogKey(entry[TOPIC_HASH_BYTES:]) for entry, _ in page]
            values = self._key_value.get_many(Family.LOG, keys)
            for (entry, name), key, value in zip(page, keys, values, strict=True):
                if value is None or record_in(value) is None:
                    self._restore(ops, entry, name, key)
            await self._write(ops)

    def _restore(self, ops: Ops, entry: bytes, name: bytes, key: LogKey) -> None:
        try:
            log = decode_name(name)
        except StoreDamaged:
            ops.append(Remove(Family.TOPIC, entry))
            return
        ops.append(Put(Family.LOG, key, encode_record(LogRecord(log, 0))))
        self._ask_for(ops, key)

    def _ask_for(self, ops: Ops, key: LogKey) -> None:
        """Puts a log on the refill list, in the batch that forgets why: see refill.py."""
        if key not in self._lost and self._refills < REFILL_LOGS_MAX:
            entry = refill_key(self._change, key)
            ops.append(Put(Family.REFILL, entry, bucket_key(self._bucket)))
            self._refills += 1
        self._lost.add(key)

    async def _mend_records(self) -> None:
        """Every record, by key, with the blobs of all buckets."""
        async for stretch in self._surviving.stretches():
            ops = stretch.strays
            for key, record in stretch.records.items():
                if record is not None:
                    went = stretch.evicted.get(key, NONE_SEEN)
                    self._put(ops, key, record, stretch.runs.get(key, []), went)
            await self._write(ops)

    def _put(
        self,
        ops: Ops,
        key: LogKey,
        before: LogRecord,
        found: list[Run],
        evicted: ClassedRanges,
    ) -> None:
        """Writes a log as it is now, and all that tells of it."""
        newest = max((run.bucket for run in found), default=0)
        draft = LogDraft(not_before(before, newest or before.last_bucket or self._bucket))
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
        ops: Ops = []
        counts = self._counts._replace(change=self._change, refills=self._count_refills())
        epochs = Epochs(Epoch(self._epochs.current.number + EPOCH_GAP, self._epoch_id))
        state = State(counts, self._not_before_its_blobs(self._state.reading))
        ops.append(Put(Family.META, META_EPOCHS, encode_epochs(epochs)))
        ops.append(Put(Family.META, META_STATE, encode_state(state)))
        await self._write(ops)
        await self._key_value.flush()

    def _not_before_its_blobs(self, reading: SavedReading) -> SavedReading:
        """A spare copy may be older than the newest blobs, which node time had reached."""
        newest = max(self._surviving.buckets(Family.BLOB), default=0)
        return reading._replace(node_ms=max(reading.node_ms, bucket_start_ms(newest)))

    def _count_refills(self) -> int:
        count, first = 0, b""
        while page := self._key_value.scan(Family.REFILL, first, REFILL_END, limit=1_024):
            count += len(page)
            first = page[-1][0] + b"\0"
        return count

    async def _write(self, ops: Ops) -> None:
        """One batch, durable; a database that is behind is waited for."""
        await patiently(partial(self._apply, ops))
        await self._key_value.sync()

    def _apply(self, ops: Ops) -> None:
        batch = self._key_value.new_batch()
        for op in ops:
            if isinstance(op, Put):
                batch.put(*op)
            elif op.end is None:
                batch.delete(op.family, op.first)
            else:
                batch.delete_range(op.family, op.first, op.end)
        self._key_value.write(batch)


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
