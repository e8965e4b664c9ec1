"""Offered logs as a row of numbers: each takes some 5 bytes so, and 12 as a message.

A log that has one run of opaque blobs from 0 on, all as large and as new as can be, is plain, as
most are: `2 * known + 1, last, largest_bytes`. Any other begins with `2 * known` and its number of
runs; of each run follow what lies before it, from the end of the run before, `last - first`,
`2 * class` and 1 more where `bytes` is told, `largest_bytes`, `age_least_ms`, and `bytes` if told.
`known` stands for the log's name (names.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from meshbox.core.errors import FrameMalformed
from meshbox.core.ids import BlobClass
from meshbox.core.limits import LOG_RANGES_MAX
from meshbox.core.ranges import SEQ_END
from meshbox.core.session.frames import OfferedRun
from meshbox.wire.checks import blob_class_of, bounded


def numbers_of(known: int, runs: tuple[OfferedRun, ...]) -> list[int]:
    """What stands for an offered log."""
    end, largest_bytes = runs[0].end, runs[0].largest_bytes
    if runs == (_plain(end, largest_bytes),):
        return [2 * known + 1, end - 1, largest_bytes]
    numbers, end = [2 * known, len(runs)], 0
    for run in runs:
        is_told = run.bytes != run.largest_bytes * (run.end - run.first)
        numbers += [run.first - end, run.end - 1 - run.first, 2 * run.blob_class + is_told]
        numbers += [run.largest_bytes, run.age_least_ms, *([run.bytes] if is_told else [])]
        end = run.end
    return numbers


def offered_in(numbers: Iterable[int]) -> Iterator[tuple[int, tuple[OfferedRun, ...]]]:
    """What `known` of each log is, and its runs; `FrameMalformed`, `FrameTooLarge`."""
    rest = iter(numbers)
    for head in rest:
        try:
            runs = (_plain(next(rest) + 1, next(rest)),) if head % 2 else _runs(rest)
        except StopIteration:
            raise FrameMalformed("a page that ends in the midst of a log") from None
        if runs[-1].end > SEQ_END:
            raise FrameMalformed("runs beyond the last number")
        yield head // 2, runs


def _runs(rest: Iterator[int]) -> tuple[OfferedRun, ...]:
    count = next(rest)
    bounded(count, LOG_RANGES_MAX, "runs of a log")
    if not count:
        raise FrameMalformed("a log without runs")
    runs: list[OfferedRun] = []
    end = 0
    for _ in range(count):
        first = end + next(rest)
        end = first + next(rest) + 1
        kind, largest_bytes, age_least_ms = next(rest), next(rest), next(rest)
        size_bytes = next(rest) if kind % 2 else largest_bytes * (end - first)
        blob_class = blob_class_of(kind // 2)
        runs.append(OfferedRun(first, end, blob_class, size_bytes, largest_bytes, age_least_ms))
    return tuple(runs)


def _plain(end: int, largest_bytes: int) -> OfferedRun:
    return OfferedRun(0, end, BlobClass.OPAQUE, largest_bytes * end, largest_bytes, 0)
