from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.address import Endpoint
from meshbox.core.ids import NodeId, node_id_of
from meshbox.core.limits import TOLD_BY_MAX, TOLD_DIALLED_MAX, TOLD_ENDPOINTS_MAX, TOLD_MAX
from meshbox.core.session.frames import PeerAt
from meshbox.core.told import (
    HEAR_INTERVAL_MS,
    KEPT_MS,
    RETRY_MS,
    TRIAL_MS,
    TRIES_MAX,
    ToldPeers,
)

TELLER, LIAR, NEITHER = (node_id_of(letter * 32) for letter in (b"T", b"L", b"N"))


def node(number: int) -> NodeId:
    return node_id_of(number.to_bytes(32))


def peers(numbers: Iterable[int], *, host: int = 1) -> list[PeerAt]:
    return [PeerAt(node(number), Endpoint(f"10.0.0.{host}", 3001)) for number in numbers]


class Sync:
    """Whom it dials where, and to whom it is connected."""

    def __init__(self) -> None:
        self.connected: set[NodeId] = set()
        self.found: set[NodeId] = set()
        self.dialled: dict[NodeId, tuple[Endpoint, ...]] = {}
        self.told = ToldPeers(
            is_connected=self.connected.__contains__, is_found=self.found.__contains__
        )

    def tick(self, now_ms: int) -> None:
        turns = self.told.turns(now_ms=now_ms)
        for node_id in turns.drop:
            del self.dialled[node_id]
        self.dialled |= dict(turns.dial)

    @property
    def trials(self) -> int:
        return len(self.dialled.keys() - self.connected)


def test_who_is_told_of_is_dialled_and_kept_while_it_is_there() -> None:
    sync = Sync()
    sync.told.told(TELLER, peers([1]), now_ms=0)
    sync.tick(0)
    assert sync.dialled == {node(1): (Endpoint("10.0.0.1", 3001),)}
    sync.connected.add(node(1))
    for now_ms in (1_000, 2 * TRIAL_MS, 5 * KEPT_MS):
        sync.tick(now_ms)
    assert node(1) in sync.dialled
    sync.connected.clear()
    sync.tick(6 * KEPT_MS - 1)
    assert node(1) in sync.dialled
    sync.tick(6 * KEPT_MS)
    assert sync.dialled == {}
    assert len(sync.told) == 0


def test_who_never_proves_itself_is_forgotten() -> None:
    sync = Sync()
    sync.told.told(TELLER, peers([1]), now_ms=0)
    dialled = 0
    for now_ms in range(0, 20 * RETRY_MS, 1_000):
        before = set(sync.dialled)
        sync.tick(now_ms)
        dialled += len(sync.dialled.keys() - before)
    assert dialled == TRIES_MAX
    assert sync.dialled == {}
    assert len(sync.told) == 0


def test_who_is_found_or_connected_needs_no_hint() -> None:
    sync = Sync()
    sync.found.add(node(1))
    sync.connected.add(node(2))
    sync.told.told(TELLER, peers([1, 2, 3]), now_ms=0)
    sync.found.add(node(3))
    sync.tick(0)
    assert sync.dialled == {}
    sync.found.remove(node(3))
    sync.tick(1)
    assert set(sync.dialled) == {node(3)}


def test_another_address_comes_beside_the_first() -> None:
    sync = Sync()
    for host in range(1, 9):
        sync.told.told(TELLER, peers([1], host=host), now_ms=host * HEAR_INTERVAL_MS)
        sync.tick(host * HEAR_INTERVAL_MS)
    hosts = [endpoint.host for endpoint in sync.dialled[node(1)]]
    assert hosts[:2] == ["10.0.0.1", "10.0.0.8"]
    assert len(hosts) == TOLD_ENDPOINTS_MAX


def test_who_speaks_all_the_time_is_not_heard_all_the_time() -> None:
    sync = Sync()
    for now_ms in range(HEAR_INTERVAL_MS):
        sync.told.told(LIAR, peers([now_ms]), now_ms=now_ms)
    assert len(sync.told) == 1


