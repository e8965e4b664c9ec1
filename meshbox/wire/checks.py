"""What is checked of the parts of a frame: `FrameMalformed` or `FrameTooLarge` where it fails."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from meshbox.core.address import PORT_MAX
from meshbox.core.errors import FrameMalformed, FrameTooLarge
from meshbox.core.ids import BlobClass
from meshbox.core.limits import LOG_RANGES_MAX, PAGE_LOGS_MAX, WANT_RANGES_MAX
from meshbox.core.ranges import SeqRanges
from meshbox.core.session.frames import OfferedRun, PageRanges
from meshbox.wire.v1 import sync_pb2 as pb

_CLASSES: Final = tuple(BlobClass)


def hashes(told: bytes, size_bytes: int, count_max: int, what: str) -> bytes:
    """Hashes of `size_bytes` each, one after another; at most `count_max`."""
    if len(told) % size_bytes:
        raise FrameMalformed(f"the last of the {what} is cut")
    bounded(len(told) // size_bytes, count_max, what)
    return told


def port(number: int, *, least: int) -> int:
    """A TCP port, or 0 where that is the `least`."""
    if not least <= number <= PORT_MAX:
        raise FrameMalformed(f"{number} is not a port")
    return number


def offered_runs(messages: Iterable[pb.OfferedRun]) -> tuple[OfferedRun, ...]:
    """Runs of a log, at least one: ascending and disjoint."""
    runs: list[OfferedRun] = []
    end = 0
    for run in messages:
        if run.first < end or run.last < run.first:
            raise FrameMalformed("runs that do not ascend")
        end = run.last + 1
        runs.append(
            OfferedRun(
                run.first,
                end,
                blob_class_of(run.blob_class),
                run.bytes if run.HasField("bytes") else run.largest_bytes * (end - run.first),
                run.largest_bytes,
                run.age_least_ms,
            )
        )
    if not runs:
        raise FrameMalformed("a log without runs")
    bounded(len(runs), LOG_RANGES_MAX, "runs of a log")
    return tuple(runs)


def page_ranges(logs: Iterable[pb.PageRanges]) -> tuple[PageRanges, ...]:
    """Ranges of some logs of a page, each with its place there."""
    taken: list[PageRanges] = []
    range_count = 0
    for log in logs:
        range_count += len(log.ranges)
        bounded(range_count, WANT_RANGES_MAX + LOG_RANGES_MAX, "ranges of a frame")
        if any(pair.last < pair.first for pair in log.ranges) or not log.ranges:
            raise FrameMalformed("a range that ends before it begins")
        ranges = SeqRanges((pair.first, pair.last + 1) for pair in log.ranges)
        taken.append(PageRanges(log.log, ranges))
    bounded(len(taken), PAGE_LOGS_MAX, "logs of a frame")
    return tuple(taken)


def blob_class_of(number: int) -> BlobClass:
    """A class that this version knows."""
    if number not in (0, 1):
        raise FrameMalformed(f"blob class {number} is unknown")
    return _CLASSES[number]


def sized(raw: bytes, size: int, what: str) -> bytes:
    """Exactly so many bytes."""
    if len(raw) != size:
        raise FrameMalformed(f"{what} has {len(raw)} bytes, not {size}")
    return raw


def short(text: str, length_max: int, what: str) -> str:
    """Text for people, cut where it is too long."""
    if not text.isprintable():
        raise FrameMalformed(f"{what} has characters that cannot be printed")
    return text[:length_max]


def bounded(count: int, count_max: int, what: str) -> None:
    """`FrameTooLarge` for more of something than may be."""
    if count > count_max:
        raise FrameTooLarge(f"{count} {what}, at most {count_max} are allowed")
