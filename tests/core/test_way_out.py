"""Who acts on a shared way out: one at once, the others in time, and nobody is ever silenced."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.ids import LogKey, NodeId, node_id_of
from meshbox.core.limits import WAY_OUT_SHARERS_MAX
from meshbox.core.way_out import (
    MISSES_MAX,
    RANK_MAX,
    STEP_MS,
    STEP_MS_MAX,
    UNCOUNTED_MS,
    UNCOUNTED_MS_MAX,
    WAY_HASH_BYTES,
    WayOut,
    tells_way,
    told_ways,
)

nodes = st.lists(
    st.binary(min_size=32, max_size=32).map(node_id_of), min_size=1, max_size=6, unique=True
)
logs = st.binary(min_size=16, max_size=16).map(LogKey)


def way_out(own: NodeId, *others: NodeId) -> WayOut:
    made = WayOut(own)
    made.share(others)
    return made


def waits(sharing: list[NodeId], log: LogKey) -> dict[NodeId, int]:
    """How long each waits, all knowing the same."""
    return {own: way_out(own, *sharing).due_ms(log, since_ms=0, now_ms=0) for own in sharing}


@given(nodes, logs)
def test_one_acts_at_once_and_each_other_a_step_later(sharing: list[NodeId], log: LogKey) -> None:
    wanted = [min(rank, RANK_MAX) * STEP_MS for rank in range(len(sharing))]
    assert sorted(waits(sharing, log).values()) == wanted


@given(nodes.filter(lambda sharing: len(sharing) > 1), logs)
def test_when_one_goes_nobody_waits_longer(sharing: list[NodeId], log: LogKey) -> None:
    before = waits(sharing, log)
    first = min(sharing, key=before.__getitem__)
    after = waits([node for node in sharing if node != first], log)
    assert all(before[node] - STEP_MS <= after[node] <= before[node] for node in after)
    assert min(after.values()) == 0


@given(st.integers(0, 2**40), st.floats(0, 1e6), st.lists(logs, min_size=1, max_size=5))
def test_no_claim_silences(since_ms: int, typical_ms: float, some: list[LogKey]) -> None:
    crowd = [node_id_of(number.to_bytes(32, "big")) for number in range(2_000)]
    own = way_out(node_id_of(b"\xff" * 32), *crowd)
    for log in some:
        due_ms = own.due_ms(log, since_ms=since_ms, now_ms=since_ms, typical_ms=typical_ms)
        assert since_ms <= due_ms <= since_ms + RANK_MAX * STEP_MS_MAX
    assert len(own._sharers) <= WAY_OUT_SHARERS_MAX


def test_the_work_is_spread() -> None:
    three = [node_id_of(bytes([number]) * 32) for number in range(3)]
    firsts = Counter(
        next(node for node, wait_ms in waits(three, log).items() if wait_ms == 0)
        for log in (LogKey(number.to_bytes(16, "big")) for number in range(3_000))
    )
    assert all(900 < firsts[node] < 1_100 for node in three)


A, B = node_id_of(b"\1" * 32), node_id_of(b"\2" * 32)
LOG = next(
    log
    for log in (LogKey(number.to_bytes(16, "big")) for number in range(100))
    if waits([A, B], log)[A] > 0
)
"""One for which B acts first."""


def test_one_that_misses_its_turns_is_not_counted_for_a_while() -> None:
    ours, now_ms = way_out(A, B), 0
    for lapse in range(12):
        for _ in range(MISSES_MAX):
            assert ours.due_ms(LOG, since_ms=now_ms, now_ms=now_ms) == now_ms + STEP_MS
            now_ms += STEP_MS
            ours.acting(LOG, now_ms=now_ms)
        uncounted_ms = min(UNCOUNTED_MS * 2**lapse, UNCOUNTED_MS_MAX)
        assert ours.due_ms(LOG, since_ms=now_ms, now_ms=now_ms) == now_ms
        ours.acting(LOG, now_ms=now_ms)
        now_ms += uncounted_ms - 1
        assert ours.due_ms(LOG, since_ms=now_ms, now_ms=now_ms) == now_ms
        now_ms += 1


def test_what_was_long_ago_is_forgotten() -> None:
    ours = way_out(A, B)
    for now_ms in (0, 0, 0, 2**40, 2**40, 2**40):
        ours.acting(LOG, now_ms=now_ms)
    later_ms = 2**40 + UNCOUNTED_MS
    assert ours.due_ms(LOG, since_ms=later_ms, now_ms=later_ms) == later_ms + STEP_MS


def test_one_that_is_late_now_and_then_stays_counted() -> None:
    ours = way_out(A, B)
    for _ in range(10 * MISSES_MAX):
        ours.acting(LOG, now_ms=0)
        ours.shown(LOG, now_ms=0)
    assert ours.due_ms(LOG, since_ms=0, now_ms=0) == STEP_MS


def test_one_that_left_and_returns_has_its_name_still() -> None:
    ours = way_out(A, B)
    for _ in range(MISSES_MAX):
        ours.acting(LOG, now_ms=0)
    ours.share([])
    assert ours.due_ms(LOG, since_ms=0, now_ms=0) == 0
    ours.share([A, B])
    assert ours.due_ms(LOG, since_ms=0, now_ms=0) == 0
    assert ours.due_ms(LOG, since_ms=0, now_ms=UNCOUNTED_MS) == STEP_MS


def test_a_slow_line_has_longer_steps() -> None:
    ours = way_out(A, B)
    assert ours.due_ms(LOG, since_ms=0, now_ms=0, typical_ms=STEP_MS / 2) == STEP_MS
    assert ours.due_ms(LOG, since_ms=0, now_ms=0, typical_ms=5_000) == 10_000
    assert ours.due_ms(LOG, since_ms=0, now_ms=0, typical_ms=1e9) == STEP_MS_MAX


@given(st.sets(st.text(max_size=8)), st.text(max_size=8), st.binary(min_size=32, max_size=32))
def test_a_hello_tells_those_who_know_the_name(names: set[str], other: str, nonce: bytes) -> None:
    told = told_ways(names, nonce)
    assert all(tells_way(told, nonce, name) for name in names)
    assert tells_way(told, nonce, other) == (other in names)
    assert len(told) == len(names) * WAY_HASH_BYTES


def test_another_hello_tells_it_in_other_bytes() -> None:
    told = told_ways(["way"], b"\1" * 32)
    assert not tells_way(told, b"\2" * 32, "way")


def test_only_whole_hashes_at_their_places_tell() -> None:
    told = told_ways(["way"], b"\1" * 32)
    shifted = b"x" + told + b"x" * (WAY_HASH_BYTES - 1)
    assert not tells_way(shifted, b"\1" * 32, "way")


def test_a_turn_kept_makes_good_all_that_were_missed() -> None:
    ours = way_out(A, B)
    ours.acting(LOG, now_ms=0)
    ours.shown(LOG, now_ms=0)
    for _ in range(MISSES_MAX - 1):
        ours.acting(LOG, now_ms=0)
    assert ours.due_ms(LOG, since_ms=0, now_ms=0) == STEP_MS


def test_each_of_those_before_is_blamed_for_its_own_turns() -> None:
    three = [node_id_of(bytes([number]) * 32) for number in range(3)]
    log = LogKey(bytes(16))
    ranked = sorted(three, key=waits(three, log).__getitem__)
    for early, late in (ranked[:2], ranked[1::-1]):
        ours = way_out(ranked[2], early)
        ours.acting(log, now_ms=0)
        ours.share([early, late])
        for _ in range(MISSES_MAX - 1):
            ours.acting(log, now_ms=0)
        assert ours.due_ms(log, since_ms=0, now_ms=0) == STEP_MS
        ours.acting(log, now_ms=0)
        assert ours.due_ms(log, since_ms=0, now_ms=0) == 0


def test_who_does_not_share_it_any_more_is_remembered_while_there_is_room() -> None:
    others = [node_id_of(number.to_bytes(32)) for number in range(WAY_OUT_SHARERS_MAX)]
    ours = way_out(A, B)
    for _ in range(MISSES_MAX):
        ours.acting(LOG, now_ms=0)
    ours.share(others[1:])
    ours.share([B])
    assert ours.due_ms(LOG, since_ms=0, now_ms=0) == 0, "it is remembered that it hangs"
    ours.share(others)
    ours.share([B])
    assert ours.due_ms(LOG, since_ms=0, now_ms=0) == STEP_MS
