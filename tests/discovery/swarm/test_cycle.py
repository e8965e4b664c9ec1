from __future__ import annotations

import math
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.discovery.swarm.cycle import (
    ANSWER_INTERVAL_MS_MIN,
    OVERDUE_MS_MAX,
    OVERDUE_SHARE,
    Act,
    Cycle,
    lapse_ms,
)
from tests.discovery.swarm.conversation import Conversation, LibraryPart

T = 1_000_000.0
chances = st.floats(0, 1, exclude_max=True)


def answered_at(at_ms: float) -> Cycle:
    """One that answered a question at about `at_ms`."""
    cycle = Cycle(now_ms=at_ms, chance=0, asks=False)
    cycle.question_heard(now_ms=at_ms, chance=0, size=1)
    assert cycle.due(now_ms=at_ms, chance=0, size=1) is Act.ANSWER
    return cycle


def test_who_only_announces_waits_to_be_asked() -> None:
    cycle = Cycle(now_ms=T, chance=0.5, asks=False)
    assert cycle.next_ms == math.inf
    cycle.question_heard(now_ms=T, chance=0.5, size=1)
    assert cycle.next_ms <= T + 50
    assert cycle.due(now_ms=cycle.next_ms, chance=0.5, size=1) is Act.ANSWER
    assert cycle.next_ms == math.inf


def test_who_wants_to_know_asks_every_0_7_seconds() -> None:
    cycle = Cycle(now_ms=T, chance=0.5, asks=True)
    assert cycle.next_ms == T + 735
    assert cycle.due(now_ms=cycle.next_ms, chance=0, size=1) is Act.ASK
    assert cycle.due(now_ms=cycle.next_ms, chance=0, size=1) is Act.ANSWER


def test_after_two_answers_it_is_silent_and_after_one_it_is_not() -> None:
    cycle = answered_at(T)
    cycle.question_heard(now_ms=T + 700, chance=0.5, size=3)
    assert cycle.next_ms == T + 700 + 75 + 100
    cycle.answers_heard(1, now_ms=T + 701, chance=0, size=3)
    assert cycle.next_ms < math.inf
    cycle.answers_heard(1, now_ms=T + 702, chance=0, size=3)
    assert cycle.next_ms == math.inf


def test_who_was_silent_waits_less_each_time() -> None:
    cycle = answered_at(T)
    delays = []
    for turn in range(1, 4):
        cycle.question_heard(now_ms=T + turn * 700, chance=0, size=9)
        delays.append(cycle.next_ms - T - turn * 700)
        cycle.answers_heard(2, now_ms=T + turn * 700 + 1, chance=0, size=9)
    assert delays == [400, 300, 200]


@given(
    st.lists(
        st.tuples(st.sampled_from(["question", "answer", "due"]), chances, st.floats(0, 1)),
        max_size=60,
    ),
    st.integers(1, 64),
    st.floats(0, 0.9),
)
def test_among_the_honest_it_does_what_the_library_does(
    events: list[tuple[str, float, float]], size: int, chance: float
) -> None:
    now_ms = T
    ours = Cycle(now_ms=now_ms, chance=chance, asks=True)
    theirs = LibraryPart(now_ms=now_ms, chance=chance)
    last_answer_ms, answers = T, 0
    for ours_first in (ours, theirs):  # Both have just answered.
        ours_first.question_heard(now_ms=now_ms, chance=0, size=1)
        assert ours_first.due(now_ms=now_ms, chance=chance, size=size) is Act.ANSWER
    for kind, chance, pause in events:
        assert ours.next_ms == pytest.approx(theirs.next_ms)
        if kind == "due":
            now_ms = max(now_ms, ours.next_ms)
        else:
            now_ms = min(now_ms + pause * 300, ours.next_ms)
        patience_ms = min(OVERDUE_SHARE * lapse_ms(size), OVERDUE_MS_MAX)
        is_due_to_differ = now_ms - last_answer_ms >= patience_ms or answers > 15
        is_due_to_differ |= now_ms - last_answer_ms < ANSWER_INTERVAL_MS_MIN and kind == "due"
        if is_due_to_differ:
            return
        if kind == "question":
            for part in (ours, theirs):
                part.question_heard(now_ms=now_ms, chance=chance, size=size)
        elif kind == "answer":
            answers += 1
            for part in (ours, theirs):
                part.answers_heard(1, now_ms=now_ms, chance=chance, size=size)
        else:
            act = ours.due(now_ms=now_ms, chance=chance, size=size)
            assert act is theirs.due(now_ms=now_ms, chance=chance, size=size)
            if act is Act.ANSWER:
                last_answer_ms = now_ms


