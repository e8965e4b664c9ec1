"""What goes into which lane, and how much of it is in flight."""

from __future__ import annotations

import pytest

from meshbox.core.ids import BlobClass
from meshbox.core.limits import FRAME_BYTES_MAX, FRESH_SEQS_LOG_MAX
from meshbox.core.ranges import SeqRanges
from meshbox.core.session.frames import OfferedRun
from meshbox.core.session.lanes import BYTES_MAX, SEQS_MAX, Budget, Lane, lane_of

SMALL = OfferedRun(0, 1_000, BlobClass.OPAQUE, 1_000, 10, 0)
LARGE = OfferedRun(1_000, 1_001, BlobClass.OPAQUE, 2**20, 2**20, 0)
WIDE = 2**30
"""Bytes in flight on a line that takes all."""


@pytest.mark.parametrize(
    ("lacking", "fresh", "lane"),
    [
        (SeqRanges.of(0, FRESH_SEQS_LOG_MAX), True, Lane.FRESH),
        (SeqRanges.of(0, FRESH_SEQS_LOG_MAX + 1), True, Lane.FEED),
        (SeqRanges.of(0, 1), False, Lane.FEED),
        (SeqRanges.of(999, 1_001), False, Lane.BULK),
        (SeqRanges.single(1_000), True, Lane.BULK),
    ],
)
def test_the_lane_of_a_log_is_that_of_what_is_lacked(
    lacking: SeqRanges, fresh: bool, lane: Lane
) -> None:
    assert lane_of([SMALL, LARGE], lacking, fresh=fresh, flight_bytes=WIDE) is lane


def test_what_fills_the_line_or_a_frame_is_bulk() -> None:
    for largest_bytes, flight_bytes, lane in (
        (FRAME_BYTES_MAX, WIDE, Lane.FEED),
        (FRAME_BYTES_MAX + 1, WIDE, Lane.BULK),
        (10, 10, Lane.FEED),
        (11, 10, Lane.BULK),
    ):
        run = SMALL._replace(largest_bytes=largest_bytes)
        lacking = SeqRanges.single(5)
        assert lane_of([run], lacking, fresh=False, flight_bytes=flight_bytes) is lane


def test_as_many_as_fit_the_line_and_the_lane_are_asked_for() -> None:
    budget = Budget(Lane.FEED)
    assert budget.room_seqs(100, flight_bytes=1_050) == 10
    budget.take(4, 400)
    assert budget.room_seqs(100, flight_bytes=1_050) == 6
    assert budget.room_seqs(1, flight_bytes=WIDE) == SEQS_MAX[Lane.FEED] - 4
    assert budget.room_seqs(2**20, flight_bytes=WIDE) == (BYTES_MAX[Lane.FEED] - 400) // 2**20
    budget.take(-4, -400)
    assert (budget.seqs, budget.bytes) == (0, 0)


def test_where_nothing_is_in_flight_one_is_asked_for_however_large() -> None:
    budget = Budget(Lane.BULK)
    assert budget.room_seqs(2**40, flight_bytes=1) == 1
    budget.take(1, 2**40)
    assert budget.room_seqs(1, flight_bytes=WIDE) == 0
    copied = budget.copy()
    copied.take(1, 1)
    assert (budget.seqs, copied.seqs) == (1, 2)
