"""Strangers: what differs is found before anything is listed.

Where a side has no cursor of the other's that is honoured, the side that was dialled finds out what
differs, for both: it asks the dialler for the sketch of what it holds, a few symbols first and more
until these and its own tell. It offers of its own logs only those, and tells the dialler, if that
asks, which of the dialler's elements differ: so one sketch crosses the stream, and not two. Where
more would be sent than a listing costs, everything is listed.

Claims only ever cause asking: a peer that sends a false sketch, or a false difference, is offered
less or more than it lacks, and nobody else anything.
"""

from __future__ import annotations

from enum import Enum
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
    PrepareComparison,
    Send,
    SketchMade,
)
from meshbox.core.session.frames import AskSketch, Difference, Sketch

SYMBOLS_FIRST: Final = 16
"""Enough for ten elements, and 192 bytes where nothing differs."""
SYMBOLS_SECOND: Final = 44
"""Enough for ten logs that differ on both sides, 19 times of 20: 40 are 9 times of 10."""
_DOUBLED_TO: Final = 1_280
"""Symbols, 15 kB, up to which each ask doubles them; then they grow by a fifth."""
_LISTED_LOG_SYMBOLS: Final = 8
"""Symbols that cost as much as one log of a listing: about 100 bytes."""


class Found(NamedTuple):
    """What differs."""

    logs: tuple[LogKey, ...] | None
    """Those of our logs that the peer holds otherwise or not at all; None: list everything."""
    cursor: bytes | None
    """Ours, true once `logs` are settled."""
    theirs: tuple[int, ...] | None
    """The elements of the peer that we have not; None: it should list everything."""


LIST_ALL: Final = Found(None, None, None)


class Telling(Enum):
    """Whether the peer asked to be told what differs."""

    UNASKED = "unasked"
    ASKED = "asked"
    TOLD = "told"


class Comparison:
    """Finds what differs from the peer; the side that was dialled."""

    def __init__(self, key: bytes) -> None:
        self.found: Found | None = None
        """What differs, once it is known."""
        self._key = key
        self._asked = 0
        self._digest: Digest | None = None
        self._symbols = b""
        self._telling = Telling.UNASKED

    def start(self) -> list[Effect]:
        """Asks for the first symbols, and looks meanwhile at what is held here, which takes each
        side about as long; nothing when it has begun."""
        return [] if self._asked else [*self._ask(SYMBOLS_FIRST), PrepareComparison(self._key)]

    def difference_asked(self) -> list[Effect]:
        """The peer wants to be told; `FrameUnexpected` the second time."""
        if self._telling is not Telling.UNASKED:
            raise FrameUnexpected("what differs was asked for twice")
        self._telling = Telling.ASKED
        return self.start()

    def tell(self) -> list[Effect]:
        """Tells the peer, if it asked and what differs is known."""
        if self._telling is not Telling.ASKED or self.found is None:
            return []
        self._telling = Telling.TOLD
        return [Send(Difference(self.found.theirs))]

    def sketched(self, frame: Sketch) -> list[Effect]:
        """The next symbols came; `FrameUnexpected` when they are not those asked for."""
        first = len(self._symbols) // SYMBOL_BYTES
        expected = (self._asked - first) * SYMBOL_BYTES
        is_due = self.found is None and expected > 0
        if not is_due or frame.first != first or len(frame.symbols) != expected:
            raise FrameUnexpected("other symbols than those asked for")
        if self._digest not in (None, frame.digest):
            raise FrameUnexpected("the digest changed while it was compared")
        self._digest = frame.digest
        self._symbols += frame.symbols
        return [CompareSketch(self._key, frame.digest, self._symbols)]

    def compared(self, result: Compared | None) -> list[Effect]:
        """The symbols so far were compared (None: ours are not to be); asks for more, or `found`
        is known."""
        assert self._digest is not None
        if result is None:
            self.found = LIST_ALL
        elif result.logs is not None:
            self.found = Found(result.logs, result.cursor, result.theirs)
        else:
            theirs = self._digest.elements
            count = _more_symbols(self._asked, ours=result.elements, theirs=theirs)
            if count:
                return self._ask(count)
            self.found = LIST_ALL
        self._symbols = b""
        return []

    def _ask(self, count: int) -> list[Effect]:
        self._asked = count
        return [Send(AskSketch(count))]


class Sketcher:
    """Tells our sketch to the peer that we dialled."""

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
    grown = asked * 2 if asked < _DOUBLED_TO else asked * 6 // 5
    if asked == SYMBOLS_FIRST:
        grown = SYMBOLS_SECOND
    count = max(grown, abs(ours - theirs) * 3 // 2)
    affordable = min(SKETCH_SYMBOLS_MAX, max(ours, theirs) * _LISTED_LOG_SYMBOLS)
    return count if count <= affordable else None
