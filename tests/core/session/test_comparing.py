"""Strangers: who asks for what, and when. What comes of it, whole sessions show (test_session)."""

from __future__ import annotations

import pytest

from meshbox.core.errors import FrameUnexpected
from meshbox.core.session.comparing import SYMBOLS_FIRST, Comparison
from meshbox.core.session.effects import PrepareComparison, Send
from meshbox.core.session.frames import AskSketch

KEY = b"k" * 16


def test_what_is_held_here_is_looked_at_while_the_peer_looks_at_its_own() -> None:
    asked, prepared = Comparison(KEY).start()
    assert isinstance(asked, Send)
    assert asked.frame == AskSketch(SYMBOLS_FIRST)
    assert isinstance(prepared, PrepareComparison)
    assert prepared.key == KEY


def test_it_begins_once_whoever_wishes_it() -> None:
    comparison = Comparison(KEY)
    assert len(comparison.difference_asked()) == 2
    assert comparison.start() == []
    with pytest.raises(FrameUnexpected):
        comparison.difference_asked()
