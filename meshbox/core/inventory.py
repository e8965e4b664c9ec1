"""What one node knows of one log: what it holds, what it held, and what it still misses.

A `LogRecord` is a value. A `LogDraft` is the same log while one request changes it; it becomes a
record again with `finish`, or is dropped and nothing happened. Which blob wins at a sequence
number (design.md 4.2) is decided by `LogDraft.admit` alone.

Invariants: runs ascend and are disjoint; a held number is in neither `expired` nor `evicted`;
runs and ranges of all sets together are at most `LOG_RANGES_MAX` after `trim`.

Over 300 lines: a record and its one way to change keep the same invariants.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from meshbox.core.ids import BlobClass, LogId
from meshbox.core.limits import LOG_RANGES_EMPTY_MAX, LOG_RANGES_MAX
from meshbox.core.ranges import EMPTY, SEQ_END, SeqRanges, union


class Run(NamedTuple):
    """Blobs held at first … end-1, all stored in one bucket with one class."""

    first: int
    end: int
    bucket: int
    blob_class: BlobClass
    bytes: int
    """Bytes of all blobs of the run together."""
    largest_bytes: int
    """No blob of the run is larger (one that left may have been the largest)."""


class ClassedRanges(NamedTuple):
    """Numbers once seen, by the best class they were seen in; the two sets are disjoint."""

    opaque: SeqRanges = EMPTY
    verified: SeqRanges = EMPTY

    @property
    def all(self) -> SeqRanges:
        return self.opaque | self.verified

    @property
    def range_count(self) -> int:
        return 0 if self is NONE_SEEN else len(self.opaque) + len(self.verified)

    def adding(self, ranges: SeqRanges, blob_class: BlobClass) -> ClassedRanges:
        """With `ranges` seen as `blob_class`; the better class of two stays."""
        if blob_class is BlobClass.VERIFIED:
            return ClassedRanges(self.opaque - ranges, self.verified | ranges)
        return ClassedRanges(self.opaque | (ranges - self.verified), self.verified)

    def __sub__(self, ranges: SeqRanges) -> ClassedRanges:
        return ClassedRanges(self.opaque - ranges, self.verified - ranges)

    def __and__(self, ranges: SeqRanges) -> ClassedRanges:
        return ClassedRanges(self.opaque & ranges, self.verified & ranges)


NONE_SEEN = ClassedRanges()


class LogRecord(NamedTuple):
    """One log as its store knows it."""

    log: LogId
    change: int
    """The feed's counter when the log last changed."""
    runs: tuple[Run, ...] = ()
    expired: ClassedRanges = NONE_SEEN
    evicted: ClassedRanges = NONE_SEEN
    last_bucket: int = 0
    """The newest bucket that ever took a blob of this log."""

    @property
    def bytes(self) -> int:
        """Bytes of all blobs held."""
        return sum(run.bytes for run in self.runs)

    @property
    def blobs(self) -> int:
        """How many blobs are held."""
        return sum(run.end - run.first for run in self.runs)

    @property
    def held(self) -> SeqRanges:
        """The numbers whose blob is stored here."""
        return SeqRanges.ascending((run.first, run.end) for run in self.runs)

    def run_of(self, seq: int) -> Run | None:
        """The run that holds `seq`."""
        at = bisect_right(self.runs, (seq, SEQ_END + 1)) - 1
        return self.runs[at] if at >= 0 and seq < self.runs[at].end else None

    def held_as(self, blob_class: BlobClass) -> SeqRanges:
        """The numbers whose blob is stored here with just this class."""
        return SeqRanges.ascending(
            (run.first, run.end) for run in self.runs if run.blob_class == blob_class
        )

    @property
    def seen(self) -> SeqRanges:
        """Held, expired or evicted: what was here once, in any class."""
        return union((self.held, *self.expired, *self.evicted))

    @property
    def seen_verified(self) -> SeqRanges:
        """What was here once as a verified blob."""
        verified = self.held_as(BlobClass.VERIFIED)
        return union((verified, self.expired.verified, self.evicted.verified))

    @property
    def watermark(self) -> int | None:
        """The highest n for which 0 … n were all seen; None until 0 was."""
        return self.seen.watermark

    def missing(self, height: int) -> SeqRanges:
        """What a client that holds 0 … `height` should upload (design.md 4.6).

        Expired numbers are never asked for again; evicted ones leave seen when they would be stored
        and stay (`LogDraft.release`), and are missing from then on.
        """
        return SeqRanges.of(0, min(height + 1, SEQ_END)) - self.seen

    @property
    def range_count(self) -> int:
        """Runs and ranges, what `LOG_RANGES_MAX` bounds."""
        return len(self.runs) + self.expired.range_count + self.evicted.range_count


class Admission(Enum):
    """What a blob that arrives at a sequence number meets there."""

    NEW = "new"
    """Nothing here that is as good: store it."""
    HELD = "held"
    """A blob as good is held: the same one, or a conflict, as their bytes tell."""
    UPGRADE = "upgrade"
    """An opaque blob is held: the verified one replaces it."""
    EXPIRED = "expired"
    """It had its week here: success, and it is not stored."""


