"""Backlog yields to what is new while that is slow, and has everything again afterwards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.limits import WANT_BYTES_MAX
from meshbox.core.yielding import (
    BACKLOG_BYTES_MIN,
    YIELD_CUT,
    YIELD_MS,
    YIELD_REST_MS,
    YIELD_TIMES,
    BacklogTurn,
    FreshTimes,
    Yielding,
)


@given(st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 3_000)), max_size=50))
def test_it_has_bounds_and_yields_to_nothing_but_what_is_slow(came: list[tuple[int, int]]) -> None:
    yielding = Yielding()
    times, now_ms = FreshTimes(yielding), 0
    for took_ms, passed_ms in came:
        now_ms += passed_ms
        before = yielding.backlog_bytes
        times.came(took_ms, now_ms=now_ms)
        assert BACKLOG_BYTES_MIN <= yielding.backlog_bytes <= WANT_BYTES_MAX
        if took_ms <= YIELD_MS:
            assert yielding.backlog_bytes >= before
    yielding.tick(now_ms + YIELD_REST_MS)
    assert yielding.backlog_bytes == WANT_BYTES_MAX


def test_what_was_asked_for_before_a_cut_cuts_no_more() -> None:
    yielding = Yielding()
    times = FreshTimes(yielding)
    times.came(1, now_ms=0)
    for now_ms in (1_000, 1_010, 1_200):
        times.came(2 * YIELD_MS, now_ms=now_ms)
    assert yielding.backlog_bytes == WANT_BYTES_MAX // 4
    times.came(2 * YIELD_MS - 1, now_ms=1_399 + YIELD_MS)
    assert yielding.backlog_bytes == WANT_BYTES_MAX // 8
    yielding.tick(1_399 + YIELD_MS + YIELD_REST_MS - 1)
    assert yielding.backlog_bytes == WANT_BYTES_MAX // 8


@pytest.mark.parametrize(
    ("took_ms", "parts"),
    [(YIELD_MS + 1, 2), (3 * YIELD_MS, 3), (YIELD_CUT * YIELD_MS, 8), (90 * YIELD_MS, 8)],
)
def test_the_slower_the_more_is_cut(took_ms: int, parts: int) -> None:
    yielding = Yielding()
    times = FreshTimes(yielding)
    times.came(1, now_ms=0)
    times.came(took_ms, now_ms=100_000)
    assert yielding.backlog_bytes == WANT_BYTES_MAX // parts


def test_a_turn_is_over_when_its_part_was_asked_for_and_the_next_begins_with_a_tick() -> None:
    yielding = Yielding()
    turn = BacklogTurn(yielding)
    turn.asked(2 * WANT_BYTES_MAX)
    assert not turn.is_over
    yielding.came(YIELD_CUT * YIELD_MS, quick_ms=YIELD_MS, now_ms=1_000)
    assert turn.is_over
    assert turn.tick()
    turn.asked(yielding.backlog_bytes - 1)
    assert not turn.is_over
    turn.asked(1)
    assert turn.is_over
    yielding.tick(1_000 + YIELD_REST_MS)
    assert turn.tick()
    assert not turn.is_over
    assert not turn.tick()


def test_a_line_that_is_slow_by_itself_is_none_to_yield_to() -> None:
    yielding = Yielding()
    far, near = FreshTimes(yielding), FreshTimes(yielding)
    for number in range(1, 10):
        far.came(2_000 + number, now_ms=number * 5_000)
    assert yielding.backlog_bytes == WANT_BYTES_MAX
    near.came(1, now_ms=50_000)
    near.came(YIELD_TIMES * YIELD_MS, now_ms=51_000)
    assert yielding.backlog_bytes == WANT_BYTES_MAX // 2
