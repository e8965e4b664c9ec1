"""Backlog yields to what is new while that is slow, and has everything again afterwards."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.limits import WANT_BYTES_MAX
from meshbox.core.yielding import (
    BACKLOG_BYTES_MIN,
    YIELD_MS,
    YIELD_REST_MS,
    YIELD_TIMES,
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
    for now_ms in (1_000, 1_010, 1_500):
        times.came(900, now_ms=now_ms)
    assert yielding.backlog_bytes == WANT_BYTES_MAX // 2
    times.came(400, now_ms=1_500)
    assert yielding.backlog_bytes == WANT_BYTES_MAX // 4
    yielding.tick(1_500 + YIELD_REST_MS - 1)
    assert yielding.backlog_bytes == WANT_BYTES_MAX // 4


def test_a_line_that_is_slow_by_itself_is_none_to_yield_to() -> None:
    yielding = Yielding()
    far, near = FreshTimes(yielding), FreshTimes(yielding)
    for number in range(1, 10):
        far.came(2_000 + number, now_ms=number * 5_000)
    assert yielding.backlog_bytes == WANT_BYTES_MAX
    near.came(1, now_ms=50_000)
    near.came(YIELD_TIMES * YIELD_MS, now_ms=51_000)
    assert yielding.backlog_bytes == WANT_BYTES_MAX // 2