class LogDraft:
    """One log while a request changes it. Not a value: one owner, used once."""

    __slots__ = ("_added", "_evicted", "_expired", "_last_bucket", "_log", "_runs")

    def __init__(self, record: LogRecord) -> None:
        self._log = record.log
        self._runs = list(record.runs)
        self._expired = record.expired
        self._evicted = record.evicted
        self._last_bucket = record.last_bucket
        self._added: list[tuple[int, int]] = []

    def run_of(self, seq: int) -> Run | None:
        """The run that holds `seq`."""
        at = self._index_of(seq)
        return self._runs[at] if at is not None else None

    def admit(self, seq: int, blob_class: BlobClass) -> Admission:
        """What a blob of `blob_class` meets at `seq`; changes nothing."""
        run = self.run_of(seq)
        if run is not None:
            return Admission.HELD if run.blob_class >= blob_class else Admission.UPGRADE
        if seq in self._expired.verified:
            return Admission.EXPIRED
        if blob_class is BlobClass.OPAQUE and seq in self._expired.opaque:
            return Admission.EXPIRED
        return Admission.NEW

    def add(self, seq: int, *, blob_class: BlobClass, bucket: int, size_bytes: int) -> None:
        """Holds one more blob; `seq` must not be held (see `remove`)."""
        at = bisect_right(self._runs, (seq, SEQ_END + 1))
        run = Run(seq, seq + 1, bucket, blob_class, size_bytes, size_bytes)
        if at > 0 and _joins(self._runs[at - 1], run):
            at -= 1
            run = _joined(self._runs.pop(at), run)
        if at < len(self._runs) and _joins(run, self._runs[at]):
            run = _joined(run, self._runs.pop(at))
        self._runs.insert(at, run)
        self._last_bucket = max(self._last_bucket, bucket)
        if self._expired.range_count or self._evicted.range_count:
            self._added.append((seq, seq + 1))

    def remove(self, seq: int, *, size_bytes: int) -> None:
        """No longer holds the blob of `size_bytes` at `seq`, which must be held."""
        at = self._index_of(seq)
        assert at is not None
        run = self._runs.pop(at)
        parts, surplus_bytes = _split(run, seq, size_bytes)
        self._runs[at:at] = parts
        if surplus_bytes:
            self._spread(run, surplus_bytes)

    def expire(self, through_bucket: int) -> list[Run]:
        """Turns the runs of all buckets up to `through_bucket` into expired ranges; returns them.

        A log with nothing held keeps at most `LOG_RANGES_EMPTY_MAX` ranges.
        """
        self._forget_added()
        gone = [run for run in self._runs if run.bucket <= through_bucket]
        if gone:
            self._runs = [run for run in self._runs if run.bucket > through_bucket]
            for blob_class in BlobClass:
                ranges = SeqRanges((r.first, r.end) for r in gone if r.blob_class == blob_class)
                self._expired = self._expired.adding(ranges, blob_class)
        if not self._runs:
            self._shrink()
        return gone

    def evict(self, run: Run, *, count: int, size_bytes: int) -> None:
        """Turns the lowest `count` blobs of a run, `size_bytes` together, into evicted ranges.

        A whole run's are the bytes that the run says.
        """
        at = self._index_of(run.first)
        assert at is not None
        assert self._runs[at] == run
        end = run.first + count
        assert end < run.end or size_bytes == run.bytes
        rest = run._replace(first=end, bytes=max(0, run.bytes - size_bytes))
        self._runs[at : at + 1] = [rest] if end < run.end else []
        self._evicted = self._evicted.adding(SeqRanges.of(run.first, end), run.blob_class)
        if size_bytes > run.bytes:
            self._spread(run, run.bytes - size_bytes)
        if not self._runs:
            self._shrink()

    def release(self, ranges: ClassedRanges) -> None:
        """Evicted numbers leave seen; of a log with nothing held all of them, since it no longer
        knows them one from another."""
        self._evicted = self._evicted - ranges.all if self._runs else NONE_SEEN

    def narrow_evicted(self, went: SeqRanges) -> None:
        """Only `went` was ever evicted: what lies between, and only counts as evicted since gaps
        were closed while nothing was held, leaves seen as soon as something is held."""
        if self._runs:
            self._evicted &= went

    def expire_evicted(self, ranges: ClassedRanges) -> None:
        """What was evicted would be due by now: it has expired, as if it had stayed."""
        for blob_class in BlobClass:
            due = ranges.all & self._evicted[blob_class]
            self._evicted = _without(self._evicted, due, blob_class)
            self._expired = self._expired.adding(due, blob_class)
        if not self._runs:
            self._shrink()

    def trim(self) -> list[Run]:
        """Pushes the highest ranges out of seen until the bound holds; returns the runs among them.

        Opaque goes before verified, so that a stranger cannot push out what an author signed
        (design.md 4.1).
        """
        self._forget_added()
        pushed: list[Run] = []
        while self._range_count > LOG_RANGES_MAX:
            run = self._push_out_highest()
            if run is not None:
                pushed.append(run)
        return pushed

    def finish(self, change: int) -> LogRecord:
        """The log as it is now, last changed at `change`."""
        self._forget_added()
        return LogRecord(
            self._log, change, tuple(self._runs), self._expired, self._evicted, self._last_bucket
        )

    def _forget_added(self) -> None:
        """What is held again is neither expired nor evicted."""
        if self._added:
            added, self._added = SeqRanges(self._added), []
            self._expired -= added
            self._evicted -= added

    @property
    def _range_count(self) -> int:
        return len(self._runs) + self._expired.range_count + self._evicted.range_count

    def _index_of(self, seq: int) -> int | None:
        at = bisect_right(self._runs, (seq, SEQ_END + 1)) - 1
        return at if at >= 0 and seq < self._runs[at].end else None

    def _spread(self, removed: Run, surplus_bytes: int) -> None:
        """Gives bytes, or takes them when negative, to the runs that `removed` was once one with.

        The parts of a split run know only their sum, so a part can turn out to have held more or
        less than its share; the sum stays exact.
        """
        for at, run in enumerate(self._runs):
            if run.bucket == removed.bucket and run.blob_class == removed.blob_class:
                given_bytes = max(surplus_bytes, -run.bytes)
                self._runs[at] = run._replace(bytes=run.bytes + given_bytes)
                surplus_bytes -= given_bytes
                if not surplus_bytes:
                    return

    def _shrink(self) -> None:
        """Where there are too many, closes the lowest gaps of both sets."""
        self._forget_added()
        if self._range_count <= LOG_RANGES_EMPTY_MAX:
            return
        sets = 2 if self._evicted.range_count and self._expired.range_count else 1
        ranges_max = LOG_RANGES_EMPTY_MAX // (sets * len(BlobClass))
        self._expired = _without_gaps(self._expired, ranges_max)
        self._evicted = _without_gaps(self._evicted, ranges_max)

    def _push_out_highest(self) -> Run | None:
        for blob_class in BlobClass:
            tops = list(self._highest_ranges(blob_class))
            if tops:
                break
        first, owner = max(tops)
        if owner == _RUNS:
            at = self._index_of(first)
            assert at is not None
            return self._runs.pop(at)
        out = SeqRanges.of(first, SEQ_END)
        if owner == _EXPIRED:
            self._expired = _without(self._expired, out, blob_class)
        else:
            self._evicted = _without(self._evicted, out, blob_class)
        return None

    def _highest_ranges(self, blob_class: BlobClass) -> Iterable[tuple[int, int]]:
        for run in reversed(self._runs):
            if run.blob_class == blob_class:
                yield run.first, _RUNS
                break
        for owner, seen in ((_EXPIRED, self._expired), (_EVICTED, self._evicted)):
            ranges = seen[blob_class]
            if ranges:
                yield ranges.pairs[-1][0], owner


