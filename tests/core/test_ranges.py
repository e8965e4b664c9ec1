"""SeqRanges against the naive model: a Python set of small numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.ranges import EMPTY, SEQ_END, SeqRanges, gaps_within, union

UNIVERSE = 48

members = st.frozensets(st.integers(0, UNIVERSE - 1))


def ranges_of(numbers: frozenset[int]) -> SeqRanges:
    return SeqRanges((n, n + 1) for n in numbers)


def assert_invariants(ranges: SeqRanges) -> None:
    previous_end = -1
    for first, end in ranges:
        assert previous_end < first < end <= SEQ_END
        previous_end = end


@given(members)
def test_is_the_set_it_was_made_of(numbers: frozenset[int]) -> None:
    ranges = ranges_of(numbers)
    assert_invariants(ranges)
    assert list(ranges.numbers()) == sorted(numbers)
    assert ranges.count == len(numbers)
    assert bool(ranges) == bool(numbers)
    assert ranges.lowest == min(numbers, default=None)
    assert ranges.highest == max(numbers, default=None)
    assert [n in ranges for n in range(UNIVERSE)] == [n in numbers for n in range(UNIVERSE)]


@given(members, st.integers(0, UNIVERSE - 1), st.integers(1, 5))
def test_meets_what_it_shares_a_number_with(
    numbers: frozenset[int], first: int, length: int
) -> None:
    shared = numbers & set(range(first, first + length))
    assert ranges_of(numbers).meets(first, first + length) == bool(shared)


@given(members, members)
def test_union_intersection_difference(left: frozenset[int], right: frozenset[int]) -> None:
    a, b = ranges_of(left), ranges_of(right)
    for result, expected in ((a | b, left | right), (a & b, left & right), (a - b, left - right)):
        assert_invariants(result)
        assert result == ranges_of(expected)
        assert hash(result) == hash(ranges_of(expected))


@given(st.lists(members))
def test_union_of_many(sets: list[frozenset[int]]) -> None:
    assert union(map(ranges_of, sets)) == ranges_of(frozenset().union(*sets))


@given(members)
def test_complement_is_everything_else(numbers: frozenset[int]) -> None:
    ranges = ranges_of(numbers)
    rest = ranges.complement()
    assert_invariants(rest)
    assert ranges & rest == EMPTY
    assert ranges | rest == SeqRanges.of(0, SEQ_END)


@given(members, st.integers(-2, UNIVERSE + 2))
def test_parts_by_bound_and_count(numbers: frozenset[int], bound: int) -> None:
    ranges = ranges_of(numbers)
    assert ranges.from_(bound) == ranges_of(frozenset(n for n in numbers if n >= bound))
    assert ranges.below(bound) == ranges_of(frozenset(n for n in numbers if n < bound))
    assert ranges.take_lowest(bound) == ranges_of(frozenset(sorted(numbers)[: max(bound, 0)]))


@given(members)
def test_watermark_and_gaps(numbers: frozenset[int]) -> None:
    ranges = ranges_of(numbers)
    first_hole = next(n for n in range(UNIVERSE + 1) if n not in numbers)
    assert ranges.watermark == (first_hole - 1 if first_hole else None)
    inside = frozenset(range(min(numbers, default=0), max(numbers, default=0)))
    assert gaps_within(ranges) == ranges_of(inside - numbers)


@given(members, st.integers(1, 8))
def test_closing_the_lowest_gaps_only_adds_below(numbers: frozenset[int], most: int) -> None:
    ranges = ranges_of(numbers)
    fewer = ranges.without_lowest_gaps(most)
    assert_invariants(fewer)
    assert len(fewer) == min(len(ranges), most)
    assert ranges - fewer == EMPTY
    assert fewer.highest == ranges.highest
    added = fewer - ranges
    if len(fewer) > 1:
        assert added.highest is None or added.highest < fewer.pairs[1][0]


def test_the_whole_space_costs_one_pair() -> None:
    everything = SeqRanges.of(0, SEQ_END)
    assert everything.count == SEQ_END
    assert everything.watermark == SEQ_END - 1
    assert everything - SeqRanges.single(7) == SeqRanges([(0, 7), (8, SEQ_END)])
    assert everything.complement() == EMPTY


@pytest.mark.parametrize("pair", [(-1, 3), (3, 3), (5, 2), (0, SEQ_END + 1)])
def test_refuses_what_is_no_range(pair: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="not a range"):
        SeqRanges([pair])


def test_of_an_empty_span_is_empty() -> None:
    assert SeqRanges.of(5, 5) is EMPTY
    assert repr(SeqRanges.of(2, 5)) == "SeqRanges(2…4)"


def test_a_set_reads_as_its_ranges_and_hashes_by_its_content() -> None:
    assert repr(SeqRanges([(0, 2), (5, 6)])) == "SeqRanges(0…1, 5…5)"
    assert len({hash(SeqRanges.single(number)) for number in range(100)}) > 1


def test_ascending_ranges_may_touch() -> None:
    assert SeqRanges.ascending([(0, 2), (2, 4), (6, 7)]) == SeqRanges([(0, 4), (6, 7)])


def test_sets_of_other_numbers_are_not_equal() -> None:
    assert SeqRanges.single(1) != SeqRanges.single(2)
    assert SeqRanges.single(1) != ((1, 2),)


def test_the_highest_number_is_a_member_like_any_other() -> None:
    last = SeqRanges.single(SEQ_END - 1)
    assert SEQ_END - 1 in last
    assert last.meets(SEQ_END - 1, SEQ_END)


def test_the_lowest_are_taken_over_several_ranges() -> None:
    assert SeqRanges([(0, 2), (5, 9)]).take_lowest(3) == SeqRanges([(0, 2), (5, 6)])


def test_the_union_of_two_has_the_members_of_both() -> None:
    assert union([SeqRanges.single(1), SeqRanges.single(3)]) == SeqRanges([(1, 2), (3, 4)])
