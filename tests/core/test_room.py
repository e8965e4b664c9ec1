"""Room: the bound, its hysteresis, and what goes before what."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.ids import Author, BlobClass, LogId, LogKey, Namespace, Topic
from meshbox.core.inventory import LogRecord, Run
from meshbox.core.limits import ID_BYTES_MAX
from meshbox.core.room import (
    ASIDE_BYTES_MAX,
    BLOB_OVERHEAD_BYTES,
    LIMIT_BYTES_MIN,
    RANGE_BYTES,
    RESERVE_BYTES_MAX,
    UNBOUNDED,
    UNLIMITED,
    Allocation,
    DiskSpace,
    FirstToGo,
    RoomLeft,
    aside_bytes,
    capacity_bytes,
    footprint_bytes,
    goal_bytes,
    has_room,
    metadata_bytes,
    newcomer_bytes,
    releasable_bytes,
    reserve_bytes,
    room_bytes,
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


def record_of(topic: str, author: str, *runs: Run) -> LogRecord:
    return LogRecord(LogId(Namespace.LOGS, Topic(topic), Author(author)), 1, runs)


ONE_BLOB = Run(0, 1, 0, BlobClass.OPAQUE, 10, 10)


def test_a_log_counts_for_its_names_and_each_of_its_runs() -> None:
    least = metadata_bytes(record_of("t", "a"))
    assert metadata_bytes(record_of("topic", "a")) == least + 4
    assert metadata_bytes(record_of("t", "author")) == least + 5
    assert metadata_bytes(record_of("t", "a", ONE_BLOB)) == least + RANGE_BYTES


def test_the_footprint_is_blobs_with_their_overhead_and_logs() -> None:
    assert footprint_bytes(blobs=3, size_bytes=1_000, logs_bytes=50) == (
        1_000 + 3 * BLOB_OVERHEAD_BYTES + 50
    )


def test_there_is_room_for_a_blob_when_there_is_for_a_new_log_of_the_longest_names() -> None:
    longest = record_of("t" * ID_BYTES_MAX, "a" * ID_BYTES_MAX, ONE_BLOB)
    needed = footprint_bytes(blobs=1, size_bytes=10, logs_bytes=metadata_bytes(longest))
    assert room_bytes(10) == needed


def test_what_is_set_aside_is_a_part_of_the_limit_and_all_of_it_without_one() -> None:
    assert aside_bytes(None) == ASIDE_BYTES_MAX
    assert aside_bytes(320_000_031) == 10_000_000
    assert aside_bytes(10**12) == ASIDE_BYTES_MAX


def test_a_small_limit_leaves_less_of_itself_for_messages_than_a_large_one() -> None:
    assert capacity_bytes(16_000_001) == 3_838_081
    assert capacity_bytes(10**10 + 1) == 7_449_668_353


def test_an_eighth_of_a_small_disk_is_left_free_and_so_much_of_a_large_one() -> None:
    assert reserve_bytes(8_000_007) == 1_000_000
    assert reserve_bytes(10**12) == RESERVE_BYTES_MAX


def test_a_full_store_makes_room_for_the_next_deposits_too() -> None:
    assert goal_bytes(6_463) == 6_363


def test_there_is_room_again_when_a_tenth_is_free() -> None:
    assert has_room(904, 1_004)
    assert not has_room(905, 1_004)


def test_what_went_comes_back_until_a_twentieth_is_left() -> None:
    assert releasable_bytes(900, 1_010) == 60
    assert releasable_bytes(960, 1_010) == 0


def test_a_group_of_deposits_takes_what_is_left_and_no_more() -> None:
    left = RoomLeft(100).taking(30)
    assert left == RoomLeft(70)
    assert left.takes(70, (0, A, 0), whole=False)
    assert not left.takes(71, (0, A, 0), whole=False)
    assert not left.takes(71, (0, A, 0), whole=True)


def test_without_a_bound_anything_is_taken() -> None:
    assert UNBOUNDED.taking(10**15) == UNBOUNDED
    assert UNBOUNDED.takes(10**15, (0, A, 0), whole=False)


def test_what_would_be_the_first_to_go_is_refused() -> None:
    left = RoomLeft(100, FirstToGo(5, A, 10))
    assert not left.takes(1, (4, B, 0), whole=False)
    assert not left.takes(1, (5, A, 9), whole=False)
    assert left.takes(1, (5, A, 11), whole=False)


def test_what_is_stored_whole_or_while_enough_is_free_is_not_refused_for_its_turn() -> None:
    first = FirstToGo(5, A, 10)
    assert RoomLeft(100, first).takes(1, (4, A, 0), whole=True)
    assert RoomLeft(100, first, is_roomy=True).takes(1, (4, A, 0), whole=False)
