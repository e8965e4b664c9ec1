"""The one test for age, against a model that asks every gap about every bucket."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from meshbox.core.clock import Gap
from meshbox.core.errors import InvalidSetting
from meshbox.core.retention import (
    BUCKET_MS,
    DAY_MS,
    HOUR_MS,
    RETENTION_MAX_MS,
    RETENTION_MIN_MS,
    Retention,
    bucket_of,
    bucket_start_ms,
)

BUCKETS = 80
"""The model's node time ends after so many buckets: three weeks."""

moments = st.integers(0, BUCKETS * BUCKET_MS - 1)
retentions_ms = st.integers(RETENTION_MIN_MS, RETENTION_MAX_MS)
lengths_ms = st.one_of(
    st.integers(1, 2 * HOUR_MS), st.integers(1, 3 * DAY_MS), st.integers(1, 40 * DAY_MS)
)


@st.composite
def gap_lists(draw: st.DrawFn) -> tuple[Gap, ...]:
    starts = sorted(draw(st.sets(st.integers(0, BUCKETS - 1), max_size=6)))
    gaps = [Gap(bucket_start_ms(start), draw(lengths_ms)) for start in starts]
    unmeasured: bool = draw(st.booleans())
    if starts and unmeasured:
        gaps[-1] = gaps[-1]._replace(length_ms=None)
    return tuple(gaps)


@st.composite
def moments_after(draw: st.DrawFn, gaps: tuple[Gap, ...]) -> int:
    return draw(st.integers(max((gap.start_ms for gap in gaps), default=0), BUCKETS * BUCKET_MS))


def extra_ms(gaps: tuple[Gap, ...], bucket: int) -> int:
    """What the gaps add to the age of a bucket: those that begin when it has ended."""
    end_ms = bucket_start_ms(bucket + 1)
    return sum(gap.length_ms or 0 for gap in gaps if end_ms <= gap.start_ms)


def test_a_bucket_is_six_hours() -> None:
    assert BUCKET_MS == 6 * HOUR_MS
    assert bucket_of(0) == bucket_of(BUCKET_MS - 1) == 0
    assert bucket_of(BUCKET_MS) == 1
    assert bucket_start_ms(3) == 18 * HOUR_MS


@pytest.mark.parametrize("retention_ms", [0, -1, RETENTION_MIN_MS - 1, RETENTION_MAX_MS + 1])
def test_a_retention_out_of_bounds_is_refused(retention_ms: int) -> None:
    with pytest.raises(InvalidSetting, match="retention"):
        Retention(retention_ms)


def test_due_from_the_buckets_start_and_the_retention_on() -> None:
    retention = Retention(RETENTION_MAX_MS)
    due_ms = bucket_start_ms(10) + RETENTION_MAX_MS
    assert not retention.due(10, due_ms - 1)
    assert retention.due(10, due_ms)
    assert retention.due_through(due_ms - 1) == 9
    assert retention.due_through(due_ms) == 10


def test_what_was_swept_stays_due() -> None:
    retention = Retention(RETENTION_MAX_MS, swept=7)
    assert retention.due(7, 0)
    assert not retention.due(8, 0)
    assert retention.due_through(0) == 7
    assert retention.with_swept(8).due(8, 0)
    assert retention.with_swept(3) is retention, "a sweep does not go back"
    assert retention.with_swept(7) is retention


def test_a_long_time_off_makes_all_due_that_came_before_it() -> None:
    gap = Gap(bucket_start_ms(10), 100 * DAY_MS)
    assert Retention(RETENTION_MAX_MS, None, (gap,)).due_through(gap.start_ms) == 9


def test_nothing_is_due_at_first() -> None:
    assert Retention(RETENTION_MAX_MS).due_through(0) is None
    assert not Retention(RETENTION_MAX_MS).due(0, RETENTION_MAX_MS - 1)


def test_the_same_gaps_make_no_new_value() -> None:
    gaps = (Gap(BUCKET_MS, 5),)
    retention = Retention(RETENTION_MAX_MS, swept=3).with_gaps(gaps)
    assert retention == Retention(RETENTION_MAX_MS, swept=3, gaps=gaps)
    assert retention.with_gaps(gaps) is retention


