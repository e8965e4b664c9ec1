"""The parts of frames: what is taken, and what is refused by which name."""

from __future__ import annotations

import pytest

from meshbox.core.errors import FrameMalformed, FrameTooLarge
from meshbox.core.ids import BlobClass
from meshbox.core.limits import LOG_RANGES_MAX
from meshbox.core.ranges import SeqRanges
from meshbox.wire.checks import (
    blob_class_of,
    bounded,
    hashes,
    offered_runs,
    page_ranges,
    port,
    short,
    sized,
)
from meshbox.wire.v1 import sync_pb2 as pb


def test_a_bound_is_still_allowed() -> None:
    bounded(3, 3, "things")
    with pytest.raises(FrameTooLarge, match="4 things, at most 3"):
        bounded(4, 3, "things")


def test_bytes_of_another_length_are_refused() -> None:
    assert sized(b"12", 2, "key") == b"12"
    for raw in (b"1", b"123"):
        with pytest.raises(FrameMalformed, match="key"):
            sized(raw, 2, "key")


def test_hashes_are_whole_and_not_too_many() -> None:
    assert hashes(b"aabb", 2, 2, "topics") == b"aabb"
    with pytest.raises(FrameMalformed, match="cut"):
        hashes(b"aab", 2, 2, "topics")
    with pytest.raises(FrameTooLarge):
        hashes(b"aabbcc", 2, 2, "topics")


@pytest.mark.parametrize(("number", "least"), [(0, 1), (65_536, 0)])
def test_what_is_no_port_is_refused(number: int, least: int) -> None:
    with pytest.raises(FrameMalformed, match="not a port"):
        port(number, least=least)


def test_text_is_cut_and_cannot_steer_a_terminal() -> None:
    assert short("too long", 3, "reason") == "too"
    with pytest.raises(FrameMalformed, match="reason"):
        short("\x1b[2J", 9, "reason")


def test_the_classes_are_two() -> None:
    assert [blob_class_of(number) for number in (0, 1)] == [BlobClass.OPAQUE, BlobClass.VERIFIED]
    with pytest.raises(FrameMalformed):
        blob_class_of(2)


def test_runs_ascend_and_may_touch() -> None:
    touching = [pb.OfferedRun(first=0, last=4), pb.OfferedRun(first=5, last=5)]
    assert [(run.first, run.end) for run in offered_runs(touching)] == [(0, 5), (5, 6)]
    for bad in ([], [pb.OfferedRun(first=2, last=1)], [*touching, pb.OfferedRun(first=5, last=9)]):
        with pytest.raises(FrameMalformed):
            offered_runs(bad)


def test_a_runs_bytes_are_at_most_those_of_its_largest_blob_each() -> None:
    (told,) = offered_runs([pb.OfferedRun(first=0, last=3, bytes=9, largest_bytes=5)])
    (untold,) = offered_runs([pb.OfferedRun(first=0, last=3, largest_bytes=5)])
    assert (told.bytes, untold.bytes) == (9, 20)


def test_a_log_has_no_more_runs_than_its_record_may() -> None:
    runs = [pb.OfferedRun(first=2 * n, last=2 * n) for n in range(LOG_RANGES_MAX + 1)]
    assert len(offered_runs(runs[:-1])) == LOG_RANGES_MAX
    with pytest.raises(FrameTooLarge):
        offered_runs(runs)


def test_ranges_of_a_page_name_their_log_by_its_place() -> None:
    log = pb.PageRanges(log=3, ranges=[pb.SeqRange(first=1, last=2), pb.SeqRange(first=7, last=7)])
    (taken,) = page_ranges([log])
    assert (taken.log, taken.ranges) == (3, SeqRanges([(1, 3), (7, 8)]))
    for bad in (pb.PageRanges(log=0), pb.PageRanges(ranges=[pb.SeqRange(first=2, last=1)])):
        with pytest.raises(FrameMalformed):
            page_ranges([bad])
