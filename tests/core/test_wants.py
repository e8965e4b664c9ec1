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
    SYNC_STREAMS_MAX,
    WANT_PATIENCE_MS,
    WANT_PATIENCE_SLOW_MS,
    WANT_STALL_MS,
    WANT_TYPICAL_TIMES,
)
from meshbox.core.ranges import EMPTY, SEQ_END, SeqRanges
from meshbox.core.wants import WantLedger
from meshbox.core.way_out import MISSES_MAX, STEP_MS, TYPICAL_TIMES, WayOut

A, B, C = NodeId("a"), NodeId("b"), NodeId("c")
LOG = LogId(Namespace.LOGS, parse_topic("t"), parse_author("w"))
TEN = SeqRanges.of(0, 10)


def other_log(number: int) -> LogId:
    return LOG._replace(author=parse_author(f"{number}"))


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
    other = other_log(1)
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
        other = other_log(took_ms)
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


def hold_all_day(ledger: WantLedger, log: LogId, now_ms: int) -> int:
    """`A`, which offers it, brings something of `log` now and then, until that holds nothing back
    any more; when that is."""
    begun_ms = now_ms
    assert ledger.claim(A, log, now_ms=now_ms)
    while ledger.stop_below(log, above=None, now_ms=now_ms) is not None:
        now_ms += FILLING_GAIN_MS
        ledger.answered(A, log, gained=SeqRanges.of(20, 21), now_ms=now_ms)
        assert now_ms <= begun_ms + 2 * FILLING_HOLD_MS_MAX
    return now_ms


def test_a_log_holds_back_ten_minutes_a_day_at_most() -> None:
    ledger, begun_ms = WantLedger(), 10 * FILLING_DAY_MS
    ledger.declare(A, LOG, TEN, now_ms=begun_ms)
    now_ms = hold_all_day(ledger, LOG, begun_ms)
    assert now_ms > begun_ms + FILLING_HOLD_MS_MAX
    later_ms = begun_ms + FILLING_GAIN_MS + FILLING_DAY_MS
    ledger.answered(A, LOG, gained=SeqRanges.of(20, 21), now_ms=later_ms)
    assert ledger.stop_below(LOG, above=None, now_ms=later_ms) == 0


def test_the_day_of_a_log_is_remembered_for_a_bounded_number_of_logs() -> None:
    ledger = WantLedger()
    for number in range(FILLING_LOGS_MAX + 10):
        log = other_log(number)
        ledger.declare(A, log, TEN, now_ms=0)
        assert ledger.claim(A, log, now_ms=0)
        ledger.answered(A, log, gained=SeqRanges.of(20, 21), now_ms=1)
        ledger.declare(A, log, EMPTY, now_ms=1)
    assert ledger.holds_remembered == FILLING_LOGS_MAX
    ledger.declare(A, LOG, TEN, now_ms=1)
    now_ms = hold_all_day(ledger, LOG, 1)
    assert ledger.holds_remembered == FILLING_LOGS_MAX
    assert ledger.stop_below(LOG, above=None, now_ms=now_ms) is None, "the last is remembered"


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
        ledger.answered(A, other_log(number), gained=SeqRanges.of(0, 1), now_ms=0)
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


def take(ledger: WantLedger, peer: NodeId, log: LogId, *, took_ms: int) -> None:
    """`peer` brings a blob of `log`, which is its own, `took_ms` after it was asked."""
    ledger.declare(peer, log, TEN, now_ms=0)
    assert ledger.claim(peer, log, now_ms=0)
    ledger.answered(peer, log, gained=SeqRanges.single(0), now_ms=took_ms)
    ledger.declare(peer, log, EMPTY, now_ms=took_ms)


def waited_for_ms(ledger: WantLedger, owner: NodeId, log: LogId) -> int:
    """How long `C`, of which nothing is known, waits for an owner of `log` that says nothing."""
    for peer in (owner, C):
        ledger.declare(peer, log, TEN, now_ms=0)
    assert ledger.claim(owner, log, now_ms=0)
    return next(ms for ms in range(0, 10**5, 100) if ledger.claim(C, log, now_ms=ms))


def test_what_a_peer_usually_takes_is_an_average_of_which_the_last_is_a_quarter() -> None:
    ledger = WantLedger()
    take(ledger, A, other_log(1), took_ms=1_600)
    assert waited_for_ms(ledger, A, other_log(2)) == 1_600 * WANT_TYPICAL_TIMES
    ledger = WantLedger()
    take(ledger, A, other_log(1), took_ms=1_600)
    take(ledger, A, other_log(2), took_ms=600)
    assert waited_for_ms(ledger, A, other_log(3)) == (1_600 - 250) * WANT_TYPICAL_TIMES


def test_what_a_peer_takes_counts_from_when_it_was_first_asked() -> None:
    ledger = offered_by(A)
    assert ledger.claim(A, LOG, now_ms=0)
    assert ledger.claim(A, LOG, now_ms=1_000)
    ledger.answered(A, LOG, gained=SeqRanges.single(0), now_ms=1_500)
    assert waited_for_ms(ledger, A, other_log(1)) == 1_500 * WANT_TYPICAL_TIMES


