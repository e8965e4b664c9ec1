"""A log's record, merged from the rows that several processes wrote of it; pure.

A row is a step (the runs that were added) or whole (everything that its writer knew of the log).
Rows are only ever inserted, and put together in the order of their positions:

    the last whole row               is where to begin
    rows that it includes            are in it: those it names, and all older than the lag before
                                     it, since what is acknowledged is never written later
    every other row                  adds its runs, by the rule of design.md 4.2: what is as good
                                     and was there first stays

Invariant: whoever merges the same rows gets the same record; one row more never takes anything
away but an opaque blob's place for a verified one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from meshbox.core.ids import BlobClass, LogId
from meshbox.core.inventory import LogRecord, Run
from meshbox.core.ranges import SeqRanges

RowId = tuple[int, bytes]
"""A row's position, and the process that wrote it."""


class Row(NamedTuple):
    """What one process wrote of a log at one time."""

    id: RowId
    record: LogRecord
    whole: bool
    includes: frozenset[RowId]
    """Of a whole row: the rows within the lag before it whose content it has."""


def merge(rows: Iterable[Row], *, lag: int) -> LogRecord:
    """The record that some rows (one at least) of one log make together.

    `lag` is the number of positions within which acknowledged rows may appear late.
    """
    ordered = sorted(rows, key=lambda row: row.id)
    base = next((row for row in reversed(ordered) if row.whole), None)
    start = ordered[0].record if base is None else base.record
    additions = [row for row in ordered if not _is_in(row, base, lag)]
    record = _adding(start, additions[1:] if base is None else additions)
    return record._replace(change=ordered[-1].id[0])


def _is_in(row: Row, base: Row | None, lag: int) -> bool:
    if base is None:
        return False
    return row.id == base.id or row.id in base.includes or row.id[0] < base.id[0] - lag


def _adding(start: LogRecord, rows: Sequence[Row]) -> LogRecord:
    if not rows:
        return start
    runs, expired, evicted = list(start.runs), start.expired, start.evicted
    last_bucket = start.last_bucket
    for row in rows:
        for run in row.record.runs:
            hold(runs, run)
        for blob_class in BlobClass:
            expired = expired.adding(row.record.expired[blob_class], blob_class)
            evicted = evicted.adding(row.record.evicted[blob_class], blob_class)
        last_bucket = max(last_bucket, row.record.last_bucket)
    held = SeqRanges((run.first, run.end) for run in runs)
    return LogRecord(start.log, 0, tuple(runs), expired - held, evicted - held, last_bucket)


def step_of(log: LogId, position: int, added: Iterable[Run]) -> LogRecord:
    """What a step says: just what was added."""
    runs: list[Run] = []
    for run in added:
        hold(runs, run)
    return LogRecord(log, position, tuple(runs), last_bucket=max(run.bucket for run in runs))


def hold(runs: list[Run], new: Run) -> None:
    """Adds a run to ascending, disjoint ones, as far as nothing as good is there.

    The bytes of a part of a run are its share by count: how they divide is not known.
    """
    first = bisect_left(runs, new.first, key=lambda run: run.end - 1)
    end = bisect_left(runs, new.end, lo=first, key=lambda run: run.first)
    met = runs[first:end]
    as_good = [run for run in met if run.blob_class >= new.blob_class]
    fresh = SeqRanges.of(new.first, new.end) - SeqRanges((r.first, r.end) for r in as_good)
    if not fresh:
        return
    parts = as_good + [_part(new, *pair) for pair in fresh]
    for run in met:
        if run.blob_class < new.blob_class:
            rest = SeqRanges.of(run.first, run.end) - fresh
            parts += [_part(run, *pair) for pair in rest]
    around = slice(max(first - 1, 0), end + 1)
    parts += [*runs[around.start : first], *runs[end : around.stop]]
    runs[around] = _joined(sorted(parts))


def _part(run: Run, first: int, end: int) -> Run:
    if (first, end) == (run.first, run.end):
        return run
    share_bytes = run.bytes * (end - first) // (run.end - run.first)
    return run._replace(first=first, end=end, bytes=share_bytes)


def _joined(runs: Iterable[Run]) -> list[Run]:
    joined: list[Run] = []
    for run in runs:
        last = joined[-1] if joined else None
        if last and (last.end, last.bucket, last.blob_class) == (
            run.first,
            run.bucket,
            run.blob_class,
        ):
            joined[-1] = last._replace(
                end=run.end,
                bytes=last.bytes + run.bytes,
                largest_bytes=max(last.largest_bytes, run.largest_bytes),
            )
        else:
            joined.append(run)
    return joined