@given(retentions_ms, gap_lists(), st.integers(0, BUCKETS), moments)
def test_due_is_age_and_gaps(
    retention_ms: int, gaps: tuple[Gap, ...], bucket: int, now_ms: int
) -> None:
    retention = Retention(retention_ms, None, gaps)
    age_ms = now_ms - bucket_start_ms(bucket) + extra_ms(gaps, bucket)
    assert retention.due(bucket, now_ms) == (age_ms >= retention_ms)


@given(retentions_ms, st.none() | st.integers(0, BUCKETS), gap_lists(), moments)
def test_due_is_all_buckets_up_to_due_through(
    retention_ms: int, swept: int | None, gaps: tuple[Gap, ...], now_ms: int
) -> None:
    retention = Retention(retention_ms, swept, gaps)
    highest = retention.due_through(now_ms)
    due = [bucket for bucket in range(BUCKETS + 1) if retention.due(bucket, now_ms)]
    assert due == list(range(0 if highest is None else highest + 1))


@given(retentions_ms, gap_lists(), moments, moments)
def test_due_stays_due(
    retention_ms: int, gaps: tuple[Gap, ...], one_ms: int, other_ms: int
) -> None:
    """With time, and when a gap is measured."""
    retention = Retention(retention_ms, None, gaps)
    measured = tuple(gap._replace(length_ms=gap.length_ms or DAY_MS) for gap in gaps)
    early_ms, late_ms = sorted((one_ms, other_ms))
    for bucket in range(BUCKETS):
        if retention.due(bucket, early_ms):
            assert retention.due(bucket, late_ms)
            assert Retention(retention_ms, None, measured).due(bucket, early_ms)


@given(gap_lists(), moments, moments)
def test_age_of_a_blob_stored_here(gaps: tuple[Gap, ...], stamp_ms: int, now_ms: int) -> None:
    retention = Retention(RETENTION_MAX_MS, None, gaps)
    bucket = bucket_of(stamp_ms)
    age_ms = retention.age_ms(stamp_ms, now_ms)
    assert age_ms == max(0, now_ms - stamp_ms + extra_ms(gaps, bucket))
    if retention.due(bucket, now_ms):
        assert age_ms >= RETENTION_MAX_MS - BUCKET_MS
    elif stamp_ms <= now_ms:
        assert age_ms < RETENTION_MAX_MS


@given(gap_lists(), moments, moments)
def test_an_offer_says_the_least_age_of_the_bucket(
    gaps: tuple[Gap, ...], stamp_ms: int, now_ms: int
) -> None:
    retention = Retention(RETENTION_MAX_MS, None, gaps)
    bucket = bucket_of(stamp_ms)
    least_ms = retention.age_least_ms(bucket, now_ms)
    assert 0 <= least_ms <= retention.age_ms(stamp_ms, now_ms)
    assert least_ms == retention.age_ms(bucket_start_ms(bucket + 1) - 1, now_ms)


@given(st.data(), retentions_ms, gap_lists(), st.integers(-DAY_MS, 9 * DAY_MS))
def test_the_age_that_a_blob_came_with_is_the_age_it_has(
    data: st.DataObject, retention_ms: int, gaps: tuple[Gap, ...], came_with_ms: int
) -> None:
    retention = Retention(retention_ms, None, gaps)
    asked_ms = data.draw(moments_after(gaps))
    stamp_ms = retention.stamp_of(asked_ms, came_with_ms)
    age_ms = max(0, came_with_ms)
    assume(age_ms < retention_ms)
    assert 0 <= stamp_ms <= asked_ms
    assert retention.age_ms(stamp_ms, asked_ms) <= age_ms, "it would die early"
    earlier_ms = retention.earlier_ms(stamp_ms, asked_ms=asked_ms, age_ms=age_ms)
    assert 0 <= earlier_ms < retention_ms
    assert retention.age_ms(stamp_ms, asked_ms, earlier_ms=earlier_ms) == age_ms