def test_a_liar_takes_nobodys_place() -> None:
    sync = Sync()
    sync.told.told(LIAR, peers(range(1_000, 1_000 + TOLD_BY_MAX)), now_ms=0)
    sync.tick(0)
    assert sync.trials == TOLD_DIALLED_MAX
    sync.told.told(TELLER, peers([1]), now_ms=1)
    sync.tick(TRIAL_MS)
    assert node(1) in sync.dialled


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["tell", "wait", "connect", "end"]),
            st.integers(0, 20),
            st.integers(0, 30 * TOLD_BY_MAX),
        ),
        max_size=60,
    )
)
def test_there_are_bounds_and_the_honest_are_dialled(steps: list[tuple[str, int, int]]) -> None:
    sync, now_ms = Sync(), 0
    for kind, teller, number in [*(("tell", n, n * TOLD_BY_MAX) for n in range(12)), *steps]:
        now_ms += HEAR_INTERVAL_MS
        if kind == "tell":
            many = range(number, number + TOLD_BY_MAX)
            sync.told.told(node_id_of(bytes([teller] * 32)), peers(many), now_ms=now_ms)
        elif kind == "wait":
            now_ms += TRIAL_MS
        elif kind == "connect":
            sync.connected |= set(list(sync.dialled)[:1])
        else:
            sync.connected.clear()
        sync.tick(now_ms)
        assert len(sync.told) <= TOLD_MAX
        assert sync.trials <= TOLD_MAX
    honest = node(10**6)
    sync.told.told(TELLER, peers([10**6]), now_ms=now_ms)
    for turn in range(1, 4):  # Of 21 tellers with 8 places.
        sync.tick(now_ms + turn * TRIAL_MS)
        if honest in sync.dialled:
            return
    raise AssertionError(sync.dialled)


def test_a_teller_that_comes_back_is_heard_at_once() -> None:
    sync = Sync()
    sync.told.told(TELLER, peers([1]), now_ms=0)
    sync.told.teller_ended(TELLER)
    sync.told.teller_ended(LIAR)
    sync.told.told(TELLER, peers([2]), now_ms=1)
    assert len(sync.told) == 2


def test_what_is_no_news_is_not_kept() -> None:
    sync = Sync()
    sync.found.add(node(1))
    sync.connected.add(node(2))
    assert sync.told.told(TELLER, peers([1, 2, 3]), now_ms=0) == peers([3])
    assert len(sync.told) == 1


def test_a_trial_and_what_follows_it_last_as_long_as_they_should() -> None:
    sync, now_ms = Sync(), 5_000
    sync.told.told(TELLER, peers([1]), now_ms=now_ms)
    for pause_ms in (RETRY_MS, 2 * RETRY_MS):
        for passed_ms, is_dialled in ((0, True), (TRIAL_MS - 1, True), (TRIAL_MS, False)):
            sync.tick(now_ms + passed_ms)
            assert bool(sync.dialled) is is_dialled
        now_ms += TRIAL_MS + pause_ms
        sync.tick(now_ms - 1)
        assert sync.dialled == {}
        sync.tick(now_ms)
        assert set(sync.dialled) == {node(1)}


def test_a_teller_is_not_heard_again_too_soon() -> None:
    sync, now_ms = Sync(), 5_000
    assert sync.told.told(TELLER, peers([1]), now_ms=now_ms)
    assert sync.told.told(TELLER, peers([2]), now_ms=now_ms + HEAR_INTERVAL_MS - 1) == []
    assert sync.told.told(TELLER, peers([2]), now_ms=now_ms + HEAR_INTERVAL_MS)


def test_only_what_was_not_known_is_news() -> None:
    sync = Sync()
    assert sync.told.told(TELLER, peers([1]), now_ms=0) == peers([1])
    assert sync.told.told(LIAR, peers([1]), now_ms=0) == []
    elsewhere = peers([1], host=2)
    assert sync.told.told(TELLER, elsewhere, now_ms=HEAR_INTERVAL_MS) == elsewhere


def test_a_teller_makes_room_for_its_own_hints_by_its_oldest() -> None:
    sync = Sync()
    sync.told.told(TELLER, peers([0]), now_ms=0)
    sync.told.told(LIAR, peers(range(1, 1 + TOLD_BY_MAX)), now_ms=0)
    assert len(sync.told) == 1 + TOLD_BY_MAX
    sync.told.told(LIAR, peers([1_000]), now_ms=HEAR_INTERVAL_MS)
    assert len(sync.told) == 1 + TOLD_BY_MAX
    again = sync.told.told(NEITHER, peers([0, 1, 2]), now_ms=0)
    assert again == peers([1])


