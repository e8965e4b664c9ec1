"""How old a blob is, and the one test for what is too old (design.md 4.3, 4.4).

Blobs expire by bucket: 6 hours of node time. A bucket is due from its start + retention on, so a
blob lives between retention - 6 h and retention. Node time may lack time that the machine was off
(core/clock.py); where that was measured later it is a `Gap`, and it is added to the age of every
bucket that ended before the gap began: what came later did not live through it.

Knows nothing of clocks and stores: node time comes in as `now_ms`.

Invariants: `due` is monotone in the bucket, in `now_ms` and in gaps; the age of a blob, once
stamped, grows by time that passed and by nothing else. A blob may live longer by time that nobody
measured, never shorter.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from meshbox.core.errors import InvalidSetting

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS

BUCKET_MS: Final = 6 * HOUR_MS
"""Milliseconds of node time of one bucket: expiry is one range delete for each."""

RETENTION_MAX_MS: Final = 7 * DAY_MS
"""Milliseconds: a mailbox keeps a week, a setting may only shorten it."""

RETENTION_MIN_MS: Final = 2 * BUCKET_MS
"""Milliseconds: with less, a blob stored late in its bucket would be due almost at once."""


class Gap(NamedTuple):
    """Time that passed and that node time does not contain: the machine was off."""

    start_ms: int
    """Node time when it ended and the node ran again, rounded down to its bucket's start."""
    length_ms: int | None
    """None while nobody has measured it."""


def bucket_of(node_ms: int) -> int:
    """The bucket that a moment of node time lies in."""
    return node_ms // BUCKET_MS


def bucket_start_ms(bucket: int) -> int:
    """The first moment of a bucket, in node time."""
    return bucket * BUCKET_MS


@dataclass(frozen=True, slots=True)
class Retention:
    """What is too old. A value: make another when a setting, the sweep or the clock moves it.

    `retention_ms`: RETENTION_MIN_MS … RETENTION_MAX_MS, else `InvalidSetting`. `swept`: the
    highest bucket that was ever swept; it and all below are due for ever. `gaps`: those of the
    node's clock, ascending; at most the last is not measured yet.
    """

    retention_ms: int
    swept: int | None = None
    gaps: tuple[Gap, ...] = ()
    _swept: int = field(init=False, repr=False, compare=False)
    _ends: list[int] = field(init=False, repr=False, compare=False)
    _spans: tuple[_Span, ...] = field(init=False, repr=False, compare=False)
    _lowest: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not RETENTION_MIN_MS <= self.retention_ms <= RETENTION_MAX_MS:
            raise InvalidSetting(
                f"retention is {self.retention_ms} ms",
                hint="it can be 12 hours to 7 days",
            )
        put = object.__setattr__
        put(self, "_swept", -1 if self.swept is None else self.swept)
        put(self, "_ends", [bucket_of(gap.start_ms) for gap in self.gaps if gap.length_ms])
        put(self, "_spans", tuple(_spans(self.gaps)))
        unmeasured = [bucket_of(gap.start_ms) for gap in self.gaps if gap.length_ms is None]
        put(self, "_lowest", max(unmeasured, default=0))

    def with_gaps(self, gaps: tuple[Gap, ...]) -> Retention:
        """The same with the clock's gaps of now; itself, at no cost, when they are the same."""
        return self if gaps is self.gaps else replace(self, gaps=gaps)

    def with_swept(self, swept: int) -> Retention:
        """The same after a sweep of all buckets up to `swept`."""
        return self if swept <= self._swept else replace(self, swept=swept)

    def due(self, bucket: int, now_ms: int) -> bool:
        """Whether a bucket is too old to be served, offered, wanted or accepted. O(log gaps)."""
        if bucket <= self._swept:
            return True
        age_ms = now_ms - bucket * BUCKET_MS
        if self._ends:
            age_ms += self._extra_ms(bucket)
        return age_ms >= self.retention_ms

    def due_through(self, now_ms: int) -> int | None:
        """The highest bucket that is due: it and all below are, none above is. O(gaps)."""
        horizon_ms = now_ms - self.retention_ms
        if not self._ends:  # As nearly always, and asked for with every read.
            highest = horizon_ms // BUCKET_MS
        else:
            highest = max(min(s.end - 1, bucket_of(horizon_ms + s.extra_ms)) for s in self._spans)
        highest = max(highest, self._swept)
        return highest if highest >= 0 else None

    def age_ms(self, stamp_ms: int, now_ms: int, *, earlier_ms: int = 0) -> int:
        """The exact age of a blob, as it travels with it; never below 0.

        `earlier_ms` is what the store kept beside the stamp, for a blob that came with an age.
        """
        extra_ms = self._extra_ms(bucket_of(stamp_ms))
        return max(0, now_ms - stamp_ms + extra_ms + earlier_ms)

    def age_least_ms(self, bucket: int, now_ms: int) -> int:
        """No blob of the bucket is younger: what an offer says."""
        newest_ms = (bucket + 1) * BUCKET_MS - 1
        return max(0, now_ms - newest_ms + self._extra_ms(bucket))

    def stamp_of(self, asked_ms: int, age_ms: int) -> int:
        """The stamp of a blob that was `age_ms` old at `asked_ms`, node time; never below 0.

        The stamp lies in the lowest bucket that does not end before the blob began, gaps taken
        off, since the sender counted them already. What began inside a gap has no bucket of its
        own and takes the first moment after the gap: it stays here longer than its week, but
        within a week of its storing. While a gap is not measured nothing is stamped before it,
        since its length would be added later. What is as old as the retention is due.
        """
        begun_ms = asked_ms - max(0, age_ms)
        if age_ms >= self.retention_ms:
            return max(0, begun_ms)
        bucket = max(self._lowest, self._bucket_from(begun_ms))
        return max(begun_ms + self._extra_ms(bucket), bucket * BUCKET_MS)

    def earlier_ms(self, stamp_ms: int, *, asked_ms: int, age_ms: int) -> int:
        """How much older than `stamp_of` could say the blob is: 0 unless time off is in between.

        A store keeps it beside the stamp, so that the age which travels on stays exact and no
        life grows longer from hop to hop. Below the retention for all that is not due.
        """
        return max(0, age_ms - self.age_ms(stamp_ms, asked_ms))

    def _bucket_from(self, begun_ms: int) -> int:
        """The lowest bucket that ends after `begun_ms`, which lacks the gaps."""
        for span in self._spans:
            bucket = max(span.first, bucket_of(begun_ms + span.extra_ms))
            if bucket < span.end:
                return bucket
        raise AssertionError(f"no bucket holds node time {begun_ms}")

    def _extra_ms(self, bucket: int) -> int:
        return self._spans[bisect_right(self._ends, bucket)].extra_ms


_BUCKET_END: Final = 2**32
"""One past the highest bucket: three million years."""


class _Span(NamedTuple):
    """The buckets first … end-1 between two gaps, and the length of all gaps after them."""

    first: int
    end: int
    extra_ms: int


def _spans(gaps: tuple[Gap, ...]) -> Iterator[_Span]:
    """The spans between the measured gaps, ascending; one more than there are such gaps."""
    measured = [(bucket_of(gap.start_ms), gap.length_ms) for gap in gaps if gap.length_ms]
    first, extra_ms = 0, sum(length_ms for _, length_ms in measured)
    for end, length_ms in measured:
        yield _Span(first, end, extra_ms)
        first, extra_ms = end, extra_ms - length_ms
    yield _Span(first, _BUCKET_END, extra_ms)