@given(st.data(), gap_lists(), st.integers(0, 8 * DAY_MS), lengths_ms)
def test_a_gap_that_is_measured_later_makes_no_received_blob_older(
    data: st.DataObject, gaps: tuple[Gap, ...], age_ms: int, length_ms: int
) -> None:
    """Nor does it make it due before its time."""
    retention = Retention(RETENTION_MAX_MS, None, gaps)
    asked_ms = data.draw(moments_after(gaps))
    stamp_ms = retention.stamp_of(asked_ms, age_ms)
    assume(not retention.due(bucket_of(stamp_ms), asked_ms))
    now_ms = data.draw(st.integers(asked_ms, asked_ms + 8 * DAY_MS))
    measured = retention.with_gaps(
        tuple(gap._replace(length_ms=gap.length_ms or length_ms) for gap in gaps)
    )
    right_age_ms = age_ms + now_ms - asked_ms
    assert measured.age_ms(stamp_ms, now_ms) <= right_age_ms
    if measured.due(bucket_of(stamp_ms), now_ms):
        assert right_age_ms >= RETENTION_MAX_MS - BUCKET_MS


@given(st.data(), gap_lists(), retentions_ms, st.integers(0, 2**80))
def test_what_is_as_old_as_the_retention_is_due_on_arrival(
    data: st.DataObject, gaps: tuple[Gap, ...], retention_ms: int, age_ms: int
) -> None:
    retention = Retention(retention_ms, None, gaps)
    asked_ms = data.draw(moments_after(gaps))
    assume(asked_ms >= retention_ms)
    stamp_ms = retention.stamp_of(asked_ms, retention_ms + age_ms)
    assert retention.due(bucket_of(stamp_ms), asked_ms)


@given(st.data(), gap_lists(), st.integers(0, RETENTION_MAX_MS - 1))
def test_a_received_blob_stays_no_longer_than_a_week_here(
    data: st.DataObject, gaps: tuple[Gap, ...], age_ms: int
) -> None:
    retention = Retention(RETENTION_MAX_MS, None, gaps)
    asked_ms = data.draw(moments_after(gaps))
    bucket = bucket_of(retention.stamp_of(asked_ms, age_ms))
    assert retention.due(bucket, asked_ms + RETENTION_MAX_MS)
    if age_ms <= asked_ms and not any(bucket_of(gap.start_ms) == bucket for gap in gaps):
        left_ms = RETENTION_MAX_MS - age_ms
        assert retention.due(bucket, asked_ms + left_ms), "no gap is in its way"


def test_a_blob_that_began_while_this_node_was_off() -> None:
    """Off for three days, measured; an hour later a peer hands over what it took meanwhile."""
    back_ms = bucket_start_ms(100)
    retention = Retention(RETENTION_MAX_MS, None, (Gap(back_ms, 3 * DAY_MS),))
    asked_ms = back_ms + HOUR_MS
    stamp_ms = retention.stamp_of(asked_ms, 2 * DAY_MS)
    assert stamp_ms == back_ms, "the first moment that node time has"
    earlier_ms = retention.earlier_ms(stamp_ms, asked_ms=asked_ms, age_ms=2 * DAY_MS)
    later_ms = asked_ms + 4 * DAY_MS
    assert retention.age_ms(stamp_ms, later_ms, earlier_ms=earlier_ms) == 6 * DAY_MS
    before_ms = retention.stamp_of(asked_ms, 4 * DAY_MS)
    assert before_ms == asked_ms - DAY_MS, "before the gap: the sender counted it already"
    assert retention.earlier_ms(before_ms, asked_ms=asked_ms, age_ms=4 * DAY_MS) == 0


def test_what_is_as_old_as_the_retention_is_stamped_without_the_time_off() -> None:
    asked_ms = bucket_start_ms(40)
    retention = Retention(RETENTION_MAX_MS, gaps=(Gap(bucket_start_ms(30), 3 * DAY_MS),))
    assert retention.stamp_of(asked_ms, RETENTION_MAX_MS) == asked_ms - RETENTION_MAX_MS
    assert retention.stamp_of(asked_ms, RETENTION_MAX_MS - 1) > asked_ms - RETENTION_MAX_MS + 1


def test_no_stamp_is_below_0() -> None:
    assert Retention(RETENTION_MAX_MS).stamp_of(0, RETENTION_MAX_MS) == 0