def test_who_proved_itself_is_the_last_to_make_room() -> None:
    sync = Sync()
    sync.told.told(LIAR, peers([0]), now_ms=0)
    sync.tick(0)
    sync.connected.add(node(0))
    sync.tick(1)
    sync.told.told(LIAR, peers(range(1, TOLD_BY_MAX)), now_ms=HEAR_INTERVAL_MS)
    sync.told.told(LIAR, peers([1_000]), now_ms=2 * HEAR_INTERVAL_MS)
    sync.connected.clear()
    assert sync.told.told(NEITHER, peers([0, 1]), now_ms=0) == peers([1])


def test_when_all_places_are_taken_who_has_most_makes_room() -> None:
    sync = Sync()
    tellers = [node_id_of(bytes([number]) * 32) for number in range(TOLD_MAX // TOLD_BY_MAX)]
    for number, teller in enumerate(tellers):
        few = number == 0
        first = number * TOLD_BY_MAX
        sync.told.told(teller, peers(range(first + few, first + TOLD_BY_MAX)), now_ms=0)
    sync.told.told(TELLER, peers([10**6]), now_ms=0)
    assert len(sync.told) == TOLD_MAX
    sync.told.told(TELLER, peers([10**6 + 1]), now_ms=HEAR_INTERVAL_MS)
    assert len(sync.told) == TOLD_MAX
    assert sync.told.told(NEITHER, peers([1]), now_ms=0) == [], "who has fewer keeps all"
    assert sync.told.told(LIAR, peers([TOLD_BY_MAX]), now_ms=0) == peers([TOLD_BY_MAX])


def test_those_under_way_count_until_their_trial_is_over() -> None:
    sync = Sync()
    sync.told.told(TELLER, peers(range(3 * TOLD_DIALLED_MAX)), now_ms=0)
    for now_ms in (0, 1_000, TRIAL_MS - 1):
        sync.tick(now_ms)
        assert sync.trials == TOLD_DIALLED_MAX
    first = set(sync.dialled)
    sync.tick(TRIAL_MS)
    assert sync.trials == TOLD_DIALLED_MAX
    assert not first & set(sync.dialled)


def leave_one_free(sync: Sync, *, now_ms: int) -> None:
    """All but one of those that may be dialled at a time are, told of by as many."""
    for number in range(100, 100 + TOLD_DIALLED_MAX - 1):
        sync.told.told(node_id_of(bytes([number]) * 32), peers([number]), now_ms=now_ms)
    sync.tick(now_ms)


def test_a_teller_that_had_no_turn_comes_before_those_that_had() -> None:
    sync = Sync()
    sync.told.told(TELLER, peers([1]), now_ms=0)
    sync.tick(0)
    sync.connected.add(node(1))
    sync.tick(1)
    leave_one_free(sync, now_ms=1)
    sync.told.told(TELLER, peers([2]), now_ms=HEAR_INTERVAL_MS)
    sync.told.told(LIAR, peers([3]), now_ms=HEAR_INTERVAL_MS)
    sync.tick(HEAR_INTERVAL_MS)
    assert node(3) in sync.dialled
    assert node(2) not in sync.dialled


def test_a_teller_of_whom_nothing_is_kept_is_as_one_that_had_no_turn() -> None:
    sync = Sync()
    for number, teller in ((1, TELLER), (2, LIAR)):
        sync.told.told(teller, peers([number]), now_ms=0)
        sync.tick(0)
        sync.connected.add(node(number))
    sync.tick(0)
    sync.connected.remove(node(2))
    sync.tick(KEPT_MS)
    assert len(sync.told) == 1
    leave_one_free(sync, now_ms=KEPT_MS)
    sync.told.told(TELLER, peers([3]), now_ms=KEPT_MS)
    sync.told.told(LIAR, peers([4]), now_ms=KEPT_MS)
    sync.tick(KEPT_MS + 1)
    assert node(4) in sync.dialled
    assert node(3) not in sync.dialled
