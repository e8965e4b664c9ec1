"""Forgetting: never while a copy may live anywhere, and no later than it must."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.forgetting import (
    FORGET_AFTER_MS,
    FORGET_FLOOR_MS,
    empty_bytes_max,
    forgettable_through,
)
from meshbox.core.limits import EMPTY_LOGS_BYTES_MAX
from meshbox.core.retention import (
    BUCKET_MS,
    DAY_MS,
    RETENTION_MAX_MS,
    RETENTION_MIN_MS,
    Retention,
    bucket_start_ms,
)

times = st.integers(0, 200 * DAY_MS)
retentions = st.integers(RETENTION_MIN_MS, RETENTION_MAX_MS)
sizes = st.integers(0, 1_000)


def through(now_ms: int, retention_ms: int, *, crowded: bool) -> int:
    return forgettable_through(
        now_ms, retention_ms=retention_ms, empty_bytes=101 if crowded else 100, empty_bytes_max=100
    )


@given(times, retentions, retentions, st.booleans())
def test_no_node_accepts_a_copy_of_what_the_log_held(
    now_ms: int, retention_ms: int, others_ms: int, crowded: bool
) -> None:
    """A blob of the forgotten bucket is due wherever it is, with any retention, however late in
    the bucket it was stored."""
    bucket = through(now_ms, retention_ms, crowded=crowded)
    if bucket < 0:
        return
    age_least_ms = now_ms - (bucket_start_ms(bucket + 1) - 1)
    assert Retention(others_ms).due(bucket, now_ms)
    assert age_least_ms > retention_ms + FORGET_FLOOR_MS
    assert age_least_ms > others_ms


@given(times, retentions, sizes, sizes)
def test_the_oldest_go_at_the_floor_only_when_there_are_too_many(
    now_ms: int, retention_ms: int, empty_bytes: int, bytes_max: int
) -> None:
    found = forgettable_through(
        now_ms, retention_ms=retention_ms, empty_bytes=empty_bytes, empty_bytes_max=bytes_max
    )
    after_ms = retention_ms + FORGET_FLOOR_MS if empty_bytes > bytes_max else FORGET_AFTER_MS
    # The last bucket that had ended so long ago.
    assert (found + 1) * BUCKET_MS <= max(now_ms - after_ms, 0) < (found + 2) * BUCKET_MS


@given(times, st.integers(0, 30 * DAY_MS), retentions, st.booleans())
def test_time_and_crowds_only_ever_add(
    now_ms: int, later_ms: int, retention_ms: int, crowded: bool
) -> None:
    now = through(now_ms, retention_ms, crowded=crowded)
    assert through(now_ms + later_ms, retention_ms, crowded=crowded) >= now
    assert through(now_ms, retention_ms, crowded=True) >= now >= -1


def test_a_tenth_of_an_allocation_is_for_empty_logs() -> None:
    assert empty_bytes_max(1_000_000) == 100_000
    assert empty_bytes_max(None) == EMPTY_LOGS_BYTES_MAX


def test_the_last_bucket_that_ended_so_long_ago_is_forgotten() -> None:
    now_ms = FORGET_AFTER_MS + 3 * BUCKET_MS
    assert through(now_ms, RETENTION_MAX_MS, crowded=False) == 2
    assert through(now_ms - 1, RETENTION_MAX_MS, crowded=False) == 1


def test_what_counts_for_just_as_much_as_it_may_is_not_too_much() -> None:
    now_ms = 60 * DAY_MS
    assert through(now_ms, RETENTION_MAX_MS, crowded=False) == -1
    assert through(now_ms, RETENTION_MAX_MS, crowded=True) > 0


def test_an_allocation_that_does_not_divide_is_rounded_down() -> None:
    assert empty_bytes_max(1_000_009) == 100_000
