"""Memory for blobs in parts is bounded for all peers together, and goes round among them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.ids import NodeId
from meshbox.core.limits import (
    BLOB_BYTES_MAX,
    PARTS_BYTES_MAX,
    PARTS_TURN_MS,
    WANT_PATIENCE_MS,
)
from meshbox.core.turns import Turn, Turns

HALF = PARTS_BYTES_MAX // 2


def some_turns(count: int = 3) -> tuple[Turn, ...]:
    return tuple(Turn(NodeId(letter * 43)) for letter in "abcdefgh"[:count])


def test_the_largest_blob_has_room() -> None:
    assert BLOB_BYTES_MAX < PARTS_BYTES_MAX


def test_who_finds_no_room_waits_and_is_woken() -> None:
    turns, (ann, ben, _) = Turns(), some_turns()
    assert turns.take(ann, BLOB_BYTES_MAX, now_ms=0)
    assert not turns.take(ben, HALF, now_ms=0)
    assert turns.take_woken() == frozenset()
    turns.give_back(ann)
    assert turns.take_woken() == {ben.peer}
    assert turns.take_woken() == frozenset()
    assert turns.take(ben, HALF, now_ms=1)
    assert turns.bytes == HALF


def test_a_later_one_is_let_by_only_where_it_leaves_enough_for_those_before_it() -> None:
    turns, (ann, ben, eve) = Turns(), some_turns()
    assert turns.take(ann, HALF, now_ms=0)
    assert not turns.take(ben, HALF + 1, now_ms=0)
    assert not turns.take(eve, 1, now_ms=0)
    turns.give_back(ann)
    assert turns.take_woken() == {ben.peer, eve.peer}
    assert not turns.take(eve, HALF, now_ms=1)
    assert turns.take(eve, HALF - 1, now_ms=1)
    assert turns.take(ben, HALF + 1, now_ms=1)


def test_who_asks_no_more_holds_nobody_up() -> None:
    turns, (ann, ben, eve) = Turns(), some_turns()
    assert turns.take(ann, HALF, now_ms=0)
    assert not turns.take(ben, PARTS_BYTES_MAX, now_ms=0)
    assert not turns.take(eve, 1, now_ms=3 * WANT_PATIENCE_MS)
    assert turns.take(eve, 1, now_ms=3 * WANT_PATIENCE_MS + 1)
    turns.give_back(ann)
    assert turns.take_woken() == frozenset()


def test_while_others_wait_a_turn_is_not_prolonged_and_then_lost() -> None:
    turns, (ann, ben, _) = Turns(), some_turns()
    late_ms = PARTS_TURN_MS + 1
    assert turns.take(ann, PARTS_BYTES_MAX, now_ms=0)
    assert turns.take(ann, 1, now_ms=late_ms)
    assert not turns.is_over(ann, now_ms=2 * late_ms)
    assert not turns.take(ben, 1, now_ms=2 * late_ms)
    assert not turns.take(ann, 1, now_ms=2 * late_ms)
    assert turns.is_over(ann, now_ms=2 * late_ms)
    turns.leave(ann)
    assert turns.take_woken() == {ben.peer}
    assert turns.take(ben, 1, now_ms=2 * late_ms)
    assert not turns.is_over(ben, now_ms=2 * late_ms)


def test_nobody_is_woken_for_whom_there_is_no_room() -> None:
    turns, (ann, ben, cat, dan) = Turns(), some_turns(4)
    assert turns.take(ann, HALF, now_ms=0)
    assert turns.take(ben, HALF, now_ms=0)
    assert not turns.take(cat, HALF, now_ms=0)
    assert not turns.take(dan, 1, now_ms=0)
    turns.give_back(ann)
    assert turns.take_woken() == {cat.peer}


def test_one_that_waits_for_more_needs_only_what_it_has_not() -> None:
    turns, (ann, ben, cat) = Turns(), some_turns()
    assert turns.take(ann, HALF, now_ms=0)
    assert turns.take(ben, 10, now_ms=0)
    assert turns.take(cat, HALF - 10, now_ms=0)
    assert not turns.take(ben, HALF + 10, now_ms=0)
    turns.give_back(ann)
    assert turns.take_woken() == {ben.peer}
    turns.give_back(cat)
    assert turns.take(cat, HALF - 10, now_ms=0)
    assert turns.take(ben, HALF + 10, now_ms=0)


def test_who_asks_again_keeps_its_place() -> None:
    turns, (ann, ben, eve) = Turns(), some_turns()
    assert turns.take(ann, PARTS_BYTES_MAX, now_ms=0)
    for waiting in (ben, eve, ben):
        assert not turns.take(waiting, PARTS_BYTES_MAX, now_ms=0)
    turns.give_back(ann)
    assert turns.take_woken() == {ben.peer}


def test_nothing_is_left_that_one_before_it_waits_for() -> None:
    turns, (ann, ben, eve) = Turns(), some_turns()
    assert turns.take(ann, HALF, now_ms=0)
    assert not turns.take(ben, HALF + 1, now_ms=0)
    assert not turns.take(eve, HALF, now_ms=0)


def test_a_turn_lasts_for_twice_its_time_and_may_grow_in_the_first_half() -> None:
    turns, (ann, ben, _) = Turns(), some_turns()
    begun_ms = 5_000
    assert turns.take(ann, HALF, now_ms=begun_ms)
    for passed_ms in (1, PARTS_TURN_MS, 2 * PARTS_TURN_MS):
        assert not turns.take(ben, PARTS_BYTES_MAX, now_ms=begun_ms + passed_ms)
        assert not turns.is_over(ann, now_ms=begun_ms + passed_ms)
        grows = turns.take(ann, HALF, now_ms=begun_ms + passed_ms)
        assert grows == (passed_ms <= PARTS_TURN_MS)
    assert turns.is_over(ann, now_ms=begun_ms + 2 * PARTS_TURN_MS + 1)


def test_at_first_nothing_is_taken() -> None:
    turns = Turns()
    assert (turns.bytes, turns.bytes_uncommitted) == (0, 0)


STEPS = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.sampled_from(["take", "take", "give back", "leave"]),
        st.integers(1, 2 * PARTS_BYTES_MAX),
        st.integers(0, PARTS_TURN_MS // 4),
    )
)


@given(STEPS)
def test_all_turns_together_are_bounded_and_the_first_that_waits_gets_one(
    steps: list[tuple[int, str, int, int]],
) -> None:
    turns, each, now_ms = Turns(), some_turns(5), 0
    for number, what, size_bytes, passed_ms in steps:
        turn, now_ms = each[number], now_ms + passed_ms
        if what == "take":
            if turns.take(turn, size_bytes, now_ms=now_ms):
                assert turn.bytes >= min(size_bytes, PARTS_BYTES_MAX)
        elif what == "give back":
            turns.give_back(turn)
        else:
            turns.leave(turn)
        assert turns.bytes == sum(turn.bytes for turn in each) <= PARTS_BYTES_MAX
    for turn in each:
        turns.leave(turn)
    assert turns.bytes == 0
    assert turns.take(each[0], PARTS_BYTES_MAX, now_ms=now_ms)
