"""One deposit, tried on an overlay of its group: pure, and dropped when the deposit is refused.

Blobs win or lose by `LogDraft.admit` alone (design.md 4.2). What is due is treated as if the sweep
had been there already: when it runs makes no difference to any answer.

Invariant: a blob that is answered as stored, replaced or known is held once the trial is accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from meshbox.core.errors import StoreFull
from meshbox.core.ids import LogId, LogKey
from meshbox.core.inventory import Admission, LogDraft, LogRecord
from meshbox.core.ranges import SeqRanges
from meshbox.core.room import UNBOUNDED, RoomLeft, metadata_bytes, newcomer_bytes
from meshbox.storage.embedded.caches import oldest_bucket
from meshbox.storage.embedded.changes import Put, Remove
from meshbox.storage.embedded.headers import Header, encode_header
from meshbox.storage.embedded.schema import blob_key, blob_range, chunk_range, due_key
from meshbox.storage.interface import Outcome
from meshbox.storage.keyvalue import Family
from meshbox.storage.refusing import refuse_pushed


class PreparedBlob(NamedTuple):
    """A blob of a deposit, with what is computed once."""

    log: LogId
    key: LogKey
    seq: int
    bucket: int
    header: Header
    data: bytes
    """Empty when the blob is in chunks, which are written before."""

    @property
    def blob_key(self) -> bytes:
        """Where its header goes."""
        return blob_key(self.bucket, self.key, self.seq)

    @property
    def footprint_bytes(self) -> int:
        """What it may add to what storage counts for (core/room.py)."""
        return newcomer_bytes(self.header.size_bytes)


class Held(NamedTuple):
    """A blob that the database holds, or will after the group."""

    bucket: int
    header: Header


Place = tuple[LogKey, int]
"""A log and a sequence number."""
Content = tuple[bytes, bytes]
"""A blob's key and the hash of its content: what chunks belong to."""


class ChunksMissing(Exception):
    """The chunks of a blob are not there (any more): write them and try again."""


class Basis(NamedTuple):
    """What a trial builds on: the database and the deposits of the group before it."""

    records: Mapping[LogKey, LogRecord | None]
    held: Mapping[Place, Held]
    chunked: frozenset[Content]
    due_through: int
    room: RoomLeft = UNBOUNDED


@dataclass(slots=True)
class _Log:
    """A log of the deposit."""

    record: LogRecord | None
    draft: LogDraft
    buckets: set[int]
    """Buckets known to have their entry in `due`."""
    due_count: int
    """Blobs that the draft has expired already; they count when the log changes."""
    changed: bool = False