def test_who_was_silent_for_long_answers_whatever_it_hears() -> None:
    cycle = answered_at(T)
    at_ms = T + OVERDUE_SHARE * lapse_ms(6)
    cycle.question_heard(now_ms=at_ms, chance=0.5, size=6)
    assert cycle.next_ms == at_ms + 50
    cycle.answers_heard(5, now_ms=at_ms + 1, chance=0, size=6)
    assert cycle.due(now_ms=at_ms + 50, chance=0, size=6) is Act.ANSWER


def test_inventions_do_not_make_it_silent_for_more_than_ten_seconds() -> None:
    cycle = answered_at(T)
    cycle.question_heard(now_ms=T + OVERDUE_MS_MAX, chance=0.5, size=1_024)
    cycle.answers_heard(2, now_ms=T + OVERDUE_MS_MAX + 1, chance=0, size=1_024)
    assert cycle.next_ms == T + OVERDUE_MS_MAX + 50


def test_another_that_answers_in_our_name_is_put_right_in_the_same_cycle() -> None:
    cycle = answered_at(T)
    cycle.contested()
    cycle.question_heard(now_ms=T + 700, chance=0.5, size=2)
    cycle.answers_heard(2, now_ms=T + 701, chance=0, size=2)
    assert cycle.due(now_ms=T + 750, chance=0, size=2) is Act.ANSWER
    cycle.question_heard(now_ms=T + 1_400, chance=0.5, size=2)
    cycle.answers_heard(2, now_ms=T + 1_401, chance=0, size=2)
    assert cycle.next_ms == math.inf


def test_who_was_answered_for_on_another_interface_is_silent() -> None:
    cycle = answered_at(T)
    cycle.question_heard(now_ms=T + 700, chance=0.5, size=2)
    cycle.answered_for(now_ms=T + 701, chance=0, size=2)
    assert cycle.next_ms == math.inf


def test_questions_alone_do_not_make_it_shout() -> None:
    cycle = Cycle(now_ms=T, chance=0, asks=False)
    answers = 0
    for at in range(5_000):
        cycle.question_heard(now_ms=T + at, chance=0, size=1)
        if cycle.next_ms <= T + at:
            answers += cycle.due(now_ms=T + at, chance=0, size=1) is Act.ANSWER
    assert answers == 10


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("ours", "theirs"), [(1, 0), (1, 1), (4, 2), (2, 8), (12, 0), (20, 3)])
def test_nobody_drops_out_of_an_honest_conversation(seed: int, ours: int, theirs: int) -> None:
    talk = Conversation(seed)
    talk.browser()
    for at in range(ours):
        talk.ours(f"ours {at}")
    for at in range(theirs):
        talk.librarys(f"theirs {at}")
    talk.run(10)
    settled_ms = talk.now_ms
    talk.run(300)
    # The library's own may lapse among many of the library's own, and we must not add to that.
    for label in talk.answers:
        silence_ms = talk.longest_silence_ms(label, since_ms=settled_ms)
        bound_ms = lapse_ms(ours + theirs) + 860
        assert silence_ms < bound_ms * (1 if label.startswith("ours") else 1.5), label
    answers = sum(len(times) for times in talk.answers.values())
    assert answers / 310 < 2.5 * 2


@pytest.mark.parametrize("pause_ms", [5, 20, 330])
def test_forgers_silence_nobody_of_ours(pause_ms: float) -> None:
    """200 answers a second, fifty, or three: two of them in every cycle."""
    talk = Conversation(1)
    talk.browser()
    talk.ours("ours")
    for at in range(int(20_000 / pause_ms)):
        talk.at(at * pause_ms, partial(talk.forge, f"forged {at}"))
    talk.run(2)
    settled_ms = talk.now_ms
    talk.run(18)
    bound_ms = 3_000 if pause_ms < 50 else OVERDUE_MS_MAX + 1_000
    assert talk.longest_silence_ms("ours", since_ms=settled_ms) < bound_ms
