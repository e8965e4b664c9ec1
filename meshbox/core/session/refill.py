"""Logs that the peer is asked for by name: those of the refill list, once each (design.md 4.7).

    start ──▶ waits for the list ──▶ asks ──▶ offers, the last of which answers ──▶ settled, start

What the peer then offers is assessed and settled like any other page. How far it was asked becomes
durable in the commit that settles its answer; a session that is cut asks again.
"""

from __future__ import annotations

from meshbox.core.errors import FrameUnexpected
from meshbox.core.ids import NodeId
from meshbox.core.session.effects import Effect, ReadRefill, RefillRead, Send
from meshbox.core.session.frames import AskLogs


class Refill:
    """What one peer is asked for by name."""

    def __init__(self, peer: NodeId) -> None:
        self._peer = peer
        self._through: bytes | None = None
        self._answered = False

    def start(self) -> list[Effect]:
        """Waits for logs to ask for."""
        return [ReadRefill(self._peer)]

    def ask(self, result: RefillRead) -> list[Effect]:
        """Asks for logs; one ask at a time."""
        assert self._through is None, "the ask before is settled"
        self._through = result.through
        return [Send(AskLogs(result.logs))]

    def answered(self) -> None:
        """A page said that it was the last of the answer; `FrameUnexpected` if nobody asked."""
        if self._through is None or self._answered:
            raise FrameUnexpected("an answer to what was not asked for")
        self._answered = True

    def settled(self) -> bytes:
        """The answer is being settled: how far the peer was asked."""
        assert self._through is not None
        through, self._through, self._answered = self._through, None, False
        return through