def test_what_a_peer_usually_takes_is_remembered_of_those_that_took_something_last() -> None:
    ledger = WantLedger()
    take(ledger, A, other_log(0), took_ms=1_600)
    take(ledger, B, other_log(0), took_ms=1_600)
    for number in range(SYNC_STREAMS_MAX - 1):
        take(ledger, NodeId(f"{number}"), other_log(number), took_ms=1_000)
    assert waited_for_ms(ledger, A, other_log(1)) == WANT_PATIENCE_MS
    last = NodeId(f"{SYNC_STREAMS_MAX - 2}")
    assert waited_for_ms(ledger, last, other_log(2)) == 1_000 * WANT_TYPICAL_TIMES
    ledger = WantLedger()
    take(ledger, A, other_log(0), took_ms=1_600)
    for number in range(SYNC_STREAMS_MAX - 1):
        take(ledger, NodeId(f"{number}"), other_log(number), took_ms=1_000)
    assert waited_for_ms(ledger, A, other_log(1)) == 1_600 * WANT_TYPICAL_TIMES


def test_what_a_peer_said_is_no_news_after_the_patience_has_passed() -> None:
    ledger = offered_by(A, B)
    assert ledger.claim(A, LOG, now_ms=0)
    ledger.heard(A, now_ms=1_000)
    assert not ledger.claim(B, LOG, now_ms=1_000 + WANT_PATIENCE_MS - 1)
    assert ledger.claim(B, LOG, now_ms=1_000 + WANT_PATIENCE_MS)


def test_of_those_that_said_something_the_last_are_remembered() -> None:
    for others, is_remembered in ((SYNC_STREAMS_MAX - 1, True), (SYNC_STREAMS_MAX, False)):
        ledger = offered_by(A, B)
        assert ledger.claim(A, LOG, now_ms=0)
        ledger.heard(A, now_ms=1_000)
        for number in range(others):
            ledger.heard(NodeId(f"{number}"), now_ms=1_000)
        assert ledger.claim(B, LOG, now_ms=WANT_PATIENCE_MS) is not is_remembered


def test_every_gain_counts() -> None:
    ledger = WantLedger()
    for number in range(3):
        before = ledger.gains
        ledger.answered(A, other_log(number), gained=SeqRanges.single(0), now_ms=0)
        assert ledger.gained_since(other_log(number), before)


def test_of_logs_that_gained_the_last_are_known_one_from_another() -> None:
    ledger = WantLedger()
    for number in range(GAINED_LOGS_MAX):
        ledger.answered(A, other_log(number), gained=SeqRanges.single(0), now_ms=0)
    assert not ledger.gained_since(LOG, 0)
    ledger.answered(A, other_log(GAINED_LOGS_MAX), gained=SeqRanges.single(0), now_ms=0)
    assert ledger.gained_since(LOG, 0)
    assert not ledger.gained_since(LOG, 1), "the one forgotten gained first"


def test_gains_that_come_quickly_hold_back_for_no_longer_than_they_take() -> None:
    ledger = offered_by(A)
    assert ledger.claim(A, LOG, now_ms=0)
    for now_ms in range(0, FILLING_HOLD_MS_MAX // 2, 500):
        ledger.answered(A, LOG, gained=SeqRanges.of(20, 21), now_ms=now_ms)
        assert ledger.stop_below(LOG, above=None, now_ms=now_ms) == 0


def test_a_new_promise_of_who_broke_one_holds_back_again() -> None:
    ledger = offered_by(A, B)
    for peer in (A, B):
        ledger.broke_promise(peer, LOG)
    ledger.declare(A, LOG, EMPTY, now_ms=0)
    ledger.declare(A, LOG, TEN, now_ms=0)
    assert ledger.stop_below(LOG, above=None, now_ms=0) == 0


def test_on_a_way_out_that_is_slow_the_second_waits_longer() -> None:
    ledger, log = shared(first=False)
    quick = next(
        other
        for other in map(other_log, range(100))
        if WayOut.due_ms(ledger._ways[FAR], other.key, since_ms=0, now_ms=0) == 0
    )
    take(ledger, FAR, quick, took_ms=STEP_MS)
    assert not ledger.claim(FAR, log, now_ms=TYPICAL_TIMES * STEP_MS - 1)
    assert ledger.claim(FAR, log, now_ms=TYPICAL_TIMES * STEP_MS)


def test_a_neighbour_whose_turns_the_lan_shows_is_counted_on() -> None:
    ledger, log = shared(first=False)
    ledger.declare(NEAR, log, TEN, now_ms=0)
    for turn in range(2 * MISSES_MAX):
        now_ms = turn * 10 * STEP_MS
        ledger.declare(FAR, log, TEN, now_ms=now_ms)
        assert ledger.claim(FAR, log, now_ms=now_ms + 9 * STEP_MS)
        ledger.release(FAR, log)
        ledger.answered(NEAR, log, gained=SeqRanges.single(turn), now_ms=now_ms + 9 * STEP_MS)
    ledger.declare(NEAR, log, EMPTY, now_ms=now_ms)
    ledger.declare(FAR, log, EMPTY, now_ms=now_ms)
    later_ms = now_ms + 20 * STEP_MS
    ledger.declare(FAR, log, TEN, now_ms=later_ms)
    assert not ledger.claim(FAR, log, now_ms=later_ms + STEP_MS - 1)
