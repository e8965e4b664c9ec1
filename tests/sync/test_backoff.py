"""Waits that double, with jitter, and forget."""

from __future__ import annotations

import random

import pytest

from meshbox.sync.backoff import (
    FIRST_S,
    FORGIVEN_S,
    LONGEST_S,
    OFFENCE_FIRST_S,
    OFFENCE_LONGEST_S,
    STEADY_S,
    Backoff,
)


@pytest.mark.parametrize("seed", range(20))
def test_each_wait_is_within_half_and_whole_of_a_bound_that_doubles(seed: int) -> None:
    backoff = Backoff(random.Random(seed))
    bound_s = FIRST_S
    for _ in range(40):
        assert bound_s / 2 <= backoff.next_s() <= bound_s
        bound_s = min(bound_s * 2, LONGEST_S)


def test_two_nodes_do_not_wait_in_step() -> None:
    one, other = Backoff(random.Random(1)), Backoff(random.Random(2))
    assert [one.next_s() for _ in range(5)] != [other.next_s() for _ in range(5)]


def test_only_a_steady_session_or_an_announcement_forgets_failures() -> None:
    backoff = Backoff(random.Random(0))
    for forget, first_again in [
        (lambda: backoff.succeeded(lasted_s=STEADY_S - 0.1), False),
        (lambda: backoff.succeeded(lasted_s=STEADY_S), True),
        (backoff.reset, True),
    ]:
        for _ in range(6):
            backoff.next_s()
        forget()
        assert (backoff.next_s() <= FIRST_S) == first_again


def test_misbehaviour_bars_for_longer_each_time_and_nothing_ends_it_early() -> None:
    backoff = Backoff(random.Random(0))
    assert backoff.barred_s(now_s=0) == 0
    assert OFFENCE_FIRST_S > LONGEST_S
    now_s, expected_s = 1_000.0, OFFENCE_FIRST_S
    for _ in range(20):
        backoff.misbehaved(now_s=now_s)
        backoff.reset()
        backoff.succeeded(lasted_s=STEADY_S)
        assert backoff.barred_s(now_s=now_s) == expected_s
        assert backoff.barred_s(now_s=now_s + expected_s) == 0
        now_s, expected_s = now_s + expected_s, min(2 * expected_s, OFFENCE_LONGEST_S)
    backoff.succeeded(lasted_s=FORGIVEN_S)
    backoff.misbehaved(now_s=now_s)
    assert backoff.barred_s(now_s=now_s) == OFFENCE_FIRST_S
