"""The naive model of a store: dictionaries of numbers, and every rule in its plainest form.

It knows nothing of change counters, caches, buckets' entries or batches. Everything is recomputed
from sets of single numbers each time, so it is only good for small numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from meshbox.core.ids import BlobClass, LogId
from meshbox.core.inventory import LogRecord
from meshbox.core.limits import LOG_RANGES_EMPTY_MAX
from meshbox.core.ranges import SeqRanges
from meshbox.core.retention import BUCKET_MS, DAY_MS, bucket_of
from meshbox.storage.interface import NewBlob, Outcome

OPAQUE, VERIFIED = BlobClass.OPAQUE, BlobClass.VERIFIED


class Kept(NamedTuple):
    """A blob of the model."""

    blob_class: BlobClass
    stamp_ms: int
    data: bytes


def ranges_of(numbers: Iterable[int]) -> list[range]:
    """Maximal ranges of consecutive numbers."""
    found: list[range] = []
    for number in sorted(numbers):
        if found and found[-1].stop == number:
            found[-1] = range(found[-1].start, number + 1)
        else:
            found.append(range(number, number + 1))
    return found


@dataclass
class LogModel:
    """One log."""

    held: dict[int, Kept] = field(default_factory=dict)
    expired: dict[int, BlobClass] = field(default_factory=dict)
    last_stamp_ms: int = 0
    """Of all blobs that it ever took."""

    def copy(self) -> LogModel:
        return LogModel(dict(self.held), dict(self.expired), self.last_stamp_ms)

    def runs(self) -> list[tuple[range, BlobClass]]:
        def kind(seq: int) -> tuple[int, BlobClass]:
            kept = self.held[seq]
            return bucket_of(kept.stamp_ms), kept.blob_class

        return [
            (part, blob_class)
            for (_, blob_class), seqs in groupby(sorted(self.held), key=kind)
            for part in ranges_of(seqs)
        ]

    def expired_ranges(self) -> list[tuple[range, BlobClass]]:
        return [
            (part, blob_class)
            for blob_class in BlobClass
            for part in ranges_of(s for s, c in self.expired.items() if c is blob_class)
        ]

    def expire(self, due_through: int) -> int:
        due = [s for s, kept in self.held.items() if bucket_of(kept.stamp_ms) <= due_through]
        for seq in due:
            self.expired[seq] = self.held.pop(seq).blob_class
        if due and not self.held:
            self._shrink()
        return len(due)

    def _shrink(self) -> None:
        if len(self.expired_ranges()) <= LOG_RANGES_EMPTY_MAX:
            return
        top = max((s for s, c in self.expired.items() if c is VERIFIED), default=-1)
        for seq in [s for s in self.expired if s < top]:
            self.expired[seq] = VERIFIED
        for blob_class in BlobClass:
            parts = [part for part, kind in self.expired_ranges() if kind is blob_class]
            surplus = len(parts) - LOG_RANGES_EMPTY_MAX // 2
            if surplus > 0:
                for seq in range(parts[0].start, parts[surplus].stop):
                    self.expired[seq] = blob_class

    def admit(self, seq: int, new: Kept, *, due_through: int) -> Outcome:
        old = self.held.get(seq)
        if old is not None and old.blob_class >= new.blob_class:
            return Outcome.KNOWN if old.data == new.data else Outcome.CONFLICT
        if old is None and self.expired.get(seq, -1) >= new.blob_class:
            return Outcome.EXPIRED
        if bucket_of(new.stamp_ms) <= due_through:
            return Outcome.EXPIRED
        self.held[seq] = new
        self.expired.pop(seq, None)
        self.last_stamp_ms = max(self.last_stamp_ms, new.stamp_ms)
        return Outcome.STORED if old is None else Outcome.REPLACED

    def trim(self, ranges_max: int) -> set[int]:
        """Pushes out the highest ranges, opaque first; the numbers of blobs among them."""
        pushed: set[int] = set()
        while len(self.runs()) + len(self.expired_ranges()) > ranges_max:
            tops = [
                (part.start, source, part)
                for source, parts in enumerate((self.expired_ranges(), self.runs()))
                for part, blob_class in parts
                if blob_class is self._lowest_class()
            ]
            _, source, part = max(tops, key=lambda top: top[:2])
            for seq in part:
                (self.held if source else self.expired).pop(seq)
            pushed |= set(part) if source else set()
        return pushed

    def _lowest_class(self) -> BlobClass:
        return min(blob_class for _, blob_class in self.runs() + self.expired_ranges())


@dataclass
class StoreModel:
    """All logs, and what is counted."""

    ranges_max: int
    logs: dict[LogId, LogModel] = field(default_factory=dict)
    conflicts: int = 0
    expired: int = 0

    def expire(self, due_through: int) -> None:
        for log in self.logs.values():
            self.expired += log.expire(due_through)

    def forget(self, now_ms: int) -> int:
        """The sweep is through: what took its last blob in a bucket that ended 90 days ago goes."""
        gone = [
            name
            for name, log in self.logs.items()
            if not log.held
            and (bucket_of(log.last_stamp_ms) + 1) * BUCKET_MS <= now_ms - 90 * DAY_MS
        ]
        for name in gone:
            del self.logs[name]
        return len(gone)

    def deposit(
        self, blobs: Sequence[NewBlob], *, whole: bool, due_through: int
    ) -> list[Outcome] | None:
        """The outcomes; None when the whole deposit is refused."""
        trial = {log: self.logs.get(log, LogModel()).copy() for log in {b.log for b in blobs}}
        outcomes = [
            trial[b.log].admit(
                b.seq, Kept(b.blob_class, b.stamp_ms, b.data), due_through=due_through
            )
            for b in blobs
        ]
        for name, log in trial.items():
            pushed = log.trim(self.ranges_max)
            for at, b in enumerate(blobs):
                if b.log == name and b.seq in pushed and outcomes[at] is not Outcome.EXPIRED:
                    outcomes[at] = Outcome.REFUSED
        if whole and Outcome.REFUSED in outcomes:
            return None
        self.conflicts += outcomes.count(Outcome.CONFLICT)
        self.logs |= {
            name: log for name, log in trial.items() if name in self.logs or log.held or log.expired
        }
        return outcomes

    def assert_is(self, log: LogId, record: LogRecord | None) -> None:
        """The record says what the model says."""
        mine = self.logs.get(log)
        assert (record is None) == (mine is None)
        if record is None or mine is None:
            return
        for blob_class in BlobClass:
            held = (s for s, kept in mine.held.items() if kept.blob_class is blob_class)
            assert record.held_as(blob_class) == SeqRanges((s, s + 1) for s in held)
            seen = (s for s, c in mine.expired.items() if c is blob_class)
            assert record.expired[blob_class] == SeqRanges((s, s + 1) for s in seen)
        assert not record.evicted.range_count
        assert [(run.first, run.end) for run in record.runs] == [
            (part.start, part.stop) for part, _ in mine.runs()
        ]
