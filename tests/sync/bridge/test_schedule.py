"""Whose turn it is, on one node and on two that share a server."""

from __future__ import annotations

import pytest

from meshbox.core.ids import Topic, node_id_of
from meshbox.core.way_out import STEP_MS
from meshbox.sync.bridge.schedule import POLL_MS, POLL_MS_MAX, Schedule, poll_ms
from tests.sync.bridge.bridging import NODE, way_of

T = Topic("t")
OTHER = node_id_of(b"m" * 32)


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the pauses of the product, not those of these tests."""
    monkeypatch.undo()


def began() -> Schedule:
    """The schedule, from 0 on, of a node that shares its server with nobody; with one topic."""
    schedule = Schedule(way_of(NODE))
    schedule.known(T, now_ms=0)
    schedule.began(now_ms=0)
    return schedule


def second_of_two() -> tuple[Schedule, Topic]:
    """A schedule, and a topic that the other node comes first for."""
    for number in range(100):
        schedule = Schedule(way_of(NODE, OTHER))
        topic = Topic(str(number))
        schedule.known(topic, now_ms=0)
        if not schedule.may_bring(topic, now_ms=0):
            return schedule, topic
    raise AssertionError("the other is first for no topic")


def done(schedule: Schedule, *topics: Topic, now_ms: int, brought: bool = False) -> None:
    schedule.done(topics, brought=topics if brought else (), again=(), gone=(), now_ms=now_ms)


def test_what_is_quiet_is_asked_about_less_often() -> None:
    minutes = (0, 2, 5, 10, 60)
    assert [poll_ms(quiet_ms=each * 60_000) for each in minutes] == [
        *(POLL_MS, POLL_MS, 5_000, POLL_MS_MAX, POLL_MS_MAX)
    ]


def test_a_topic_takes_turns_and_a_change_hastens_it() -> None:
    schedule = began()
    assert schedule.take(9, now_ms=0) == [T]
    assert schedule.take(9, now_ms=10_000) == []
    done(schedule, T, now_ms=100)
    assert schedule.next_ms() == 100 + POLL_MS
    schedule.changed(T, now_ms=500)
    assert schedule.take(9, now_ms=500) == [T]
    assert schedule.may_bring(T, now_ms=500)


def test_what_changes_while_it_is_asked_about_is_asked_about_again() -> None:
    schedule = began()
    schedule.take(9, now_ms=0)
    schedule.changed(T, now_ms=50)
    done(schedule, T, now_ms=100)
    assert schedule.take(9, now_ms=100) == [T]


def test_what_there_is_more_of_is_next() -> None:
    schedule = began()
    schedule.take(9, now_ms=0)
    schedule.done([T], brought=(), again=[T], gone=(), now_ms=100)
    assert schedule.next_ms() == 100


def test_what_is_left_alone_is_so_whatever_changes() -> None:
    schedule = began()
    schedule.take(9, now_ms=0)
    schedule.returned([T], after_ms=60_000, now_ms=0, aside=True)
    schedule.changed(T, now_ms=10)
    assert schedule.take(9, now_ms=59_999) == []
    assert schedule.take(9, now_ms=60_000) == [T]
    schedule.returned([T], after_ms=60_000, now_ms=60_000)
    schedule.changed(T, now_ms=60_001)
    assert schedule.take(9, now_ms=60_001) == [T]


def test_who_comes_second_asks_and_brings_later() -> None:
    schedule, topic = second_of_two()
    schedule.began(now_ms=0)
    assert schedule.take(9, now_ms=0) == []
    assert schedule.take(9, now_ms=STEP_MS) == [topic]
    done(schedule, topic, now_ms=STEP_MS)
    assert schedule.next_ms() == STEP_MS + POLL_MS + STEP_MS
    schedule.changed(topic, now_ms=7_000)
    assert schedule.take(9, now_ms=8_000) == [topic]
    assert not schedule.may_bring(topic, now_ms=8_000)
    done(schedule, topic, now_ms=8_000)
    assert schedule.take(9, now_ms=7_000 + STEP_MS) == [topic]
    assert schedule.may_bring(topic, now_ms=7_000 + STEP_MS)


def test_who_is_waited_for_in_vain_is_not_waited_for_any_more() -> None:
    schedule, topic = second_of_two()
    now_ms = STEP_MS
    for _ in range(3):
        schedule.changed(topic, now_ms=now_ms)
        now_ms += STEP_MS
        assert schedule.take(9, now_ms=now_ms) == [topic]
        done(schedule, topic, now_ms=now_ms, brought=True)
    schedule.changed(topic, now_ms=now_ms)
    assert schedule.take(9, now_ms=now_ms) == [topic]
    assert schedule.may_bring(topic, now_ms=now_ms)


def test_what_is_gone_has_no_turn_until_it_changes() -> None:
    schedule = began()
    schedule.take(9, now_ms=0)
    schedule.done([T], brought=(), again=(), gone=[T], now_ms=100)
    assert schedule.next_ms() is None
    schedule.changed(T, now_ms=500)
    assert schedule.take(9, now_ms=500) == [T]
