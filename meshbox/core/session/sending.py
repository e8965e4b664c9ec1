"""Our feed, told to the peer: pages of offers from where it stands.

| state     | event             | what follows                                            |
|-----------|-------------------|---------------------------------------------------------|
| WAITING   | resume            | the first cursor that our feed honours is chosen:       |
|           |                   | CHOOSING                                                |
| CHOOSING  | a cursor chosen   | a page of the feed is read from there: READING          |
| CHOOSING  | none honoured     | what differs is found (comparing.py): COMPARING         |
| COMPARING | the logs in which | they are read, a page at a time, and then the feed from |
|           | we differ found   | the moment that they were found for: READING            |
| COMPARING | too much differs  | the feed is read from its beginning: READING            |
| READING   | page read         | offers go out; then the next page, a full window: FULL, |
|           |                   | or the feed's end: AWAITING                             |
| AWAITING  | the feed moved    | READING                                                 |
| FULL      | a page settled    | READING                                                 |

A page of differing logs bears no cursor, but the last one: its cursor is true only once all of
them are settled.

What the peer itself claims to hold is left out (claims.py). A page of which nothing is left is not
sent, but its cursor is owed: a later page bears it, or, after `CURSOR_OWED_MS`, a page without
logs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from enum import Enum

from meshbox.core.errors import FrameUnexpected
from meshbox.core.ids import LogId, LogKey
from meshbox.core.inventory import LogRecord
from meshbox.core.limits import (
    CURSOR_OWED_MS,
    PAGE_LOGS_MAX,
    PAGE_RUNS_MAX,
    PAGES_UNSETTLED_MAX,
)
from meshbox.core.retention import Retention
from meshbox.core.session.claims import PeerClaims
from meshbox.core.session.comparing import Comparison, Difference
from meshbox.core.session.effects import (
    AwaitChange,
    ChooseCursor,
    Compared,
    Effect,
    FeedRead,
    ReadFeed,
    ReadLogs,
    RecordsRead,
    Send,
)
from meshbox.core.session.frames import OfferedLog, Offers, Settled, Sketch
from meshbox.core.wanting import offered

NO_CURSOR = b""
"""The cursor of a page that settles nothing by itself."""


class SendingState(Enum):
    """See the table above."""

    WAITING = "waiting"
    CHOOSING = "choosing"
    COMPARING = "comparing"
    READING = "reading"
    AWAITING = "awaiting"
    FULL = "full"


class FeedSender:
    """Offers our feed to one peer."""

    def __init__(self, *, sketch_key: bytes, claims: PeerClaims) -> None:
        """`sketch_key`: of the elements of this session (core/reconcile.py)."""
        self.state = SendingState.WAITING
        self._comparison = Comparison(sketch_key)
        self._differing: deque[LogKey] = deque()
        self._cursor: bytes | None = None
        self._page = 0
        self._pages: dict[int, tuple[LogId, ...]] = {}
        self._claims = claims
        self._owes_cursor = False
        self._owed_since_ms: int | None = None

    @property
    def is_settled(self) -> bool:
        """The peer settled all of our feed, and has the cursor that says so."""
        at_end = self.state is SendingState.AWAITING
        return at_end and not self._pages and not self._owes_cursor

    @property
    def pages_unsettled(self) -> int:
        """Pages offered that the peer has not settled."""
        return len(self._pages)

    def resumed(self, cursors: tuple[bytes, ...]) -> list[Effect]:
        """The peer named where it stands."""
        if self.state is not SendingState.WAITING:
            raise FrameUnexpected("a second resume")
        self.state = SendingState.CHOOSING
        return [ChooseCursor(cursors)]

    def cursor_chosen(self, cursor: bytes | None) -> list[Effect]:
        """Goes on from `cursor`; None: from what differs."""
        if cursor is None:
            self.state = SendingState.COMPARING
            return self._comparison.start()
        self._cursor = cursor
        return self._read_on()

    def sketched(self, frame: Sketch) -> list[Effect]:
        """The peer sent what we asked of its sketch."""
        if self.state is not SendingState.COMPARING:
            raise FrameUnexpected("a sketch that nobody asked for")
        return self._comparison.sketched(frame)

    def compared(self, result: Compared | None) -> list[Effect]:
        """The sketches were compared as far as they go."""
        found = self._comparison.compared(result)
        if not isinstance(found, Difference):
            return found
        self._cursor = found.cursor
        if found.logs is None:
            return self._read_on()
        self._differing.extend(found.logs)
        if self._differing:
            return self._read_on()
        assert found.cursor is not None
        return self._go_on([self._page_of((), found.cursor)], more=True)

    def logs_read(self, result: RecordsRead) -> list[Effect]:
        """Offers differing logs, as many as fit a page."""
        taken = _fitting(result.records)
        for _ in range(taken):
            self._differing.popleft()
        logs = self._unclaimed(
            (record for record in result.records[:taken] if record is not None),
            retention=result.retention,
            now_ms=result.now_ms,
        )
        cursor = NO_CURSOR if self._differing else self._cursor
        assert cursor is not None
        offers = [self._page_of(logs, cursor)] if logs or cursor else []
        return self._go_on(offers, more=True)

    def feed_read(self, page: FeedRead) -> list[Effect]:
        """Offers what was read; what is due, and what the peer claims to hold, is left out."""
        self._cursor = page.cursor
        logs = self._unclaimed(page.records, retention=page.retention, now_ms=page.now_ms)
        offers = [self._page_of(logs, page.cursor)] if logs else []
        self._owes_cursor |= bool(page.records) and not logs
        return self._go_on(offers, more=page.more, view=page.view)

    def feed_moved(self) -> list[Effect]:
        """Our feed has something new."""
        return self._read_on()

    def settled(self, frame: Settled) -> list[Effect]:
        """The peer settled a page, the oldest one."""
        if not self._pages or frame.page != next(iter(self._pages)):
            raise FrameUnexpected(f"settled page {frame.page}, which is not the oldest open one")
        del self._pages[frame.page]
        return self._read_on() if self.state is SendingState.FULL else []

    def tick(self, now_ms: int) -> list[Effect]:
        """Gives the peer the cursor that it is owed, unless an open page bears a later one."""
        if self.state is not SendingState.AWAITING or self._pages or not self._owes_cursor:
            self._owed_since_ms = None
        elif self._owed_since_ms is None:
            self._owed_since_ms = now_ms
        elif now_ms - self._owed_since_ms >= CURSOR_OWED_MS:
            assert self._cursor is not None
            self._owed_since_ms = None
            return [self._page_of((), self._cursor)]
        return []

    def logs_of(self, page: int) -> tuple[LogId, ...]:
        """The logs of an open page; `FrameUnexpected` when it is not open."""
        logs = self._pages.get(page)
        if logs is None:
            raise FrameUnexpected(f"want of page {page}, which is not open")
        return logs

    def _read_on(self) -> list[Effect]:
        self.state = SendingState.READING
        if self._differing:
            first = [self._differing[at] for at in range(min(PAGE_LOGS_MAX, len(self._differing)))]
            return [ReadLogs(tuple(first))]
        return [ReadFeed(self._cursor, PAGE_LOGS_MAX, PAGE_RUNS_MAX)]

    def _go_on(self, offers: list[Effect], *, more: bool, view: int = 0) -> list[Effect]:
        """What follows a page, whose offers go out first."""
        if len(self._pages) >= PAGES_UNSETTLED_MAX:
            self.state = SendingState.FULL
            return offers
        if more:
            return offers + self._read_on()
        self.state = SendingState.AWAITING
        return [*offers, AwaitChange(view)]

    def _page_of(self, logs: tuple[OfferedLog, ...], cursor: bytes) -> Effect:
        self._page += 1
        self._owes_cursor &= not cursor
        self._pages[self._page] = tuple(log.log for log in logs)
        return Send(Offers(self._page, logs, cursor))

    def _unclaimed(
        self, records: Iterable[LogRecord], *, retention: Retention, now_ms: int
    ) -> tuple[OfferedLog, ...]:
        """Offers of all that is not due and not claimed by the peer."""
        logs = []
        for record in records:
            unclaimed = self._claims.unclaimed(record.log, record.runs)
            runs = offered(unclaimed, retention=retention, now_ms=now_ms)
            if runs:
                logs.append(OfferedLog(record.log, runs))
        return tuple(logs)


def _fitting(records: tuple[LogRecord | None, ...]) -> int:
    """How many of the first records have at most `PAGE_RUNS_MAX` runs together; one at least."""
    runs = 0
    for count, record in enumerate(records):
        runs += len(record.runs) if record is not None else 0
        if count and runs > PAGE_RUNS_MAX:
            return count
    return len(records)
