"""What a repaired database still tells (rebuilding.py): which blobs are whole, what went for room,
and what the database was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from meshbox.core.errors import IdentityLost, StoreDamaged
from meshbox.core.ids import LOG_KEY_BYTES, LogKey
from meshbox.core.inventory import NONE_SEEN, ClassedRanges, LogRecord, Run
from meshbox.core.limits import BLOB_CHUNK_BYTES
from meshbox.storage.embedded.changes import Put, Remove
from meshbox.storage.embedded.evicted import decode_evicted
from meshbox.storage.embedded.headers import Header, decode_header
from meshbox.storage.embedded.records import decode_record
from meshbox.storage.embedded.schema import (
    BLOB_KEY_BYTES,
    META_EPOCHS,
    META_NODE,
    META_SCHEMA,
    META_STATE,
    blob_range,
    bucket_key,
    chunk_key,
    parse_blob_key,
    parse_due_key,
)
from meshbox.storage.embedded.state import (
    Epochs,
    State,
    decode_epochs,
    decode_state,
    encode_epochs,
    encode_state,
)
from meshbox.storage.keyvalue import Family, KeyValue

SCAN_END: Final = b"\xff" * 64
"""Above every key."""
LOGS_AT_ONCE: Final = 64
_BLOBS_AT_ONCE: Final = 16
"""Entries of one scan: large blobs have chunks of a MiB."""
_KEY_FIRST, _KEY_END = b"", b"\xff" * (LOG_KEY_BYTES + 1)
_AFTER_SEQS: Final = b"\xff" * 9
"""Behind K: above all keys of the log's blobs in a bucket, and below the next log's."""
_META_NAMES: Final = (META_STATE, META_EPOCHS, META_SCHEMA, META_NODE)

Ops = list[Put | Remove]


@dataclass(slots=True)
class Stretch:
    """The logs between two keys, and what survived of them."""

    first: bytes
    end: bytes
    records: dict[LogKey, LogRecord | None]
    """None of one that says nothing."""
    runs: dict[LogKey, list[Run]] = field(default_factory=dict)
    """Of the blobs that are whole, bucket by bucket."""
    evicted: dict[LogKey, ClassedRanges] = field(default_factory=dict)
    strays: Ops = field(default_factory=list)
    """Removes what says nothing, or is nobody's."""


class Surviving:
    """Looks through a database of which the buckets up to `swept` are swept."""

    def __init__(self, key_value: KeyValue, *, swept: int) -> None:
        self._key_value = key_value
        self._swept = swept

    def buckets(self, family: Family) -> Iterator[int]:
        """Those that a family has something of."""
        bucket = self._swept + 1
        while entries := self._key_value.scan(family, bucket_key(bucket), SCAN_END, limit=1):
            bucket = int.from_bytes(entries[0][0][:4])
            yield bucket
            bucket += 1

    async def stretches(self) -> AsyncIterator[Stretch]:
        """Everything, by key; what is written of a stretch before the next one is looked at does
        no harm."""
        blob_buckets = list(self.buckets(Family.BLOB))
        evicted_buckets = list(self.buckets(Family.EVICTED))
        first, last_page = _KEY_FIRST, False
        while not last_page:
            page = self._key_value.scan(Family.LOG, first, _KEY_END, limit=LOGS_AT_ONCE)
            last_page = len(page) < LOGS_AT_ONCE
            end = _KEY_END if last_page else page[-1][0] + _AFTER_SEQS
            stretch = Stretch(first, end, {LogKey(key): record_in(value) for key, value in page})
            for key, record in stretch.records.items():
                if record is None:
                    stretch.strays.append(Remove(Family.LOG, key))
            for bucket in blob_buckets:
                await self._find_runs(stretch, bucket)
            for bucket in evicted_buckets:
                self._find_evicted(stretch, bucket)
            yield stretch
            first = end

    async def _find_runs(self, stretch: Stretch, bucket: int) -> None:
        start, stop = bucket_key(bucket) + stretch.first, bucket_key(bucket) + stretch.end
        while entries := self._key_value.scan(Family.BLOB, start, stop, limit=_BLOBS_AT_ONCE):
            start = entries[-1][0] + b"\0"
            for entry, value in entries:
                if len(entry) != BLOB_KEY_BYTES:
                    continue
                _, key, seq = parse_blob_key(entry)
                is_known = stretch.records.get(key) is not None
                header = self._whole(entry, value) if is_known else None
                if header is None:
                    lost = blob_range(bucket, key, seq, seq + 1)
                    stretch.strays.append(Remove(Family.BLOB, *lost))
                else:
                    _note(stretch.runs.setdefault(key, []), bucket, seq, header)
            await asyncio.sleep(0)

    def _find_evicted(self, stretch: Stretch, bucket: int) -> None:
        start, stop = bucket_key(bucket) + stretch.first, bucket_key(bucket) + stretch.end
        # One entry a log and bucket: no more than the stretch has logs, or theirs that are lost.
        while entries := self._key_value.scan(Family.EVICTED, start, stop, limit=LOGS_AT_ONCE):
            start = entries[-1][0] + b"\0"
            for entry, value in entries:
                key = parse_due_key(entry).log
                went, record = _evicted(value), stretch.records.get(key)
                if record is None or went is None:
                    stretch.strays.append(Remove(Family.EVICTED, entry))
                    continue
                stretch.records[key] = not_before(record, bucket)
                before = stretch.evicted.get(key, NONE_SEEN)
                stretch.evicted[key] = ClassedRanges(
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


def what_it_was(key_value: KeyValue) -> tuple[Ops, State, Epochs]:
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
    same: Ops = [
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


def record_in(value: bytes) -> LogRecord | None:
    """The record that a value says, if it says one."""
    try:
        return decode_record(value)
    except StoreDamaged:
        return None


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


def not_before(record: LogRecord, bucket: int) -> LogRecord:
    """The record of a log that took a blob in `bucket`."""
    return record._replace(last_bucket=max(record.last_bucket, bucket))
