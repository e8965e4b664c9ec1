"""Room: the bound, its hysteresis, and what goes before what."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.ids import Author, LogId, LogKey, Namespace, Topic
from meshbox.core.inventory import LogRecord
from meshbox.core.room import (
    LIMIT_BYTES_MIN,
    UNLIMITED,
    Allocation,
    DiskSpace,
    FirstToGo,
    aside_bytes,
    capacity_bytes,
    footprint_bytes,
    goal_bytes,
    has_room,
    metadata_bytes,
    newcomer_bytes,
    releasable_bytes,
)

sizes = st.integers(0, 10**12)
spaces = st.builds(DiskSpace, sizes, sizes)
buckets = st.integers(0, 3)
keys = st.sampled_from([LogKey(bytes([at]) * 16) for at in range(3)])
places = st.builds(FirstToGo, buckets, keys, st.integers(0, 3))

A, B = (LogKey(bytes([at]) * 16) for at in (1, 2))


@given(sizes, spaces)
def test_no_limit_and_no_disk_to_ask_mean_no_bound(used_bytes: int, disk: DiskSpace) -> None:
    assert UNLIMITED.bound_bytes(used_bytes, None) is None
    assert has_room(used_bytes, None)
    assert UNLIMITED.bound_bytes(used_bytes, disk) == used_bytes + sum(disk)


@given(sizes, spaces, sizes, sizes)
def test_the_bound_is_the_tighter_of_limit_and_disk(
    used_bytes: int, disk: DiskSpace, capacity_bytes: int, reserve_bytes: int
) -> None:
    limited = Allocation(capacity_bytes, reserve_bytes)
    bound = limited.bound_bytes(used_bytes, disk)
    by_disk = Allocation(None, reserve_bytes).bound_bytes(used_bytes, disk)
    assert by_disk is not None
    assert bound == min(capacity_bytes, by_disk)
    assert by_disk >= 0
    if not limited.is_exhausted(disk):
        assert by_disk >= used_bytes  # The store never shrinks for what others wrote.


@given(st.integers(LIMIT_BYTES_MIN, 10**13))
def test_a_limit_covers_what_is_set_aside_and_the_files_at_their_largest(limit_bytes: int) -> None:
    """1.30 times the footprint is the most that the files took (ADR 0008)."""
    files_bytes = capacity_bytes(limit_bytes) * 130 // 100
    assert 0 < files_bytes + aside_bytes(limit_bytes) <= limit_bytes


def test_below_its_reserve_a_disk_takes_no_more_and_below_half_of_it_the_store_shrinks() -> None:
    allocation = Allocation(None, 100)
    assert allocation.bound_bytes(1_000, DiskSpace(130)) == 1_030
    assert allocation.bound_bytes(1_000, DiskSpace(60)) == 1_000
    assert allocation.bound_bytes(1_000, DiskSpace(60, 50)) == 1_010
    assert allocation.bound_bytes(1_000, DiskSpace(40)) == 940
    assert allocation.bound_bytes(30, DiskSpace(40)) == 0
    assert not allocation.is_exhausted(DiskSpace(50))
    assert allocation.is_exhausted(DiskSpace(49, 10_000))


@given(sizes)
def test_what_is_brought_to_the_goal_is_not_room_again(bound_bytes: int) -> None:
    """Else what went would come back at once, and go again."""
    goal = goal_bytes(bound_bytes)
    assert goal <= bound_bytes
    if bound_bytes >= 10:
        assert not has_room(goal, bound_bytes)


@given(sizes, sizes)
def test_what_comes_back_fits(used_bytes: int, bound_bytes: int) -> None:
    back_bytes = releasable_bytes(used_bytes, bound_bytes)
    assert back_bytes == 0 or used_bytes + back_bytes <= bound_bytes
    if has_room(used_bytes, bound_bytes) and bound_bytes >= 20:
        assert back_bytes > 0


@given(places, places)
def test_only_an_older_bucket_or_a_lower_number_of_the_same_log_goes_before(
    first: FirstToGo, newcomer: FirstToGo
) -> None:
    before = first.is_preceded_by(*newcomer)
    assert not (before and newcomer.is_preceded_by(*first))
    if newcomer.bucket != first.bucket:
        assert before == (newcomer.bucket < first.bucket)
    else:
        assert before == (newcomer.log == first.log and newcomer.seq < first.seq)


def test_what_storage_counts_for() -> None:
    log = LogId(Namespace.LOGS, Topic("topic"), Author("author"))
    assert metadata_bytes(None) == 0
    assert metadata_bytes(LogRecord(log, 1)) > len("topic") + len("author")
    one = footprint_bytes(blobs=1, size_bytes=1_000, logs_bytes=0)
    assert 1_000 < one < newcomer_bytes(1_000)
