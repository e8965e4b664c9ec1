"""Whose turn it is, against a plain dict."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.ids import Topic
from meshbox.sync.bridge.turns import Turns

A, B = Topic("a"), Topic("b")


def test_the_earlier_of_two_times_counts() -> None:
    turns = Turns()
    turns.hasten(A, 50)
    turns.hasten(B, 40)
    turns.hasten(A, 60)
    assert turns.next_ms() == 40
    turns.hasten(A, 30)
    assert turns.take(now_ms=29) is None
    assert [turns.take(now_ms=40) for _ in range(3)] == [A, B, None]
    assert turns.next_ms() is None


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 50), st.booleans())))
def test_it_is_a_dict_of_due_times(steps: list[tuple[str, int, bool]]) -> None:
    turns, model = Turns(), dict[Topic, int]()
    for name, number, takes in steps:
        topic = Topic(name)
        if not takes:
            turns.hasten(topic, number)
            model[topic] = min(number, model.get(topic, number))
            continue
        taken = turns.take(now_ms=number)
        first_ms = min(model.values(), default=number + 1)
        assert (taken is not None) == (first_ms <= number)
        if taken is not None:
            assert model.pop(taken) == first_ms
    assert turns.next_ms() == min(model.values(), default=None)
    assert len(turns) == len(model)
