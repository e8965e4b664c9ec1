"""Our pages at the peer: numbered, offered, and open until the peer settles them.

Pages of the feed are settled in their order; a fresh page (fresh.py) by itself. What is due, and
what the peer does not carry or claims to hold itself (claims.py), is in no page.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from meshbox.core.errors import FrameUnexpected
from meshbox.core.ids import LogId
from meshbox.core.inventory import LogRecord
from meshbox.core.limits import (
    FRESH_BYTES_MAX,
    FRESH_PAGES_UNSETTLED_MAX,
    FRESH_SEQS_MAX,
    PAGES_UNSETTLED_MAX,
)
from meshbox.core.retention import Retention
from meshbox.core.session.claims import PeerClaims
from meshbox.core.session.effects import Effect, Send
from meshbox.core.session.frames import OfferedLog, Offers, Settled
from meshbox.core.topics import Carried
from meshbox.core.wanting import offered

NO_CURSOR: Final = b""
"""The cursor of a page that settles nothing by itself."""


@dataclass(slots=True)
class OfferedPage:
    """What the peer may want of: logs by their place."""

    logs: tuple[LogId, ...]
    fresh: bool
    blobs: int
    """How many blobs it offers; of most the peer may have seen them all."""
    bytes: int
    relayed: bool
    """It offers what other peers brought, and nothing else (relaying.py)."""
    wanted: bool = False
    """The peer asked for something of it."""


class OfferedPages:
    """The pages that one peer was offered and has not settled."""

    def __init__(self, claims: PeerClaims, carried: Carried) -> None:
        """`carried`: by the peer."""
        self._carried = carried
        self._claims = claims
        self._last = 0
        self._pages: dict[int, OfferedPage] = {}
        self._fresh = 0

    @property
    def unsettled(self) -> int:
        """Pages of either kind."""
        return len(self._pages)

    @property
    def unsettled_feed(self) -> int:
        """Pages of the feed."""
        return len(self._pages) - self._fresh

    @property
    def are_heavy(self) -> bool:
        """Whether more may be on its way in the feed's pages than what is new should wait for."""
        pages = [page for page in self._pages.values() if not page.fresh]
        blobs, size_bytes = sum(page.blobs for page in pages), sum(page.bytes for page in pages)
        return blobs > FRESH_SEQS_MAX or size_bytes > FRESH_BYTES_MAX

    @property
    def has_room(self) -> bool:
        """Whether a page of the feed may be offered."""
        return self.unsettled_feed < PAGES_UNSETTLED_MAX

    @property
    def has_fresh_room(self) -> bool:
        """Whether a fresh page may be offered."""
        return self._fresh < FRESH_PAGES_UNSETTLED_MAX

    def of(
        self, records: Iterable[LogRecord], *, retention: Retention, now_ms: int
    ) -> tuple[OfferedLog, ...]:
        """Offers of all that the peer carries, and that is neither due nor claimed by it."""
        logs = []
        for record in records:
            if not self._carried.carries(record.log.topic):
                continue
            unclaimed = self._claims.unclaimed(record.log, record.runs)
            runs = offered(unclaimed, retention=retention, now_ms=now_ms)
            if runs:
                logs.append(OfferedLog(record.log, runs))
        return tuple(logs)

    def offer(
        self,
        logs: tuple[OfferedLog, ...],
        cursor: bytes,
        *,
        fresh: bool = False,
        answers: bool = False,
        relayed: bool = False,
    ) -> Effect:
        """The next page."""
        self._last += 1
        runs = [run for log in logs for run in log.runs]
        self._pages[self._last] = OfferedPage(
            tuple(log.log for log in logs),
            fresh,
            sum(run.end - run.first for run in runs),
            sum(run.bytes for run in runs),
            relayed,
        )
        self._fresh += fresh
        return Send(Offers(self._last, logs, cursor, fresh, answers))

    def settled(self, frame: Settled) -> OfferedPage:
        """The peer settled a page; `FrameUnexpected` when its turn had not come."""
        page = self.page(frame.page)
        oldest = next(number for number, other in self._pages.items() if other.fresh == page.fresh)
        if not page.fresh and frame.page != oldest:
            raise FrameUnexpected(f"settled page {frame.page} before page {oldest}")
        del self._pages[frame.page]
        self._fresh -= page.fresh
        return page

    def page(self, number: int) -> OfferedPage:
        """An open page; `FrameUnexpected` when it is not open."""
        page = self._pages.get(number)
        if page is None:
            raise FrameUnexpected(f"page {number} is not open")
        return page
