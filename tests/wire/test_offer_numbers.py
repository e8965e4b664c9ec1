"""Offers in numbers: what is written is read, and nothing else is taken for one."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.errors import FrameMalformed, FrameTooLarge
from meshbox.core.ids import BlobClass
from meshbox.core.limits import LOG_RANGES_MAX
from meshbox.core.ranges import SEQ_END
from meshbox.core.session.frames import OfferedRun
from meshbox.wire.offer_numbers import numbers_of, offered_in

OPAQUE, VERIFIED = BlobClass.OPAQUE, BlobClass.VERIFIED


@pytest.mark.parametrize(
    ("known", "runs", "numbers"),
    [
        (0, [OfferedRun(0, 1, OPAQUE, 9, 9, 0)], [1, 0, 9]),
        (7, [OfferedRun(0, 3, OPAQUE, 30, 10, 0)], [15, 2, 10]),
        (7, [OfferedRun(0, 3, OPAQUE, 29, 10, 0)], [14, 1, 0, 2, 1, 10, 0, 29]),
        (7, [OfferedRun(1, 3, OPAQUE, 20, 10, 0)], [14, 1, 1, 1, 0, 10, 0]),
        (7, [OfferedRun(0, 3, VERIFIED, 30, 10, 0)], [14, 1, 0, 2, 2, 10, 0]),
        (7, [OfferedRun(0, 3, OPAQUE, 30, 10, 5)], [14, 1, 0, 2, 0, 10, 5]),
        (
            1,
            [OfferedRun(0, 2, OPAQUE, 4, 2, 0), OfferedRun(5, SEQ_END, VERIFIED, 8, 8, 1)],
            [2, 2, 0, 1, 0, 2, 0, 3, SEQ_END - 6, 3, 8, 1, 8],
        ),
    ],
)
def test_a_log_is_a_few_numbers(known: int, runs: list[OfferedRun], numbers: list[int]) -> None:
    assert numbers_of(known, tuple(runs)) == numbers
    assert list(offered_in(numbers)) == [(known, tuple(runs))]


@pytest.mark.parametrize("cut", range(1, 11))
def test_a_row_that_is_cut_is_malformed(cut: int) -> None:
    row = [15, 2, 10, 14, 1, 0, 2, 1, 10, 0, 29]
    read = offered_in(row[:cut])
    if cut > 3:
        assert next(read) == (7, (OfferedRun(0, 3, OPAQUE, 30, 10, 0),))
    if cut == 3:
        assert len(list(read)) == 1
        return
    with pytest.raises(FrameMalformed):
        next(read)


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ([1, SEQ_END, 1], FrameMalformed),
        ([2, 1, 1, SEQ_END - 1, 0, 1, 0], FrameMalformed),
        ([2, 1, 0, 0, 4, 1, 0], FrameMalformed),
        ([2, 0], FrameMalformed),
        ([2, LOG_RANGES_MAX + 1], FrameTooLarge),
        ([2, SEQ_END - 1], FrameTooLarge),
    ],
)
def test_what_no_log_has_is_refused(row: list[int], fault: type[Exception]) -> None:
    with pytest.raises(fault):
        list(offered_in(row))


@given(st.lists(st.integers(0, SEQ_END - 1), max_size=30))
def test_any_row_is_read_or_refused(row: list[int]) -> None:
    try:
        logs = list(offered_in(row))
    except (FrameMalformed, FrameTooLarge):
        return
    assert list(offered_in(n for log in logs for n in numbers_of(*log))) == logs
    for _, runs in logs:
        assert all(before.end <= run.first for before, run in pairwise(runs))
        assert all(run.first < run.end <= SEQ_END for run in runs)
