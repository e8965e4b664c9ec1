from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.address import Endpoint
from meshbox.core.ids import NodeId, node_id_of
from meshbox.core.limits import INTRODUCED_MAX
from meshbox.discovery.found import Peer
from meshbox.node.introductions import TRIAL_MS, Introductions

HERE = (Endpoint("10.0.0.1", 3001),)
THERE = (Endpoint("10.0.0.2", 3001),)


def node(number: int) -> NodeId:
    return node_id_of(number.to_bytes(32))


class Sync:
    """Whom it dials, and to whom it is connected."""

    def __init__(self) -> None:
        self.dialled: dict[NodeId, tuple[Endpoint, ...]] = {}
        self.connected: set[NodeId] = set()
        self.introductions = Introductions(
            introduce=self.dialled.__setitem__,
            withdraw=self.withdraw,
            is_connected=self.connected.__contains__,
        )

    def withdraw(self, node_id: NodeId) -> None:
        self.dialled.pop(node_id, None)

    def found(self, number: int, *, at: tuple[Endpoint, ...] = HERE, now_ms: float = 0) -> None:
        self.introductions.found(
            Peer(node_id=node(number), endpoints=at, protocol=1), now_ms=now_ms
        )


def test_where_there_are_few_nobody_waits() -> None:
    sync = Sync()
    for number in range(INTRODUCED_MAX):
        sync.found(number)
    assert len(sync.dialled) == INTRODUCED_MAX
    assert not sync.introductions.is_waiting


def test_who_moves_is_dialled_there() -> None:
    sync = Sync()
    sync.found(1)
    sync.found(1, at=THERE)
    assert sync.dialled == {node(1): THERE}


def test_who_waits_takes_the_place_of_who_connects_is_gone_or_never_answers() -> None:
    sync = Sync()
    for number in range(INTRODUCED_MAX + 3):
        sync.found(number)
    late = [node(INTRODUCED_MAX + more) for more in range(3)]
    assert sync.dialled.keys().isdisjoint(late)
    sync.introductions.gone(node(0), now_ms=1)
    assert late[0] in sync.dialled
    sync.connected.add(node(1))
    sync.introductions.take_turns(now_ms=2)
    assert late[1] in sync.dialled
    assert node(1) in sync.dialled
    sync.introductions.take_turns(now_ms=TRIAL_MS)
    assert late[2] in sync.dialled
    assert sync.introductions.is_waiting


def test_who_moves_while_it_waits_is_dialled_there_later() -> None:
    sync = Sync()
    for number in range(INTRODUCED_MAX + 1):
        sync.found(number)
    sync.found(INTRODUCED_MAX, at=THERE)
    sync.introductions.gone(node(0), now_ms=1)
    assert sync.dialled[node(INTRODUCED_MAX)] == THERE


def test_who_was_connected_and_moves_is_dialled_again() -> None:
    sync = Sync()
    sync.found(1)
    sync.connected.add(node(1))
    for number in range(2, INTRODUCED_MAX + 4):
        sync.found(number)
    sync.found(1, at=THERE)
    assert sync.dialled[node(1)] == THERE


@given(
    st.lists(
        st.tuples(st.sampled_from(["found", "gone", "connect", "wait"]), st.integers(0, 200)),
        max_size=400,
    )
)
def test_there_is_a_bound_and_everybody_gets_a_turn(events: list[tuple[str, int]]) -> None:
    sync = Sync()
    present: set[int] = set()
    now_ms = 0.0
    for kind, number in [*(("found", n) for n in range(100)), *events]:
        if kind == "found":
            present.add(number)
            sync.found(number, now_ms=now_ms)
        elif kind == "gone":
            present.discard(number)
            sync.connected.discard(node(number))
            sync.introductions.gone(node(number), now_ms=now_ms)
        elif kind == "connect" and node(number) in sync.dialled:
            sync.connected.add(node(number))
        else:
            now_ms += number * 10
            sync.introductions.take_turns(now_ms=now_ms)
        assert len(sync.dialled.keys() - sync.connected) <= INTRODUCED_MAX
    turns: set[NodeId] = set()
    for _ in range(2 * len(present) // INTRODUCED_MAX + 2):
        now_ms += TRIAL_MS
        sync.introductions.take_turns(now_ms=now_ms)
        turns |= sync.dialled.keys()
    assert turns >= {node(number) for number in present}
