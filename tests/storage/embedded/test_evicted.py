"""What went for room: as a value, as bytes, and in the order in which it comes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.errors import StoreDamaged
from meshbox.core.ids import LogKey
from meshbox.core.inventory import NONE_SEEN, ClassedRanges
from meshbox.core.ranges import SEQ_END, SeqRanges
from meshbox.storage.embedded.changes import Put, Remove
from meshbox.storage.embedded.evicted import (
    Evicted,
    decode_evicted,
    entry_op,
    evicted_before,
    newest_first,
    through,
)
from meshbox.storage.embedded.schema import DueEntry, due_key
from meshbox.storage.keyvalue import Family
from meshbox.storage.memory import MemoryKeyValue

A, B = (LogKey(bytes([at]) * 16) for at in (1, 2))
numbers = st.lists(
    st.one_of(st.integers(0, 30), st.integers(SEQ_END - 9, SEQ_END - 1)), min_size=1, max_size=12
).map(lambda found: SeqRanges((seq, seq + 1) for seq in found))
evicted = st.builds(
    lambda opaque, verified, each: Evicted(
        each * (opaque | verified).count, ClassedRanges(opaque - verified, verified)
    ),
    numbers,
    numbers,
    st.integers(1, 1_000),
)


@given(evicted)
def test_it_is_read_as_it_was_written(went: Evicted) -> None:
    put = entry_op(DueEntry(7, A), went)
    assert isinstance(put, Put)
    assert put[:2] == (Family.EVICTED, due_key(7, A))
    assert decode_evicted(put.value) == went


@given(st.binary(max_size=40))
def test_damage_is_a_fault_and_never_a_value(garbage: bytes) -> None:
    try:
        assert isinstance(decode_evicted(garbage), Evicted)
    except StoreDamaged:
        return


@given(evicted, st.integers(-10, 30_000))
def test_the_newest_part_is_the_highest_numbers_that_fit(went: Evicted, bytes_max: int) -> None:
    part = went.newest(bytes_max)
    rest = went - part
    assert part.footprint_bytes <= max(bytes_max, 0)
    assert rest + part == went
    taken, left = part.ranges.all, rest.ranges.all
    if taken and left:
        assert left.pairs[-1][1] <= taken.pairs[0][0]
    if bytes_max >= went.footprint_bytes:
        assert part == went
    else:
        each_bytes = went.footprint_bytes // went.ranges.all.count
        assert taken.count == max(bytes_max, 0) // each_bytes


def test_an_entry_of_which_nothing_is_left_goes() -> None:
    assert entry_op(DueEntry(7, A), Evicted(5, NONE_SEEN)) == Remove(Family.EVICTED, due_key(7, A))


def test_entries_are_found_by_age_from_either_end() -> None:
    key_value = MemoryKeyValue()
    ranges = ClassedRanges(SeqRanges.single(1))
    batch = key_value.new_batch()
    for at, entry in enumerate(DueEntry(bucket, key) for bucket in (5, 6, 8) for key in (A, B)):
        put = entry_op(entry, Evicted(100 + at, ranges))
        assert isinstance(put, Put)
        batch.put(*put)
    key_value.write(batch)

    def newest(limit: int) -> list[tuple[int, LogKey]]:
        found = newest_first(key_value, newest=9, above=5, limit=limit)
        return [(entry.bucket, entry.log) for entry, _ in found]

    assert newest(9) == [(8, A), (8, B), (6, A), (6, B)], "bucket 5 is due"
    assert newest(3) == [(8, A), (8, B), (6, A)]
    assert [entry for entry, _ in through(key_value, 6, limit=3)] == [(5, A), (5, B), (6, A)]
    before = evicted_before(key_value, [DueEntry(6, B), DueEntry(7, B)])
    assert before == [Evicted(103, ranges), Evicted()]
    assert evicted_before(key_value, []) == []


def test_a_damaged_entry_is_a_fault_where_it_is_found() -> None:
    key_value = MemoryKeyValue()
    batch = key_value.new_batch()
    batch.put(Family.EVICTED, due_key(5, A), b"garbage")
    key_value.write(batch)
    with pytest.raises(StoreDamaged):
        through(key_value, 5, limit=1)
