"""What becomes of a deposit when a log would be in more pieces than it may be."""

from __future__ import annotations

import pytest

from meshbox.core.errors import TooManyRanges
from meshbox.core.ranges import SeqRanges
from meshbox.storage.interface import Outcome
from meshbox.storage.refusing import refuse_pushed
from tests.contract.material import LOG, log_of

KEY = LOG.key
OTHER = log_of("other").key
PUSHED = {KEY: SeqRanges.of(2, 4)}


def refused(*outcomes: Outcome, whole: bool = False) -> list[Outcome]:
    told = list(outcomes)
    refuse_pushed(told, [(KEY, 1), (KEY, 2), (OTHER, 2)], PUSHED, whole=whole)
    return told


def test_what_was_pushed_out_of_its_log_is_refused() -> None:
    assert refused(Outcome.STORED, Outcome.STORED, Outcome.STORED) == [
        Outcome.STORED,
        Outcome.REFUSED,
        Outcome.STORED,
    ]


def test_what_had_expired_is_expired_and_nothing_else() -> None:
    expired = [Outcome.STORED, Outcome.EXPIRED, Outcome.STORED]
    assert refused(*expired) == expired


def test_what_is_stored_whole_is_not_stored_then() -> None:
    with pytest.raises(TooManyRanges):
        refused(Outcome.STORED, Outcome.STORED, Outcome.STORED, whole=True)


def test_what_lost_nothing_is_stored_whole() -> None:
    kept = [Outcome.STORED, Outcome.EXPIRED, Outcome.KNOWN]
    assert refused(*kept, whole=True) == kept