_RUNS, _EXPIRED, _EVICTED = range(3)


def _without(seen: ClassedRanges, out: SeqRanges, blob_class: BlobClass) -> ClassedRanges:
    if blob_class is BlobClass.OPAQUE:
        return ClassedRanges(seen.opaque - out, seen.verified)
    return ClassedRanges(seen.opaque, seen.verified - out)


def _without_gaps(seen: ClassedRanges, ranges_max: int) -> ClassedRanges:
    """At most `ranges_max` ranges a class; opaque numbers among verified ones then count as
    verified, since a number must not leave seen only because its log is empty."""
    opaque, verified = seen
    top = verified.highest
    if top is not None:
        verified |= opaque.below(top)
        opaque = opaque.from_(top + 1)
    return ClassedRanges(
        opaque.without_lowest_gaps(ranges_max), verified.without_lowest_gaps(ranges_max)
    )


def _joins(left: Run, right: Run) -> bool:
    return (
        left.end == right.first
        and left.bucket == right.bucket
        and left.blob_class == right.blob_class
    )


def _joined(left: Run, right: Run) -> Run:
    return Run(
        left.first,
        right.end,
        left.bucket,
        left.blob_class,
        left.bytes + right.bytes,
        max(left.largest_bytes, right.largest_bytes),
    )


def _split(run: Run, seq: int, size_bytes: int) -> tuple[list[Run], int]:
    """`run` without `seq`, and the bytes that its parts cannot account for.

    How the bytes of a run divide is not known: each side's share is by count, and only the sum is
    exact. So a part of an earlier split may end with bytes and no blob, or with less than none.
    """
    rest_bytes = run.bytes - size_bytes
    left_count, right_count = seq - run.first, run.end - seq - 1
    if not left_count and not right_count:
        return [], rest_bytes
    shared_bytes = max(rest_bytes, 0)
    left_bytes = shared_bytes * left_count // (left_count + right_count)
    left = run._replace(end=seq, bytes=left_bytes)
    right = run._replace(first=seq + 1, bytes=shared_bytes - left_bytes)
    return [part for part in (left, right) if part.first < part.end], rest_bytes - shared_bytes
