from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.limits import DISCOVERED_PEERS_MAX
from meshbox.discovery.swarm.cycle import lapse_ms
from meshbox.discovery.swarm.members import GRACE_MS, LAPSE_MS_MAX, Members

T = 1_000_000.0


def members(*labels: str, at_ms: float = T) -> Members:
    made = Members()
    for label in labels:
        made.heard(label, now_ms=at_ms)
    return made


def test_there_is_always_one_at_least() -> None:
    assert Members().size == 1
    assert members("a").size == 1
    assert members("a", "b", "b").size == 2


def test_one_lapses_after_three_of_its_shares_of_silence() -> None:
    found = members("a", "b", "c", "d")
    patience_ms = lapse_ms(4) + GRACE_MS
    found.heard("a", now_ms=T + patience_ms - 1)
    assert found.take_lapsed(now_ms=T + patience_ms - 1) == []
    assert found.take_lapsed(now_ms=T + patience_ms) == ["b", "c", "d"]
    assert found.size == 1
    assert found.take_lapsed(now_ms=T + patience_ms) == []


def test_a_minute_is_the_most_whatever_their_number() -> None:
    found = members(*map(str, range(500)))
    assert found.take_lapsed(now_ms=T + LAPSE_MS_MAX + GRACE_MS - 1) == []
    assert len(found.take_lapsed(now_ms=T + LAPSE_MS_MAX + GRACE_MS)) == 500


def test_inventions_make_room_for_each_other_and_push_out_nobody_heard_again() -> None:
    found = members("true", "true")
    for at in range(DISCOVERED_PEERS_MAX - 1):
        assert found.heard(f"forged {at}", now_ms=T) is None
    assert found.heard("another", now_ms=T) == "forged 0"
    assert found.heard("true", now_ms=T) is None
    assert found.size == DISCOVERED_PEERS_MAX


def test_where_all_were_heard_again_there_is_no_room() -> None:
    found = members(*[str(at % DISCOVERED_PEERS_MAX) for at in range(2 * DISCOVERED_PEERS_MAX)])
    assert found.heard("another", now_ms=T) == "another"
    found.left("7")
    assert found.heard("another", now_ms=T) is None


@given(st.lists(st.tuples(st.integers(0, 2_000), st.booleans())))
def test_there_is_a_bound(events: list[tuple[int, bool]]) -> None:
    found = Members()
    for at, (label, is_leaving) in enumerate(events):
        if is_leaving:
            found.left(str(label))
        else:
            found.heard(str(label), now_ms=T + at)
        assert 1 <= found.size <= DISCOVERED_PEERS_MAX
