"""Making room: what is nearest its end goes, a bounded slice a batch (core/room.py has the rules).

What goes in one batch lies side by side in the database: blobs of one bucket, in the order of K and
number, from the hand on. So one range removal takes them, whatever their number, and only the
records of their logs are written one by one. A run goes whole where so much is needed; else its
lowest numbers go, and their headers are read to know what that frees.

Invariants: what a batch removes is in the evicted ranges of its records; a slice touches at most
`SWEEP_LOGS_MAX` logs and reads at most `EVICT_READ_BYTES_MAX`; nothing is evicted unless a deposit
or the bound needs its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from meshbox.core.ids import LogKey
from meshbox.core.inventory import NONE_SEEN, Run
from meshbox.core.limits import (
    EVICT_READ_BLOBS_MAX,
    EVICT_READ_BYTES_MAX,
    LOG_RANGES_MAX,
    SWEEP_LOGS_MAX,
)
from meshbox.core.ranges import SeqRanges
from meshbox.core.room import (
    BLOB_OVERHEAD_BYTES,
    ENDLESS_BYTES,
    UNBOUNDED,
    FirstToGo,
    RoomLeft,
    goal_bytes,
    has_room,
)
from meshbox.storage.embedded.changes import Changes, Remove
from meshbox.storage.embedded.database import Database
from meshbox.storage.embedded.disk import Disk
from meshbox.storage.embedded.drafts import Drafts
from meshbox.storage.embedded.evicted import Evicted, entry_op, evicted_before
from meshbox.storage.embedded.schema import (
    DueEntry,
    blob_range,
    bucket_key,
    due_key,
    parse_due_key,
)
from meshbox.storage.keyvalue import Family

Incoming = Mapping[int, int]
"""Bucket → the footprint of what wants to come into it."""

NOTHING: Final[Incoming] = {}


@dataclass(slots=True)
class _Slice:
    """What one batch takes out."""

    bucket: int
    needed_bytes: int
    drafts: Drafts
    taken: dict[LogKey, Evicted] = field(default_factory=dict)
    emptied: list[LogKey] = field(default_factory=list)
    """Logs with nothing left in the bucket, in their order."""
    first: bytes = b""
    end: bytes = b""
    blobs: int = 0

    def take(self, key: LogKey, run: Run, *, count: int, size_bytes: int) -> None:
        """The lowest `count` blobs of a run go."""
        self.drafts[key].evict(run, count=count, size_bytes=size_bytes)
        classed = NONE_SEEN.adding(SeqRanges.of(run.first, run.first + count), run.blob_class)
        footprint = size_bytes + count * BLOB_OVERHEAD_BYTES
        self.taken[key] = self.taken.get(key, Evicted()) + Evicted(footprint, classed)
        first, self.end = blob_range(self.bucket, key, run.first, run.first + count)
        self.first = self.first or first
        self.blobs += count
        self.needed_bytes -= footprint


class Eviction:
    """Makes the batches that make room. Remembers whether the store is full, and the hand."""

    def __init__(self, database: Database, disk: Disk) -> None:
        self._database = database
        self._disk = disk
        self._bucket = 0
        self._hand = b""
        """Where in the bucket the next goes: the start of a key."""
        self.full = False
        """Something had to go, or was refused, and not enough is free again."""

    @property
    def floor(self) -> int | None:
        """The lowest bucket of which anything is wanted from others; None: all are."""
        self.notice_room()
        return self._bucket if self.full else None

    def notice_room(self) -> bool:
        """Whether there is room for what went to come back."""
        used_bytes = self._database.counts.used_bytes
        roomy = has_room(used_bytes, self._disk.bound_bytes(used_bytes))
        self.full = self.full and not roomy
        return roomy and not self.full

    def has_room_for(self, size_bytes: int) -> bool:
        """Whether a footprint of so many bytes is taken though nothing goes, whatever comes with
        it."""
        used_bytes = self._database.counts.used_bytes
        is_roomy = has_room(used_bytes, self._disk.bound_bytes(used_bytes))
        return is_roomy and not self.is_needed(size_bytes)

    async def caught_up(self) -> None:
        """Waits, when the store is full, until the disk has back most of what went before."""
        if not self.full:
            return
        bound_bytes = self.bound_bytes
        if bound_bytes is not None:
            await self._disk.caught_up(bound_bytes)

    @property
    def bound_bytes(self) -> int | None:
        """What the footprint may be now; None: no bound."""
        return self._disk.bound_bytes(self._database.counts.used_bytes)

    @property
    def most_bytes(self) -> int:
        """What might come in if every blob went; logs stay known."""
        bound_bytes = self.bound_bytes
        if bound_bytes is None:
            return ENDLESS_BYTES
        return bound_bytes - self._database.counts.logs_bytes

    def is_needed(self, coming_bytes: int) -> bool:
        """Whether the bound does not allow for so much more."""
        bound_bytes, used_bytes = self.bound_bytes, self._database.counts.used_bytes
        return bound_bytes is not None and used_bytes + coming_bytes > bound_bytes

    def step(self, incoming: Incoming = NOTHING) -> Changes | None:
        """The next batch of what has to go for `incoming`; None when it fits or nothing can go."""
        used_bytes = self._database.counts.used_bytes
        bound_bytes = self._disk.bound_bytes(used_bytes)
        if bound_bytes is None or used_bytes + sum(incoming.values()) <= bound_bytes:
            return None
        self.full = True
        bucket = self._lowest_bucket()
        if bucket is None:
            return None
        coming = sum(size for into, size in incoming.items() if into >= bucket)
        if used_bytes + coming <= bound_bytes:
            return None
        return self._take(bucket, used_bytes + coming - goal_bytes(bound_bytes))

    def room_left(self) -> RoomLeft:
        """What the next group may take, after all steps for it."""
        used_bytes = self._database.counts.used_bytes
        bound_bytes = self._disk.bound_bytes(used_bytes)
        if bound_bytes is None:
            return UNBOUNDED
        left_bytes = 0 if self._disk.is_exhausted else max(0, bound_bytes - used_bytes)
        first = self.first_to_go() if self.full else None
        return RoomLeft(left_bytes, first, has_room(used_bytes, bound_bytes))

    def first_to_go(self) -> FirstToGo | None:
        """What would go first now; None when nothing can go."""
        bucket = self._lowest_bucket()
        if bucket is None:
            return None
        keys = self._entries(bucket)
        for key, record in zip(keys, self._database.records_held(keys), strict=True):
            for run in record.runs:
                if run.bucket == bucket:
                    # Newcomers that lie between the hand and this are behind it from now on.
                    self._hand = key
                    return FirstToGo(bucket, key, run.first)
        return None

    def _lowest_bucket(self) -> int | None:
        """The bucket whose blobs go first; the hand is brought into it."""
        first = bucket_key(self._database.time.due_through() + 1)
        found = self._database.key_value.scan(Family.DUE, first, b"\xff" * 21, limit=1)
        if not found:
            return None
        bucket = parse_due_key(found[0][0]).bucket
        if bucket != self._bucket:
            self._bucket, self._hand = bucket, b""
        return bucket

    def _entries(self, bucket: int) -> list[LogKey]:
        """The next logs of a bucket from the hand on, round and round."""
        end = bucket_key(bucket + 1)
        for log in (self._hand, b""):
            first = bucket_key(bucket) + log
            found = self._database.key_value.scan(Family.DUE, first, end, limit=SWEEP_LOGS_MAX)
            if found:
                break
        return [parse_due_key(key).log for key, _ in found]

    def _take(self, bucket: int, needed_bytes: int) -> Changes:
        counts = self._database.counts
        changes = Changes(counts._replace(change=counts.change + 1))
        keys = self._entries(bucket)
        taking = _Slice(bucket, needed_bytes, Drafts(self._database, changes, keys))
        for key in keys:
            if taking.needed_bytes <= 0:
                break
            if not self._take_log(taking, key):
                self._hand = key
                break
            taking.emptied.append(key)
            self._hand = key + b"\0"
        return self._step(changes, taking)

    def _take_log(self, taking: _Slice, key: LogKey) -> bool:
        """Takes of one log what is needed; whether that was all it had in the bucket."""
        record = taking.drafts.record(key)
        for run in record.runs:
            if run.bucket != taking.bucket:
                continue
            if taking.needed_bytes <= 0:
                return False
            count = self._count(run, taking.needed_bytes, splits=record.range_count)
            if count == run.end - run.first:
                taking.take(key, run, count=count, size_bytes=run.bytes)
                continue
            places = [((key, seq), run.bucket) for seq in range(run.first, run.first + count)]
            held = self._database.held(places).values()
            size_bytes = sum(one.header.size_bytes for one in held)
            taking.take(key, run, count=count, size_bytes=size_bytes)
            return False
        return True

    def _count(self, run: Run, needed_bytes: int, *, splits: int) -> int:
        """How many of the lowest blobs of a run go; all where the rest were a range too many."""
        count = run.end - run.first
        mean_bytes = run.bytes // count
        needed = -(-needed_bytes // (mean_bytes + BLOB_OVERHEAD_BYTES))
        if needed >= count or splits >= LOG_RANGES_MAX:
            return count
        readable = max(1, EVICT_READ_BYTES_MAX // max(mean_bytes, 1))
        return min(needed, readable, EVICT_READ_BLOBS_MAX)

    def _step(self, changes: Changes, taking: _Slice) -> Changes:
        if taking.emptied:
            first, last = taking.emptied[0], taking.emptied[-1]
            span = due_key(taking.bucket, first), due_key(taking.bucket, last) + b"\0"
            changes.ops.append(Remove(Family.DUE, *span))
        if taking.taken:
            changes.ops.append(Remove(Family.BLOB, taking.first, taking.end))
        entries = [DueEntry(taking.bucket, key) for key in taking.taken]
        before = evicted_before(self._database.key_value, entries)
        for entry, earlier in zip(entries, before, strict=True):
            changes.ops.append(entry_op(entry, earlier + taking.taken[entry.log]))
        taking.drafts.finish(taking.taken)
        counts = changes.counts
        changes.counts = counts._replace(evicted=counts.evicted + taking.blobs)
        freed_bytes = sum(went.footprint_bytes for went in taking.taken.values())
        self._disk.note_removed(taking.first, taking.end, size_bytes=freed_bytes)
        return changes
