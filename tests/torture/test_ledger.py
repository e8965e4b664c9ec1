"""The ledger: what is owed, and what an audit says of each way to break a promise."""

from __future__ import annotations

import copy

from scripts.tortures.ledger import FORGET_MS, LIFE_MS, OWED_MS, Findings, Ledger

M, OTHER = ("t", "a", 0), ("t", "a", 1)
X, Y = b"x", b"y"


def ledger(*contents: bytes, answered: bool = True) -> Ledger:
    """One message, sent with each of the contents, at 0."""
    made = Ledger()
    for content in contents:
        made.sent({M: content}, now_ms=0)
    if answered:
        made.answered([M], now_ms=0)
    return made


def test_what_was_acknowledged_is_owed() -> None:
    assert ledger(X).audit({M: X}, now_ms=1) == Findings()
    assert ledger(X).audit({}, now_ms=OWED_MS) == Findings(lost=(M,))
    assert ledger(X).audit({}, now_ms=OWED_MS + 1) == Findings()


def test_what_was_not_may_be_there_or_not() -> None:
    assert ledger(X, answered=False).audit({M: X}, now_ms=1) == Findings()
    assert ledger(X, answered=False).audit({}, now_ms=1) == Findings()


def test_either_of_two_tries_is_right_and_then_no_other() -> None:
    both = ledger(X, Y)
    assert both.audit({M: Y}, now_ms=1) == Findings()
    assert both.audit({M: X}, now_ms=2) == Findings(wrong=(M,))


def test_after_the_acknowledgement_nothing_replaces_it() -> None:
    kept = ledger(X)
    kept.sent({M: Y}, now_ms=1)
    kept.answered([M], now_ms=1)
    assert kept.acknowledged == 1
    assert kept.audit({M: Y}, now_ms=2) == Findings(wrong=(M,))


def test_what_was_shown_or_claimed_is_owed() -> None:
    shown = ledger(X, answered=False)
    assert shown.show({M: X}, asked_ms=1, now_ms=1) == Findings()
    assert shown.audit({}, now_ms=2) == Findings(lost=(M,))
    claimed = ledger(X, answered=False)
    claimed.claimed([M, OTHER], now_ms=1)
    assert claimed.audit({}, now_ms=2) == Findings(lost=(M,))
    assert (shown.shown, claimed.shown) == (1, 1)


def test_what_was_gone_does_not_come_back() -> None:
    gone = ledger(X, answered=False)
    gone.audit({}, now_ms=1)
    assert gone.audit({M: X}, now_ms=2) == Findings(wrong=(M,))


def test_the_clock_may_jump_between_request_and_answer() -> None:
    """It was stored before the jump, or after it."""
    jumped = ledger(X, answered=False)
    jumped.answered([M], now_ms=OWED_MS)
    assert jumped.audit({M: X}, now_ms=OWED_MS + LIFE_MS) == Findings()
    assert jumped.audit({}, now_ms=OWED_MS + 1) == Findings()
    assert jumped.audit({M: X}, now_ms=OWED_MS + LIFE_MS + 1) == Findings(overdue=(M,))


def test_an_answer_may_come_after_a_jump() -> None:
    asked = ledger(X)
    assert asked.show({M: X}, asked_ms=LIFE_MS, now_ms=2 * LIFE_MS) == Findings()


def test_what_is_owed_at_the_moment() -> None:
    kept = ledger(X)
    kept.sent({OTHER: X}, now_ms=1)
    assert kept.owed(now_ms=OWED_MS) == {M}
    assert kept.owed(now_ms=OWED_MS + 1) == set()


def test_nothing_is_served_after_its_life() -> None:
    assert ledger(X).audit({M: X}, now_ms=LIFE_MS) == Findings()
    assert ledger(X).audit({M: X}, now_ms=LIFE_MS + 1) == Findings(overdue=(M,))


def test_what_may_have_had_its_week_is_owed_once_it_is_shown() -> None:
    """Nobody knows whether it was stored before the clock jumped: a 201 may mean that it was."""
    late = OWED_MS + 1
    jumped = ledger(X, answered=False)
    assert jumped.audit({}, now_ms=late) == Findings()
    jumped.sent({M: Y}, now_ms=late)
    jumped.answered([M], now_ms=late)
    jumped.claimed([M], now_ms=late)
    assert jumped.acknowledged == jumped.shown == 0
    stored, remembered = jumped, copy.deepcopy(jumped)
    assert remembered.audit({}, now_ms=late) == Findings()
    assert remembered.audit({M: Y}, now_ms=late) == Findings(wrong=(M,))
    assert stored.audit({M: Y}, now_ms=late) == Findings()
    assert stored.audit({}, now_ms=late + OWED_MS) == Findings(lost=(M,))
    assert (stored.doubted, stored.renewed) == (1, 1)


def test_a_log_that_may_be_forgotten_takes_anew_what_it_held() -> None:
    long_after = FORGET_MS + 1
    kept = ledger(X)
    kept.sent({M: Y}, now_ms=long_after)
    kept.answered([M], now_ms=long_after)
    remembered, former = copy.deepcopy(kept), copy.deepcopy(kept)
    assert remembered.audit({}, now_ms=long_after) == Findings()
    assert former.audit({M: X}, now_ms=long_after) == Findings(wrong=(M,))
    assert kept.audit({M: Y}, now_ms=long_after) == Findings()
    assert kept.owed(now_ms=long_after) == set(), "another node may remember it"
    assert kept.audit({M: Y}, now_ms=long_after + LIFE_MS + 1) == Findings(overdue=(M,))
    assert kept.audit({}, now_ms=long_after + OWED_MS) == Findings(lost=(M,))
    assert kept.acknowledged == 1


def test_until_then_it_takes_nothing_anew() -> None:
    kept = ledger(X)
    kept.sent({M: Y}, now_ms=FORGET_MS)
    kept.answered([M], now_ms=FORGET_MS)
    assert kept.audit({M: Y}, now_ms=FORGET_MS) == Findings(wrong=(M,))


def test_a_log_is_remembered_for_what_it_took_last() -> None:
    kept = ledger(X)
    kept.sent({OTHER: X}, now_ms=FORGET_MS)
    kept.answered([OTHER], now_ms=FORGET_MS)
    kept.sent({M: Y}, now_ms=2 * FORGET_MS)
    assert kept.audit({M: Y}, now_ms=2 * FORGET_MS) == Findings(wrong=(M,))


def test_what_was_on_its_way_when_time_jumped_may_be_stored_after_it() -> None:
    """Of a log that had it before, and was forgotten; or of one that never had it."""
    on_its_way = ledger(X)
    on_its_way.sent({M: Y, OTHER: X}, now_ms=1)
    on_its_way.answered([M, OTHER], now_ms=2 * FORGET_MS)
    here = {M: Y, OTHER: X}
    assert on_its_way.audit(here, now_ms=2 * FORGET_MS) == Findings()
    assert on_its_way.audit(here, now_ms=2 * FORGET_MS + 1) == Findings()


def test_what_was_on_its_way_before_an_audit_is_not_any_more() -> None:
    kept = ledger(X)
    kept.sent({M: Y}, now_ms=1)
    kept.audit({M: X}, now_ms=2)
    assert kept.audit({M: Y}, now_ms=FORGET_MS + 1) == Findings(wrong=(M,))
