"""Where blobs lie: the stretches of partitions that a page is read from, a few at a time.

A record says which numbers are held, of which bucket, and about how many bytes they have. Knows
nothing of the servers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, groupby
from typing import Final, NamedTuple

from meshbox.core.ids import LogId
from meshbox.core.inventory import LogRecord
from meshbox.core.limits import KIB
from meshbox.core.ranges import SeqRanges

SLICE_SEQS: Final = 512
"""Numbers of a partition: 32 MiB at most, and half a MiB of usual messages."""
_READ_BYTES_MAX: Final = 1024 * KIB
"""Bytes of blobs that are asked for at once, by what the records say."""
_READS_MAX: Final = 32
"""Partitions that are asked at once."""


class Bounds(NamedTuple):
    """How much one page may hold."""

    blobs_max: int
    bytes_max: int
    whole_bytes_max: int


class Span(NamedTuple):
    """Numbers of one partition that a record lists; there may be others between, not listed."""

    log: LogId
    bucket: int
    seqs: SeqRanges
    blob_bytes: int
    """About the bytes of one."""

    @property
    def slice(self) -> int:
        """The partition's part of the log."""
        return self.seqs.pairs[0][0] // SLICE_SEQS


def spans_of(wanted: Iterable[tuple[LogRecord, SeqRanges]]) -> Iterator[Span]:
    """What the records hold of what is wanted: runs that lie in one partition, together."""
    for record, ranges in wanted:
        pieces = _pieces(record, ranges)
        for (bucket, _), of_partition in groupby(pieces, lambda piece: piece[:2]):
            some = list(of_partition)
            seqs = SeqRanges(pair for _, _, pair, _ in some)
            yield Span(record.log, bucket, seqs, max(each_bytes for *_, each_bytes in some))


def _pieces(
    record: LogRecord, ranges: SeqRanges
) -> Iterator[tuple[int, int, tuple[int, int], int]]:
    """Bucket, slice, numbers and about the bytes of one, ascending."""
    for run in record.runs:
        if not ranges.meets(run.first, run.end):
            continue
        each_bytes = run.bytes // (run.end - run.first)
        for pair in SeqRanges.of(run.first, run.end) & ranges:
            for first, end in by_slice(*pair):
                yield run.bucket, first // SLICE_SEQS, (first, end), each_bytes


def by_slice(first: int, end: int) -> Iterator[tuple[int, int]]:
    """Numbers, cut where partitions end."""
    while first < end:
        stop = min(end, (first // SLICE_SEQS + 1) * SLICE_SEQS)
        yield first, stop
        first = stop


def take_some(
    spans: Iterator[Span], bounds: Bounds, *, blobs_max: int
) -> tuple[list[Span], Iterator[Span]]:
    """The next spans, to be read at once, and those after them."""
    some: list[Span] = []
    left_bytes = min(_READ_BYTES_MAX, bounds.bytes_max)
    while blobs_max > 0 and left_bytes >= 0 and len(some) < _READS_MAX:
        span = next(spans, None)
        if span is None:
            break
        each_bytes = min(span.blob_bytes, bounds.whole_bytes_max)
        count = min(blobs_max, left_bytes // each_bytes + 1 if each_bytes else SLICE_SEQS)
        first = span.seqs.take_lowest(count)
        if first != span.seqs:
            spans = chain([span._replace(seqs=span.seqs - first)], spans)
        some.append(span._replace(seqs=first))
        blobs_max -= first.count
        left_bytes -= first.count * each_bytes
    return some, spans
