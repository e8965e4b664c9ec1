"""What other peers brought us, and whether it is news to this one: if not, it may wait a little.

In a mesh where everybody knows everybody, each node hears of a blob from the one at which it was
deposited, and then from all others that have got it since: offers that are read, looked up, settled
and answered for nothing. So a peer that wanted nothing of the last `RELAYS_VAIN` pages of what we
were brought is told of more of it after `RELAYS_WAIT_MS`, or after `RELAYS_WAIT_LONG_MS` by the
side that was dialled: most of that it has been told itself by then, and need not tell. One that
wants something, since it gets it from nobody else, is told at once from then on. What our clients
deposit waits for nothing.

While something is held back, pages bear no cursor: the feed is read again from before it. What was
offered meanwhile counts as the peer's claim and is left out, since its page settles first.
"""

from __future__ import annotations

from collections.abc import Sequence

from meshbox.core.inventory import LogRecord
from meshbox.core.limits import RELAYS_VAIN, RELAYS_WAIT_LONG_MS, RELAYS_WAIT_MS
from meshbox.core.session.offering import OfferedPage
from meshbox.core.wants import WantLedger


class Relaying:
    """What is told to one peer of what others brought."""

    __slots__ = (
        *(
            "_gains",
            "_gains_fresh",
            "_ledger",
            "_relays_next",
            "_sifts_next",
            "_since_ms",
            "_vain",
            "_vain_ms",
        ),
        "held",
    )

    def __init__(self, ledger: WantLedger, *, is_dialler: bool) -> None:
        self.held: bytes | None = None
        """The cursor before what is held back, if anything is."""
        self._ledger = ledger
        self._gains = self._gains_fresh = ledger.gains
        self._vain = 0
        self._vain_ms = RELAYS_WAIT_MS if is_dialler else RELAYS_WAIT_LONG_MS
        self._relays_next = self._sifts_next = False
        self._since_ms: int | None = None

    @property
    def wait_ms(self) -> int:
        """How long what others bring may wait."""
        return self._vain_ms if self._vain >= RELAYS_VAIN else 0

    def moved(self, *, deposited: bool) -> None:
        """Our feed moved; `deposited`: also by one of our own clients. A page is read next."""
        self._relays_next = not deposited
        self._sifts_next = deposited and self.wait_ms > 0

    def begin(self, cursor: bytes | None) -> bytes | None:
        """The cursor from which to read the next page, `cursor` if nothing is to be told again."""
        if self._sifts_next or self.held is None:
            return cursor
        held, self.held, self._since_ms = self.held, None, None
        return held

    def sift(
        self, records: Sequence[LogRecord], *, after: bytes | None
    ) -> tuple[Sequence[LogRecord], bool]:
        """What of a page, read from `after`, is to be told now, and whether it is relayed alone."""
        gains, self._gains = self._gains, self._ledger.gains
        relays, sifts = self._relays_next, self._sifts_next
        self._relays_next = self._sifts_next = False
        if not sifts:
            return records, relays
        news = self._deposited(records, gains)
        if len(news) < len(records) and self.held is None:
            self.held = after
        return news, False

    def fresh(self, records: Sequence[LogRecord]) -> Sequence[LogRecord]:
        """What of a page of what is fresh is to be told ahead of its turn."""
        gains, self._gains_fresh = self._gains_fresh, self._ledger.gains
        return self._deposited(records, gains) if self.wait_ms else records

    def tick(self, now_ms: int) -> bool:
        """Whether what is held back has waited long enough."""
        if self.held is None:
            self._since_ms = None
            return False
        if self._since_ms is None:
            self._since_ms = now_ms
        return now_ms - self._since_ms >= self._vain_ms

    def wanted(self, page: OfferedPage) -> None:
        """The peer asked for something of `page`."""
        page.wanted = True
        if page.relayed:
            self._vain = 0

    def settled(self, page: OfferedPage) -> None:
        """The peer settled `page`."""
        if page.relayed and not page.wanted:
            self._vain += 1

    def _deposited(self, records: Sequence[LogRecord], gains: int) -> Sequence[LogRecord]:
        """Those that no peer brought anything of since the ledger counted `gains`."""
        return [each for each in records if not self._ledger.gained_since(each.log, gains)]
