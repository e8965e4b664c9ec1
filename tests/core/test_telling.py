from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.address import Endpoint
from meshbox.core.ids import NodeId, node_id_of
from meshbox.core.limits import TOLD_FRAME_MAX
from meshbox.core.session.frames import PeerAt
from meshbox.core.telling import TELL_AGAIN_MS, TELL_INTERVAL_MS, Telling

SOON, LATER = TELL_INTERVAL_MS, TELL_AGAIN_MS


def node(number: int) -> NodeId:
    return node_id_of(number.to_bytes(32))


def at(number: int) -> Endpoint:
    return Endpoint(f"10.0.0.{number}", 3001)


def told(telling: Telling, now_ms: int) -> dict[NodeId, tuple[PeerAt, ...]]:
    return {listener: addresses.peers for listener, addresses in telling.due(now_ms=now_ms)}


def test_those_with_a_session_are_told_of_each_other_once() -> None:
    telling = Telling()
    for number in (1, 2):
        telling.begin(node(number))
        telling.prove(node(number), at(number))
    one, two = (PeerAt(node(number), at(number)) for number in (1, 2))
    assert told(telling, 0) == {node(1): (two,), node(2): (one,)}
    assert told(telling, SOON) == {}
    telling.begin(node(3))
    assert told(telling, SOON) == {node(3): (one, two)}
    telling.prove(node(3), at(3))
    assert told(telling, 2 * SOON) == dict.fromkeys((node(1), node(2)), (PeerAt(node(3), at(3)),))


def test_who_is_elsewhere_is_told_of_again_and_who_left_no_more() -> None:
    telling = Telling()
    telling.begin(node(1))
    telling.prove(node(2), at(2))
    telling.prove(node(3), at(3))
    assert len(told(telling, 0)[node(1)]) == 2
    telling.prove(node(2), at(9))
    assert told(telling, SOON) == {node(1): (PeerAt(node(2), at(9)),)}
    telling.end(node(2))
    assert told(telling, LATER) == {node(1): (PeerAt(node(3), at(3)),)}


@given(st.lists(st.integers(0, 3 * TOLD_FRAME_MAX), max_size=8), st.integers(1, SOON))
def test_there_is_never_more_than_a_frame_a_second(steps: list[int], step_ms: int) -> None:
    telling = Telling()
    telling.begin(node(0))
    spoken, known, now_ms = [], 0, 0
    for more in [*steps, *[0] * 100]:
        for number in range(known + 1, known + more + 1):
            telling.prove(node(number), at(number % 250))
        known += more
        now_ms += step_ms
        for peers in told(telling, now_ms).values():
            assert len(peers) <= TOLD_FRAME_MAX
            spoken.append(now_ms)
    assert all(b - a >= TELL_INTERVAL_MS for a, b in itertools.pairwise(spoken))


def test_who_left_is_not_told_any_more() -> None:
    telling = Telling()
    telling.begin(node(1))
    telling.end(node(1))
    telling.end(node(7))
    telling.prove(node(2), at(2))
    assert told(telling, 0) == {}


def test_all_is_told_again_five_minutes_after_it_began_and_not_before() -> None:
    telling = Telling()
    telling.begin(node(1))
    telling.prove(node(2), at(2))
    began_ms = 7 * LATER
    assert told(telling, began_ms)
    assert not told(telling, began_ms + LATER - 1)
    assert told(telling, began_ms + LATER)
