"""However it is used, no more than the rate and one burst goes, and it is used up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.rate import BURST_S, UNBOUNDED, RateLimit

RATE = 1_000
moves = st.lists(st.tuples(st.integers(1, 5_000), st.floats(0, 3)), min_size=1, max_size=30)


@given(moves)
def test_what_moves_stays_within_the_rate(moves: list[tuple[int, float]]) -> None:
    limit, now_s, moved = RateLimit(RATE), 100.0, 0
    for size_bytes, pause_s in moves:
        moved += size_bytes
        now_s += limit.wait_s(size_bytes, now_s=now_s)
        assert moved <= RATE * (now_s - 100.0 + BURST_S) + 1
        now_s += pause_s


@given(st.lists(st.integers(1, 5_000), min_size=1, max_size=30))
def test_who_always_moves_gets_the_whole_rate(sizes: list[int]) -> None:
    limit, now_s = RateLimit(RATE), 0.0
    for size_bytes in sizes:
        now_s += limit.wait_s(size_bytes, now_s=now_s)
    assert now_s == pytest.approx(max(0.0, sum(sizes) / RATE - BURST_S), abs=0.5)


def test_without_a_bound_nobody_waits() -> None:
    assert [UNBOUNDED.wait_s(10**9, now_s=now_s) for now_s in (0.0, 0.0, 9.0)] == [0.0] * 3
