"""What to want of an offered log: the difference that sync exists for (design.md 9).

want = (their verified - our seen verified) + (their held - our seen), less what could not be
stored: blobs that are due by the least age they can have, single blobs above our size limit, and,
while there is no room, blobs that would be the first to go.
Claims of a peer only ever cause asking; nothing here deletes or settles on another's behalf.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from meshbox.core.ids import BlobClass
from meshbox.core.inventory import LogRecord, Run
from meshbox.core.limits import BLOB_BYTES_MAX
from meshbox.core.ranges import EMPTY, SeqRanges
from meshbox.core.retention import Retention, bucket_of
from meshbox.core.session.frames import OfferedRun


def offered(runs: Iterable[Run], *, retention: Retention, now_ms: int) -> tuple[OfferedRun, ...]:
    """The runs of a log as an offer names them; what is due is not offered."""
    return tuple(
        OfferedRun(
            run.first,
            run.end,
            run.blob_class,
            run.bytes,
            run.largest_bytes,
            retention.age_least_ms(run.bucket, now_ms),
        )
        for run in runs
        if not retention.due(run.bucket, now_ms)
    )


class Wanted(NamedTuple):
    """What this node lacks of an offered log."""

    ranges: SeqRanges
    """What it could store now."""
    passed: bool
    """There is more, for which there is no room now."""


NOTHING: Final = Wanted(EMPTY, passed=False)


def wanted(
    runs: Iterable[OfferedRun],
    record: LogRecord | None,
    *,
    retention: Retention,
    now_ms: int,
    floor: int | None = None,
) -> Wanted:
    """What of the offered `runs` this node lacks. `floor`: the lowest bucket of which anything
    would be stored and stay, when there is no room (core/room.py)."""
    runs = tuple(runs)
    lacked = _lacked(runs, record)
    if not lacked:
        return NOTHING
    storable: list[OfferedRun] = []
    passed: list[OfferedRun] = []
    for run in runs:
        bucket = _bucket_if_stored(run, retention, now_ms)
        if bucket is not None:
            (storable if floor is None or bucket >= floor else passed).append(run)
    if len(storable) == len(runs):
        return Wanted(lacked, passed=False)
    return Wanted(_lacked(storable, record), bool(passed and _lacked(passed, record)))


def _lacked(runs: Sequence[OfferedRun], record: LogRecord | None) -> SeqRanges:
    held = SeqRanges.ascending((run.first, run.end) for run in runs)
    if record is None:
        return held
    verified = SeqRanges.ascending(
        (run.first, run.end) for run in runs if run.blob_class is BlobClass.VERIFIED
    )
    lacking = held - record.seen
    return lacking | (verified - record.seen_verified) if verified else lacking


def size_guess_bytes(runs: Iterable[OfferedRun]) -> int:
    """About how large a blob of the log is: the largest mean of its runs, at least 1."""
    return max((run.bytes // (run.end - run.first) for run in runs), default=0) or 1


def _bucket_if_stored(run: OfferedRun, retention: Retention, now_ms: int) -> int | None:
    """The highest bucket that a blob of the run could go to; None when none could be stored."""
    if run.end - run.first == 1 and run.largest_bytes > BLOB_BYTES_MAX:
        return None
    bucket = bucket_of(retention.stamp_of(now_ms, run.age_least_ms))
    return None if retention.due(bucket, now_ms) else bucket