@dataclass(slots=True)
class Trial:
    """One deposit on its overlay."""

    basis: Basis
    ops: list[Put | Remove] = field(default_factory=list)
    held: dict[Place, Held] = field(default_factory=dict)
    conflicts: int = 0
    expired: int = 0
    taken_bytes: int = 0
    """What it takes of the room."""
    _logs: dict[LogKey, _Log] = field(default_factory=dict)

    def admit_all(self, blobs: Iterable[PreparedBlob], *, whole: bool) -> tuple[Outcome, ...]:
        """What becomes of each blob; `TooManyRanges` when a `whole` deposit has no place."""
        blobs = tuple(blobs)
        outcomes = [self._admit(blob, whole=whole) for blob in blobs]
        pushed = self._trim()
        if pushed:
            places = ((blob.key, blob.seq) for blob in blobs)
            refuse_pushed(outcomes, places, pushed, whole=whole)
        if whole and Outcome.NO_ROOM in outcomes:
            raise StoreFull(
                "there is no room, and nothing that could go for this",
                hint="give the store more space (storage_limit), or free some on its disk",
            )
        self.conflicts = outcomes.count(Outcome.CONFLICT)
        return tuple(outcomes)

    def records(self) -> Iterable[tuple[LogKey, LogRecord]]:
        """The logs that changed, as they are now; their `change` is not given yet."""
        return ((key, log.draft.finish(0)) for key, log in self._logs.items() if log.changed)

    def _admit(self, blob: PreparedBlob, *, whole: bool) -> Outcome:
        log = self._log(blob)
        admission = log.draft.admit(blob.seq, blob.header.blob_class)
        if admission is Admission.HELD:
            same = self._held(blob).header.content_hash == blob.header.content_hash
            return Outcome.KNOWN if same else Outcome.CONFLICT
        if admission is Admission.EXPIRED or blob.bucket <= self.basis.due_through:
            return Outcome.EXPIRED
        if not self._has_place(log, blob, whole=whole):
            return Outcome.NO_ROOM
        if blob.header.chunked and (blob.blob_key, blob.header.content_hash) not in (
            self.basis.chunked
        ):
            raise ChunksMissing
        if admission is Admission.UPGRADE:
            self._take_out(log, blob)
        self._put(log, blob)
        return Outcome.REPLACED if admission is Admission.UPGRADE else Outcome.STORED

    def _has_place(self, log: _Log, blob: PreparedBlob, *, whole: bool) -> bool:
        footprint = blob.footprint_bytes
        if log.record is None and not log.changed:
            footprint += metadata_bytes(LogRecord(blob.log, 0))
        place = (blob.bucket, blob.key, blob.seq)
        if not self.basis.room.takes(self.taken_bytes + footprint, place, whole=whole):
            return False
        self.taken_bytes += footprint
        return True

    def _log(self, blob: PreparedBlob) -> _Log:
        log = self._logs.get(blob.key)
        if log is None:
            record = self.basis.records[blob.key]
            draft = LogDraft(record or LogRecord(blob.log, 0))
            buckets: set[int] = set()
            due_count = 0
            if record is not None:
                buckets.update(run.bucket for run in record.runs[-1:])
                if oldest_bucket(record) <= self.basis.due_through:
                    due = draft.expire(self.basis.due_through)
                    due_count = sum(run.end - run.first for run in due)
            log = self._logs[blob.key] = _Log(record, draft, buckets, due_count)
        return log

    def _touch(self, log: _Log) -> None:
        """The log is about to change."""
        if not log.changed:
            log.changed = True
            self.expired += log.due_count

    def _held(self, blob: PreparedBlob) -> Held:
        place = (blob.key, blob.seq)
        return self.held.get(place) or self.basis.held[place]

    def _take_out(self, log: _Log, blob: PreparedBlob) -> None:
        """Removes the opaque blob whose place `blob` takes."""
        old = self._held(blob)
        log.draft.remove(blob.seq, size_bytes=old.header.size_bytes)
        old_key = blob_key(old.bucket, blob.key, blob.seq)
        self.ops.append(Remove(Family.BLOB, old_key))
        same_chunks = (old_key, old.header.content_hash) == (
            blob.blob_key,
            blob.header.content_hash,
        )
        if old.header.chunked and not same_chunks:
            self.ops.append(Remove(Family.BLOB, *chunk_range(old_key, old.header.content_hash)))

    def _put(self, log: _Log, blob: PreparedBlob) -> None:
        self._touch(log)
        self._note_bucket(log, blob)
        log.draft.add(
            blob.seq,
            blob_class=blob.header.blob_class,
            bucket=blob.bucket,
            size_bytes=blob.header.size_bytes,
        )
        self.held[blob.key, blob.seq] = Held(blob.bucket, blob.header)
        value = encode_header(blob.header) + blob.data
        self.ops.append(Put(Family.BLOB, blob.blob_key, value))

    def _note_bucket(self, log: _Log, blob: PreparedBlob) -> None:
        """Writes the entry for the sweep, once a log and bucket.

        A bucket that a run lies in has its entry: entries go with the last run of their bucket,
        or later. Most blobs go where the highest run lies.
        """
        if blob.bucket in log.buckets:
            return
        if log.record is not None:
            log.buckets.update(run.bucket for run in log.record.runs)
        if blob.bucket not in log.buckets:
            log.buckets.add(blob.bucket)
            self.ops.append(Put(Family.DUE, due_key(blob.bucket, blob.key), b""))

    def _trim(self) -> dict[LogKey, SeqRanges]:
        """Holds every log to its bound; the numbers of the blobs that this pushed out."""
        pushed: dict[LogKey, SeqRanges] = {}
        for key, log in self._logs.items():
            runs = log.draft.trim() if log.changed else []
            if runs:
                self.ops += (
                    Remove(Family.BLOB, *blob_range(run.bucket, key, run.first, run.end))
                    for run in runs
                )
                pushed[key] = SeqRanges((run.first, run.end) for run in runs)
        return pushed
