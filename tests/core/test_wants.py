"""The ledger: one peer a log, patience, waking, and how long a log may hold fetches back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.ids import LogId, Namespace, NodeId, node_id_of, parse_author, parse_topic
from meshbox.core.limits import (
    FILLING_DAY_MS,
    FILLING_GAIN_MS,
    FILLING_HOLD_MS_MAX,
    FILLING_LOGS_MAX,
    GAINED_LOGS_MAX,
    WANT_PATIENCE_MS,
    WANT_PATIENCE_SLOW_MS,
    WANT_STALL_MS,
    WANT_TYPICAL_TIMES,
)
from meshbox.core.ranges import EMPTY, SEQ_END, SeqRanges
from meshbox.core.wants import WantLedger
from meshbox.core.way_out import STEP_MS, WayOut

A, B, C = NodeId("a"), NodeId("b"), NodeId("c")
LOG = LogId(Namespace.LOGS, parse_topic("t"), parse_author("w"))
TEN = SeqRanges.of(0, 10)


def offered_by(*peers: NodeId) -> WantLedger:
    ledger = WantLedger()
    for peer in peers:
        ledger.declare(peer, LOG, TEN, now_ms=0)
    return ledger


def test_a_log_is_asked_of_one_peer_at_a_time() -> None:
    ledger = offered_by(A, B)
    assert ledger.claim(A, LOG, now_ms=0)
    assert ledger.claim(A, LOG, now_ms=0)
    assert not ledger.claim(B, LOG, now_ms=WANT_PATIENCE_MS - 1)
    assert ledger.claim(B, LOG, now_ms=WANT_PATIENCE_MS)
    assert not ledger.claim(A, LOG, now_ms=WANT_PATIENCE_MS)


def test_an_owner_that_answers_keeps_the_log() -> None:
    ledger = offered_by(A, B)
    assert ledger.claim(A, LOG, now_ms=0)
    ledger.answered(A, LOG, gained=EMPTY, now_ms=1_500)
    ledger.answered(B, LOG, gained=EMPTY, now_ms=9_999)
    assert not ledger.claim(B, LOG, now_ms=WANT_PATIENCE_MS + 1_499)
    assert ledger.claim(B, LOG, now_ms=WANT_PATIENCE_MS + 1_500)


def test_who_is_no_quicker_does_not_take_a_log_over() -> None:
    """When all are slow (or we are), asking another would only make everything come twice."""
    ledger = offered_by(A, B)
    other = LOG._replace(author=parse_author("other"))
    ledger.declare(B, other, TEN, now_ms=0)
    assert ledger.claim(B, other, now_ms=0)
    ledger.answered(B, other, gained=SeqRanges.single(0), now_ms=WANT_PATIENCE_MS)
    usual_ms = WANT_TYPICAL_TIMES * WANT_PATIENCE_MS
    assert ledger.claim(A, LOG, now_ms=0)
    assert not ledger.claim(B, LOG, now_ms=usual_ms - 1)
    assert ledger.claim(B, LOG, now_ms=usual_ms)


def test_an_owner_that_is_known_to_be_slow_keeps_a_log_for_longer_but_not_for_long() -> None:
    ledger = offered_by(A, B)
    for took_ms in (WANT_PATIENCE_MS // 2, WANT_STALL_MS):
        other = LOG._replace(author=parse_author(f"{took_ms}"))
        ledger.declare(A, other, TEN, now_ms=0)
        assert ledger.claim(A, other, now_ms=0)
        ledger.answered(A, other, gained=SeqRanges.single(0), now_ms=took_ms)
        ledger.release(A, LOG)
        assert ledger.claim(A, LOG, now_ms=0)
        usual_ms = min(WANT_TYPICAL_TIMES * took_ms, WANT_PATIENCE_SLOW_MS)
        assert not ledger.claim(B, LOG, now_ms=usual_ms - 1)
    assert ledger.claim(B, LOG, now_ms=usual_ms)


def test_an_owner_that_says_something_is_waited_for_but_not_for_long() -> None:
    ledger = offered_by(A, B)
    assert ledger.claim(A, LOG, now_ms=0)
    for now_ms in range(1_000, WANT_PATIENCE_SLOW_MS, 1_000):
        ledger.heard(A, now_ms=now_ms)
        assert not ledger.claim(B, LOG, now_ms=now_ms + 999)
    assert ledger.claim(B, LOG, now_ms=WANT_PATIENCE_SLOW_MS)


def test_a_peer_that_lost_a_log_is_known_to_be_slow() -> None:
    ledger = offered_by(A, B)
    assert ledger.claim(A, LOG, now_ms=0)
    assert ledger.claim(B, LOG, now_ms=WANT_PATIENCE_MS)
    ledger.release(B, LOG)
    assert ledger.claim(A, LOG, now_ms=10_000)
    assert not ledger.claim(B, LOG, now_ms=10_000 + WANT_PATIENCE_MS)
    assert ledger.claim(B, LOG, now_ms=10_000 + WANT_PATIENCE_SLOW_MS)


def test_what_we_could_not_hear_is_no_silence() -> None:
    ledger = offered_by(A, B)
    assert ledger.claim(A, LOG, now_ms=0)
    ledger.held_up(5_000)
    assert not ledger.claim(B, LOG, now_ms=5_000 + WANT_PATIENCE_MS - 1)
    assert ledger.claim(B, LOG, now_ms=5_000 + WANT_PATIENCE_MS)


def test_what_could_not_be_heard_since_the_last_answer_is_no_silence() -> None:
    ledger = offered_by(A, B)
    assert ledger.claim(A, LOG, now_ms=1_000)
    ledger.held_up(5_000)
    assert not ledger.claim(B, LOG, now_ms=6_000 + WANT_PATIENCE_MS - 1)
    assert ledger.claim(B, LOG, now_ms=6_000 + WANT_PATIENCE_MS)


def test_what_is_lacking_is_all_that_anybody_offers() -> None:
    ledger = WantLedger()
    assert LOG not in ledger
    ledger.declare(A, LOG, SeqRanges.of(0, 5), now_ms=0)
    ledger.declare(B, LOG, SeqRanges.of(3, 10), now_ms=0)
    assert LOG in ledger
    assert ledger.lacking(LOG) == TEN


def test_what_a_peer_usually_takes_follows_what_it_takes() -> None:
    ledger = offered_by(A, B)
    for turn in range(20):
        seq, now_ms = SeqRanges.single(turn), turn * 100_000
        ledger.declare(B, LOG, TEN, now_ms=now_ms)
        ledger.release(A, LOG)
        assert ledger.claim(B, LOG, now_ms=now_ms)
        ledger.answered(B, LOG, gained=seq, now_ms=now_ms + (WANT_STALL_MS if turn == 0 else 10))
        ledger.release(B, LOG)
    later_ms = 30 * 100_000
    ledger.declare(A, LOG, TEN, now_ms=later_ms)
    assert ledger.claim(A, LOG, now_ms=later_ms)
    assert ledger.claim(B, LOG, now_ms=later_ms + WANT_PATIENCE_MS)


def test_a_free_log_wakes_the_others_once() -> None:
    ledger = offered_by(A, B, C)
    assert ledger.claim(A, LOG, now_ms=0)
    ledger.release(B, LOG)
    assert ledger.take_woken() == frozenset()
    ledger.release(A, LOG)
    assert ledger.take_woken() == {B, C}
    assert ledger.take_woken() == frozenset()
    assert ledger.claim(B, LOG, now_ms=0)


def test_a_peer_with_nothing_more_to_give_frees_the_log() -> None:
    ledger = offered_by(A, B)
    assert ledger.claim(A, LOG, now_ms=0)
    ledger.declare(A, LOG, EMPTY, now_ms=1)
    assert ledger.take_woken() == {B}
    ledger.declare(B, LOG, EMPTY, now_ms=1)
    assert ledger.lacking(LOG) == EMPTY
    assert ledger.stop_below(LOG, above=None, now_ms=1) is None


def test_fetches_stop_below_what_is_being_filled() -> None:
    ledger = WantLedger()
    ledger.declare(A, LOG, SeqRanges([(3, 5), (9, 10)]), now_ms=0)
    assert ledger.stop_below(LOG, above=None, now_ms=0) == 3
    assert ledger.stop_below(LOG, above=3, now_ms=0) == 4
    assert ledger.stop_below(LOG, above=4, now_ms=0) == 9
    assert ledger.stop_below(LOG, above=9, now_ms=0) is None
    assert ledger.stop_below(LOG, above=SEQ_END - 1, now_ms=0) is None


def test_a_log_that_gains_nothing_holds_nothing_back() -> None:
    ledger = offered_by(A)
    assert ledger.claim(A, LOG, now_ms=0)
    assert ledger.stop_below(LOG, above=None, now_ms=FILLING_GAIN_MS) == 0
    assert ledger.stop_below(LOG, above=None, now_ms=FILLING_GAIN_MS + 1) is None
    ledger.answered(A, LOG, gained=SeqRanges.of(20, 21), now_ms=FILLING_GAIN_MS + 2)
    assert ledger.stop_below(LOG, above=None, now_ms=FILLING_GAIN_MS + 2) == 0


def test_a_broken_promise_holds_nothing_back_any_more() -> None:
    ledger = offered_by(A)
    ledger.broke_promise(A, LOG)
    assert ledger.stop_below(LOG, above=None, now_ms=0) is None
    ledger.declare(B, LOG, SeqRanges.single(7), now_ms=0)
    assert ledger.stop_below(LOG, above=None, now_ms=0) == 7


def test_a_log_holds_back_ten_minutes_a_day_at_most() -> None:
    ledger = offered_by(A)
    assert ledger.claim(A, LOG, now_ms=0)
    now_ms = 0
    while ledger.stop_below(LOG, above=None, now_ms=now_ms) is not None:
        now_ms += FILLING_GAIN_MS
        ledger.answered(A, LOG, gained=SeqRanges.of(20, 21), now_ms=now_ms)
        assert now_ms <= 2 * FILLING_HOLD_MS_MAX
    assert now_ms > FILLING_HOLD_MS_MAX
    later_ms = FILLING_GAIN_MS + FILLING_DAY_MS
    ledger.answered(A, LOG, gained=SeqRanges.of(20, 21), now_ms=later_ms)
    assert ledger.stop_below(LOG, above=None, now_ms=later_ms) == 0


def test_the_day_of_a_log_is_remembered_for_a_bounded_number_of_logs() -> None:
    ledger = WantLedger()
    for number in range(FILLING_LOGS_MAX + 10):
        log = LogId(Namespace.LOGS, parse_topic("t"), parse_author(str(number)))
        ledger.declare(A, log, TEN, now_ms=0)
        assert ledger.claim(A, log, now_ms=0)
        ledger.answered(A, log, gained=SeqRanges.of(20, 21), now_ms=1)
        ledger.declare(A, log, EMPTY, now_ms=1)
    assert ledger.holds_remembered == FILLING_LOGS_MAX


steps = st.lists(
    st.tuples(
        st.sampled_from(["declare", "nothing", "claim", "release"]), st.sampled_from([A, B, C])
    )
)


@given(steps)
def test_never_two_owners_and_never_a_sleeper_beside_a_free_log(
    schedule: list[tuple[str, NodeId]],
) -> None:
    """Against a naive model: who offers, who owns, who was denied and not woken since."""
    ledger = WantLedger()
    offers: set[NodeId] = set()
    owner: NodeId | None = None
    asleep: set[NodeId] = set()
    for step, peer in schedule:
        if step == "declare":
            ledger.declare(peer, LOG, TEN, now_ms=0)
            offers.add(peer)
        elif step == "claim" and peer in offers:
            granted = ledger.claim(peer, LOG, now_ms=0)
            assert granted == (owner in (None, peer))
            owner = peer if granted else owner
            asleep = asleep - {peer} if granted else asleep | {peer}
        elif step in ("release", "nothing"):
            if step == "release":
                ledger.release(peer, LOG)
            else:
                ledger.declare(peer, LOG, EMPTY, now_ms=0)
                offers.discard(peer)
                asleep.discard(peer)
            owner = None if owner == peer else owner
        asleep -= ledger.take_woken()
        assert owner is not None or not asleep


def test_what_one_peer_brought_no_peer_is_waited_for() -> None:
    ledger = WantLedger()
    ledger.declare(A, LOG, TEN, now_ms=0)
    ledger.declare(B, LOG, TEN, now_ms=0)
    assert ledger.claim(A, LOG, now_ms=0)
    ledger.answered(A, LOG, gained=SeqRanges.of(0, 4), now_ms=1)
    assert ledger.lacking(LOG) == SeqRanges.of(4, 10)
    assert ledger.stop_below(LOG, above=None, now_ms=1) == 4


def test_what_was_read_before_a_gain_is_known_to_be_old() -> None:
    ledger = WantLedger()
    before = ledger.gains
    assert not ledger.gained_since(LOG, before)
    ledger.answered(A, LOG, gained=SeqRanges.of(0, 1), now_ms=0)
    assert ledger.gained_since(LOG, before)
    assert not ledger.gained_since(LOG, ledger.gains)
    other = LogId(Namespace.LOGS, parse_topic("t"), parse_author("other"))
    assert not ledger.gained_since(other, before)
    for number in range(GAINED_LOGS_MAX):
        log = LogId(Namespace.LOGS, parse_topic("t"), parse_author(f"{number}"))
        ledger.answered(A, log, gained=SeqRanges.of(0, 1), now_ms=0)
    assert ledger.gained_since(LOG, before)
    assert ledger.gained_since(other, before), "what is forgotten is assumed"


FAR, OWN, NEAR = (node_id_of(bytes([number]) * 32) for number in range(3))


def shared(*, first: bool) -> tuple[WantLedger, LogId]:
    """A ledger with a way out that a neighbour shares, and a log of which this node, or the
    neighbour, is the first to ask there."""
    way = WayOut(OWN)
    way.share([NEAR])
    for number in range(100):
        log = LOG._replace(author=parse_author(f"w{number}"))
        if (way.due_ms(log.key, since_ms=0, now_ms=0) == 0) is first:
            break
    ledger = WantLedger({FAR: way})
    ledger.declare(FAR, log, TEN, now_ms=0)
    return ledger, log


def test_a_way_out_is_asked_at_once_by_the_first_and_later_by_the_second() -> None:
    ledger, log = shared(first=True)
    assert ledger.claim(FAR, log, now_ms=0)
    ledger, log = shared(first=False)
    assert not ledger.claim(FAR, log, now_ms=STEP_MS - 1)
    assert ledger.claim(FAR, log, now_ms=STEP_MS)


def test_what_the_lan_shows_is_evidence() -> None:
    ledger, log = shared(first=False)
    ledger.declare(NEAR, log, TEN, now_ms=1_000)
    assert ledger.claim(NEAR, log, now_ms=1_000)
    ledger.answered(NEAR, log, gained=SeqRanges.single(0), now_ms=2_000)
    ledger.declare(NEAR, log, EMPTY, now_ms=2_000)
    assert FAR in ledger.take_woken()
    assert not ledger.claim(FAR, log, now_ms=2_000 + STEP_MS - 1)
    assert ledger.claim(FAR, log, now_ms=2_000 + STEP_MS)


def test_who_carries_goes_on() -> None:
    ledger, log = shared(first=False)
    assert ledger.claim(FAR, log, now_ms=STEP_MS)
    ledger.answered(FAR, log, gained=SeqRanges.single(0), now_ms=STEP_MS)
    ledger.release(FAR, log)
    assert ledger.claim(FAR, log, now_ms=STEP_MS)


def test_being_refused_by_another_rule_is_no_missed_turn() -> None:
    ledger, log = shared(first=False)
    ledger.declare(NEAR, log, TEN, now_ms=0)
    for now_ms in range(STEP_MS, 10 * STEP_MS, 100):
        assert ledger.claim(NEAR, log, now_ms=now_ms)
        assert not ledger.claim(FAR, log, now_ms=now_ms)
    ledger.declare(NEAR, log, EMPTY, now_ms=0)
    ledger.declare(FAR, log, EMPTY, now_ms=0)
    ledger.declare(FAR, log, TEN, now_ms=10 * STEP_MS)
    assert not ledger.claim(FAR, log, now_ms=11 * STEP_MS - 1)
