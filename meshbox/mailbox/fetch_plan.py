"""What of the logs that a client asks for goes into one answer (design.md 6).

Pure: from records, heights and limits to ranges to read. Knows no store and no wire.

- **New** to a client is what is held above its height; the whole log where it named none. What is
  due is not served, and a log stops below what is just being filled (design.md 4.12).
- **Fair.** When not all fits, topics take turns and so do the authors of each, one blob a turn,
  lowest numbers first. Whose turn is first moves on from answer to answer, so that a log of large
  blobs cannot be last for ever.
- **Missing** is listed of every author that has anything missing, at least one number each, also
  in an answer that is full: the apps take silence for "the mailbox holds it all".

Invariants: within a log a page is the lowest part of what is new, without a hole that a later page
would fill; every page that leaves something out has at least one blob; a page takes at most
`blobs_max` turns, whatever is asked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple, TypeVar

from meshbox.core.filling import Filling
from meshbox.core.ids import BlobClass, LogId
from meshbox.core.inventory import LogRecord, Run
from meshbox.core.ranges import EMPTY, SEQ_END, SeqRanges
from meshbox.core.retention import Retention

T = TypeVar("T")


class NewInLog(NamedTuple):
    """What a log holds that a client lacks."""

    log: LogId
    seqs: SeqRanges
    bytes: int
    """About how many; exact when the client lacks whole runs."""
    bytes_bound: int
    """Not more."""
    largest_bytes: int
    """No blob among them is larger."""


class Page(NamedTuple):
    """What to read for an answer, in this order."""

    wanted: tuple[tuple[LogId, SeqRanges], ...]
    more: bool
    """Something new was left out."""
    bytes_max: int
    """Bytes of blobs to read, unless the first alone has more."""
    bytes_bound: int
    """The answer will not have more bytes of blobs."""


NOTHING = Page((), more=False, bytes_max=0, bytes_bound=0)


def has_nothing_above(record: LogRecord, height: int | None) -> bool:
    """Whether nothing is held above `height` (None: anything), not even what is due or is just
    being filled: then only a change of the record can bring anything new. O(1)."""
    runs = record.runs
    return not runs or (height is not None and runs[-1].end <= height + 1)


def new_in(
    record: LogRecord, height: int | None, *, filling: Filling, retention: Retention, now_ms: int
) -> NewInLog | None:
    """What is new to a client at `height` (None: it named none); None when nothing is.

    O(1) when nothing is, else O(runs).
    """
    if has_nothing_above(record, height):
        return None
    first = 0 if height is None else height + 1
    end = _end_of(record, height, filling)
    if end <= first:
        return None
    runs = [
        run
        for run in record.runs
        if run.end > first and run.first < end and not retention.due(run.bucket, now_ms)
    ]
    if not runs:
        return None
    if len(runs) == 1:  # As in most polls that find anything, and a third cheaper so.
        run = runs[0]
        seqs = SeqRanges.of(max(run.first, first), min(run.end, end))
        size = _part_bytes(run, first, end)
        return NewInLog(record.log, seqs, size, run.bytes, run.largest_bytes)
    seqs = SeqRanges((max(run.first, first), min(run.end, end)) for run in runs)
    size = sum(_part_bytes(run, first, end) for run in runs)
    bound = sum(run.bytes for run in runs)
    return NewInLog(record.log, seqs, size, bound, max(run.largest_bytes for run in runs))


def _end_of(record: LogRecord, height: int | None, filling: Filling) -> int:
    """Where a fetch stops: at the lowest number that is being filled and not held here.

    A peer that offered what another brought meanwhile is taken to fill it, until its offer is
    looked at again. What is held as opaque is waited for where the log has verified blobs, which
    may replace it (design.md 4.2).
    """
    end = filling.stop_below(record.log, above=height)
    if end is None:
        return SEQ_END
    held = record.held_as(BlobClass.VERIFIED) or record.held
    for first, after in held.from_(end):
        if first > end:
            break
        end = filling.stop_below(record.log, above=after - 1)
        if end is None:
            return SEQ_END
    return end


def page_of(
    topics: Sequence[Sequence[NewInLog]], *, blobs_max: int, bytes_max: int, turn: int
) -> Page:
    """One page of what is new in `topics`; `turn` is any number, another each time."""
    logs = [new for topic in topics for new in topic]
    if not logs:
        return NOTHING
    count = sum(new.seqs.count for new in logs)
    size = sum(new.bytes for new in logs)
    more = False
    if count <= blobs_max and size <= bytes_max:
        taken = [(new, new.seqs) for new in logs]
    else:
        queues = [deque(_rotated(topic, turn)) for topic in _rotated(topics, turn) if topic]
        turns = _take_turns(queues, blobs_max=blobs_max, bytes_max=bytes_max)
        taken = [(new, new.seqs.take_lowest(n)) for new, n in turns]
        more = count > sum(seqs.count for _, seqs in taken)
    bound = sum(new.bytes_bound for new, _ in taken)
    largest = max(new.largest_bytes for new, _ in taken)
    return Page(
        tuple((new.log, seqs) for new, seqs in taken),
        more=more,
        bytes_max=bytes_max,
        bytes_bound=min(bound, max(bytes_max, largest)),
    )


def has_seen_all(record: LogRecord, height: int) -> bool:
    """Whether 0 … `height` are plainly held or expired; False means: look closer."""
    runs = record.runs
    if runs and runs[0].first == 0 and runs[0].end > height:
        return True
    end = 0
    for ranges in record.expired:
        if ranges and ranges.pairs[0][0] <= end:
            end = max(end, ranges.pairs[0][1])
    for run in runs:
        if end > height or run.first > end:
            break
        end = max(end, run.end)
    return end > height


def missing_of(record: LogRecord | None, height: int) -> SeqRanges:
    """What a client at `height` should upload of a log. O(runs)."""
    if record is None:
        return SeqRanges.of(0, min(height + 1, SEQ_END))
    return EMPTY if has_seen_all(record, height) else record.missing(height)


def share_out(
    missing: Mapping[LogId, SeqRanges], *, log_max: int, total_max: int
) -> dict[LogId, list[int]]:
    """The numbers to list of each log that misses any: all, or the lowest of each in fair shares.

    At most `log_max` of a log and `total_max` in all, but always one of each.
    """
    wanting = [(min(seqs.count, log_max), log) for log, seqs in missing.items() if seqs]
    wanting.sort(key=itemgetter(0))
    listed: dict[LogId, list[int]] = {}
    left = total_max
    for at, (count, log) in enumerate(wanting):
        share = max(1, min(count, left // (len(wanting) - at)))
        seqs = missing[log]
        listed[log] = [seqs.pairs[0][0]] if share == 1 else list(seqs.take_lowest(share).numbers())
        left -= share
    return listed


def _take_turns(
    topics: Iterable[deque[NewInLog]], *, blobs_max: int, bytes_max: int
) -> list[tuple[NewInLog, int]]:
    """How many blobs of which logs, in the order of their first turn."""
    taken: dict[LogId, tuple[NewInLog, int]] = {}
    waiting = deque(topics)
    while waiting and blobs_max > 0 and (bytes_max > 0 or not taken):
        topic = waiting.popleft()
        new = topic.popleft()
        _, before = taken.get(new.log, (new, 0))
        taken[new.log] = (new, before + 1)
        blobs_max -= 1
        bytes_max -= new.bytes // new.seqs.count
        if before + 1 < new.seqs.count:
            topic.append(new)
        if topic:
            waiting.append(topic)
    return list(taken.values())


def _rotated(items: Sequence[T], turn: int) -> Iterator[T]:
    for at in range(len(items)):
        yield items[(at + turn) % len(items)]


def _part_bytes(run: Run, first: int, end: int) -> int:
    if run.first >= first and run.end <= end:
        return run.bytes
    return run.bytes * (min(run.end, end) - max(run.first, first)) // (run.end - run.first)
