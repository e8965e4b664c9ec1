"""One ask at a time, one answer to each, and how far it went is told once it is settled."""

from __future__ import annotations

import pytest

from meshbox.core.errors import FrameUnexpected
from meshbox.core.ids import LogKey, NodeId
from meshbox.core.session.effects import ReadRefill, RefillRead, Send
from meshbox.core.session.frames import AskLogs
from meshbox.core.session.refill import Refill

PEER = NodeId("a" * 43)
LOGS = (LogKey(bytes(16)),)


def asked() -> Refill:
    refill = Refill(PEER)
    (sent,) = refill.ask(RefillRead(LOGS, b"through"))
    assert isinstance(sent, Send)
    assert sent.frame == AskLogs(LOGS)
    return refill


def test_at_first_it_waits_for_logs_to_ask_for() -> None:
    (waits,) = Refill(PEER).start()
    assert isinstance(waits, ReadRefill)
    assert waits.peer == PEER


def test_an_answer_is_settled_with_how_far_was_asked() -> None:
    refill = asked()
    refill.answered()
    assert refill.settled() == b"through"


def test_nobody_answers_before_there_was_an_ask() -> None:
    with pytest.raises(FrameUnexpected):
        Refill(PEER).answered()


def test_nobody_answers_twice() -> None:
    refill = asked()
    refill.answered()
    with pytest.raises(FrameUnexpected):
        refill.answered()


def test_what_is_asked_after_a_settled_answer_is_answered_anew() -> None:
    refill = asked()
    refill.answered()
    refill.settled()
    with pytest.raises(FrameUnexpected):
        refill.answered()
    refill.ask(RefillRead(LOGS, b"further"))
    refill.answered()
    assert refill.settled() == b"further"
