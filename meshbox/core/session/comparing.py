"""Strangers: what differs is found before anything is listed.

Where a peer has no cursor that we honour, it is asked for the sketch of what it holds, a few
symbols first and more until ours and its own tell what differs. Only those of our logs are then
offered. Where more would be sent than a listing costs, everything is listed.

Claims only ever cause asking: a peer that sends a false sketch is offered less or more than it
lacks, and nobody else anything.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from meshbox.core.errors import FrameUnexpected
from meshbox.core.ids import LogKey
from meshbox.core.limits import SKETCH_SYMBOLS_MAX
from meshbox.core.reconcile import SYMBOL_BYTES, Digest
from meshbox.core.session.effects import (
    Compared,
    CompareSketch,
    Effect,
    MakeSketch,
    Send,
    SketchMade,
)
from meshbox.core.session.frames import AskSketch, Sketch

SYMBOLS_FIRST: Final = 16
"""Enough for ten elements, and 192 bytes where nothing differs."""
SYMBOLS_SECOND: Final = 40
"""Enough for ten logs that differ on both sides."""
_DOUBLED_TO: Final = 160
"""Symbols up to which each ask doubles them; then they grow by half."""
_LISTED_LOG_SYMBOLS: Final = 8
"""Symbols that cost as much as one log of a listing: about 100 bytes."""


class Difference(NamedTuple):
    """What was found."""

    logs: tuple[LogKey, ...] | None
    """Those of our logs that the peer holds otherwise or not at all; None: list everything."""
    cursor: bytes | None
    """Ours, true once `logs` are settled."""


class Comparison:
    """Finds what differs from the peer; the side that offers."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._asked = 0
        self._digest: Digest | None = None
        self._symbols = b""

    def start(self) -> list[Effect]:
        """Asks for the first symbols."""
        return self._ask(SYMBOLS_FIRST)

    def sketched(self, frame: Sketch) -> list[Effect]:
        """The next symbols came; `FrameUnexpected` when they are not those asked for."""
        first = len(self._symbols) // SYMBOL_BYTES
        expected = (self._asked - first) * SYMBOL_BYTES
        if not expected or frame.first != first or len(frame.symbols) != expected:
            raise FrameUnexpected("other symbols than those asked for")
        if self._digest not in (None, frame.digest):
            raise FrameUnexpected("the digest changed while it was compared")
        self._digest = frame.digest
        self._symbols += frame.symbols
        return [CompareSketch(self._key, frame.digest, self._symbols)]

    def compared(self, result: Compared | None) -> list[Effect] | Difference:
        """What the comparison told; None: ours is not to be compared."""
        assert self._digest is not None
        if result is None:
            return Difference(None, None)
        if result.logs is not None:
            return Difference(result.logs, result.cursor)
        count = _more_symbols(self._asked, ours=result.elements, theirs=self._digest.elements)
        return self._ask(count) if count else Difference(None, None)

    def _ask(self, count: int) -> list[Effect]:
        self._asked = count
        return [Send(AskSketch(count))]


class Sketcher:
    """Tells our sketch to a peer that asks for it; the side that is offered to."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._asked = 0
        self._sent = 0

    def asked(self, frame: AskSketch) -> list[Effect]:
        """The peer asks for the first symbols of our sketch, less those that it has."""
        if self._asked != self._sent or not self._sent < frame.symbols <= SKETCH_SYMBOLS_MAX:
            raise FrameUnexpected(f"{frame.symbols} symbols asked for after {self._asked}")
        self._asked = frame.symbols
        return [MakeSketch(self._key, self._sent, self._asked)]

    def made(self, result: SketchMade) -> list[Effect]:
        """The symbols are there."""
        first, self._sent = self._sent, self._asked
        return [Send(Sketch(result.digest, first, result.symbols))]


def _more_symbols(asked: int, *, ours: int, theirs: int) -> int | None:
    """How many symbols to ask for next; None: a listing costs less.

    At least as many elements differ as one set has more than the other, and each takes about 1.4
    symbols.
    """
    grown = asked * 2 if asked < _DOUBLED_TO else asked * 3 // 2
    if asked == SYMBOLS_FIRST:
        grown = SYMBOLS_SECOND
    count = max(grown, abs(ours - theirs) * 3 // 2)
    affordable = min(SKETCH_SYMBOLS_MAX, ours * _LISTED_LOG_SYMBOLS)
    return count if count <= affordable else None
