"""Our feed, told to the peer: pages of offers from where it stands.

| state     | event             | what follows                                            |
|-----------|-------------------|---------------------------------------------------------|
| WAITING   | resume            | the first cursor that our feed honours is chosen:       |
|           |                   | CHOOSING                                                |
| CHOOSING  | a cursor chosen   | a page of the feed is read from there: READING          |
| CHOOSING  | none honoured,    | the feed is read from its beginning: READING            |
|           | and not all topics|                                                         |
|           | are carried       |                                                         |
| CHOOSING  | none honoured     | what differs is found, or the peer, if it was dialled,  |
|           |                   | asked for it (comparing.py): COMPARING                  |
| COMPARING | the logs in which | they are read, a page at a time, and then the feed from |
|           | we differ found   | the moment that they were found for: READING            |
| COMPARING | too much differs  | the feed is read from its beginning: READING            |
| READING   | page read         | offers go out; then the next page, a full window: FULL, |
|           |                   | or the feed's end: AWAITING                             |
| AWAITING  | the feed moved    | READING; TRAILING while much is on its way              |
| AWAITING  | logs asked for    | they are read, as those that differ: READING            |
| FULL      | a page settled    | READING                                                 |
| TRAILING  | all pages settled | READING                                                 |

While it is not at the feed's end, or much is on its way, what changes goes ahead in fresh pages
(fresh.py): from the start where what differs must be found or more than a page is behind, at once
where much is on its way and the window is full, and else after `FRESH_AFTER_MS` of FULL. The feed
comes after them: it goes to its end once its pages are settled.

A page of differing logs bears no cursor, but the last one: its cursor is true only once all of
them are settled.

What other peers brought us waits where it is no news to this one (relaying.py).

What the peer itself claims to hold is left out (claims.py). A page of which nothing is left is not
sent, but its cursor is owed: a later page bears it, or, after `CURSOR_OWED_MS`, a page without
logs.

Over 300 lines: one side of the session, a state machine with a method a frame.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

from meshbox.core.errors import FrameUnexpected
from meshbox.core.ids import LogKey
from meshbox.core.inventory import LogRecord
from meshbox.core.limits import CURSOR_OWED_MS, FRESH_AFTER_MS, PAGE_LOGS_MAX, PAGE_RUNS_MAX
from meshbox.core.session.claims import PeerClaims
from meshbox.core.session.comparing import LIST_ALL, Comparison, Found
from meshbox.core.session.effects import (
    AwaitChange,
    ChooseCursor,
    Compared,
    Effect,
    FeedRead,
    FindLogs,
    LogsFound,
    ReadFeed,
    ReadLogs,
    RecordsRead,
    Request,
    Send,
)
from meshbox.core.session.frames import AskDifference, AskLogs, Difference, Settled, Sketch
from meshbox.core.session.fresh import FreshOffers
from meshbox.core.session.offering import NO_CURSOR, OfferedPage, OfferedPages
from meshbox.core.session.relaying import Relaying
from meshbox.core.topics import Carried
from meshbox.core.wants import WantLedger


class SendingState(Enum):
    """See the table above."""

    WAITING = "waiting"
    CHOOSING = "choosing"
    COMPARING = "comparing"
    READING = "reading"
    AWAITING = "awaiting"
    FULL = "full"
    TRAILING = "trailing"


class FeedSender:
    """Offers our feed to one peer."""

    def __init__(
        self,
        *,
        sketch_key: bytes,
        is_dialler: bool,
        claims: PeerClaims,
        carried: Carried,
        compares: bool,
        ledger: WantLedger,
    ) -> None:
        """`sketch_key`: of the elements of this session (core/reconcile.py); `carried`: by the
        peer; `compares`: both sides carry all topics, so that what they hold is to be compared."""
        self.state = SendingState.WAITING
        self._compares = compares
        self._comparison = Comparison(sketch_key) if compares and not is_dialler else None
        self._differing: deque[LogKey] = deque()
        self._cursor: bytes | None = None
        self._view = 0
        """The feed's counter when `_cursor` was read."""
        self._pages = OfferedPages(claims, carried)
        self._claims = claims
        self._relaying = Relaying(ledger, is_dialler=is_dialler)
        self._fresh = FreshOffers(self._pages, self._relaying)
        self._asked: deque[LogKey] = deque()
        """What the peer asked for by name, and is not read yet."""
        self._answering = False
        """What is being read as differing is what the peer asked for."""
        self._awaits = False
        """Our feed's next change is being awaited."""
        self._owes_cursor = False
        self._since_ms: int | None = None
        """When it was first seen to owe a cursor, or to be full."""

    @property
    def is_settled(self) -> bool:
        """The peer settled all of our feed, and has the cursor that says so."""
        at_end = self.state is SendingState.AWAITING
        owes = self._owes_cursor or self._relaying.held is not None
        return at_end and not self._pages.unsettled and not owes

    @property
    def pages_unsettled(self) -> int:
        """Pages offered that the peer has not settled."""
        return self._pages.unsettled

    def resumed(self, cursors: tuple[bytes, ...]) -> list[Effect]:
        """The peer named where it stands."""
        if self.state is not SendingState.WAITING:
            raise FrameUnexpected("a second resume")
        self.state = SendingState.CHOOSING
        return [ChooseCursor(cursors)]

    def cursor_chosen(self, cursor: bytes | None) -> list[Effect]:
        """Goes on from `cursor`; None: from what differs."""
        if cursor is not None:
            self._cursor = cursor
            return self._read_on() + self._tell_difference()
        if not self._compares:
            return self._begin_with(LIST_ALL) + self._fresh.open()
        self.state = SendingState.COMPARING
        if self._comparison is None:
            return [Send(AskDifference()), *self._fresh.open()]
        if self._comparison.found is not None:
            return self._begin_with(self._comparison.found)
        return self._comparison.start() + self._fresh.open()

    def difference_asked(self) -> list[Effect]:
        """The peer that dialled us wants to be told which of its elements differ."""
        if self._comparison is None:
            raise FrameUnexpected("what differs was asked of the side that dialled")
        return self._comparison.difference_asked() + self._tell_difference()

    def difference_told(self, frame: Difference) -> list[Effect]:
        """The peer that we dialled told which of our elements differ."""
        if self._comparison is not None or self.state is not SendingState.COMPARING:
            raise FrameUnexpected("a difference that nobody asked for")
        if frame.elements is None:
            return self._begin_with(LIST_ALL)
        return [FindLogs(frame.elements)]

    def logs_found(self, result: LogsFound | None) -> list[Effect]:
        """Our logs that differ."""
        if result is None:
            return self._begin_with(LIST_ALL)
        return self._begin_with(Found(result.logs, result.cursor, None))

    def sketched(self, frame: Sketch) -> list[Effect]:
        """The peer sent what we asked of its sketch."""
        if self._comparison is None:
            raise FrameUnexpected("a sketch that nobody asked for")
        return self._comparison.sketched(frame)

    def compared(self, result: Compared | None) -> list[Effect]:
        """The sketches were compared as far as they go."""
        assert self._comparison is not None
        more = self._comparison.compared(result)
        found = self._comparison.found
        if found is None:
            return more
        if self.state is SendingState.COMPARING:
            return self._begin_with(found)
        return self._tell_difference()

    def _begin_with(self, found: Found) -> list[Effect]:
        """Offers what differs, and then our feed from the moment that it was found for."""
        self._cursor = found.cursor
        self._differing.extend(found.logs or ())
        if self._differing or found.cursor is None:
            return self._read_on() + self._tell_difference()
        nothing = [self._pages.offer((), found.cursor)]
        return self._go_on(nothing, more=True) + self._tell_difference()

    def _tell_difference(self) -> list[Effect]:
        """After our offers: so that the peer need not offer what it then knows that we hold."""
        if self._comparison is None or self._differing:
            return []
        return self._comparison.tell()

    def asked_for(self, frame: AskLogs) -> list[Effect]:
        """The peer asks for logs by name: they are offered again, whatever it settled or claimed.

        They are read like logs that differ, when nothing else is; the last page says that it was
        the last, and bears the cursor of where the feed stands.
        """
        if self._asked or self._answering:
            raise FrameUnexpected("logs were asked for before those asked for last were told")
        self._claims.forget(frame.logs)
        self._asked.extend(frame.logs)
        return self._read_on() if self.state is SendingState.AWAITING else []

    def logs_read(self, result: RecordsRead) -> list[Effect]:
        """Offers differing logs, as many as fit a page."""
        taken = _fitting(result.records)
        for _ in range(taken):
            self._differing.popleft()
        records = [record for record in result.records[:taken] if record is not None]
        logs = self._pages.of(
            records,
            retention=result.retention,
            now_ms=result.now_ms,
        )
        cursor = NO_CURSOR if self._differing else self._relaying.held or self._cursor
        assert cursor is not None
        answers = self._answering and not self._differing
        self._answering = self._answering and not answers
        offers = [self._pages.offer(logs, cursor, answers=answers)] if logs or cursor else []
        return self._go_on(offers, more=True) + self._tell_difference()

    def feed_read(self, request: ReadFeed, page: FeedRead) -> list[Effect]:
        """Offers what was read; what is due, and what the peer claims to hold, is left out."""
        if request.fresh:
            return self._fresh.answered(request, page)
        self._cursor, self._view = page.cursor, page.view
        records, relayed = self._relaying.sift(page.records, after=request.after)
        logs = self._pages.of(records, retention=page.retention, now_ms=page.now_ms)
        if self._relaying.held is not None:
            self._claims.offered(logs)
            news_page = [self._pages.offer(logs, NO_CURSOR)] if logs else []
            return self._go_on(news_page, more=page.more)
        offers = [self._pages.offer(logs, page.cursor, relayed=relayed)] if logs else []
        self._owes_cursor = not logs and (self._owes_cursor or bool(page.records))
        return self._go_on(offers, more=page.more)

    def feed_moved(self, request: AwaitChange, *, deposited: bool) -> list[Effect]:
        """Our feed has something new; `deposited`: also from one of our clients."""
        if request.fresh:
            return self._fresh.answered(request, None)
        self._awaits = False
        if self.state is not SendingState.AWAITING:
            return []  # What was asked for by name is being told; the feed is read after it.
        if not self._pages.are_heavy:
            self._relaying.moved(deposited=deposited)
            return self._read_on()
        self.state = SendingState.TRAILING
        assert self._cursor is not None
        return self._fresh.open_at(self._cursor, self._view)

    def feed_end(self, request: Request, result: FeedRead) -> list[Effect]:
        """The end of our feed was found."""
        return self._fresh.answered(request, result)

    def settled(self, frame: Settled) -> list[Effect]:
        """The peer settled a page: a fresh one, or the oldest of the feed."""
        page = self._pages.settled(frame)
        self._relaying.settled(page)
        if page.fresh:
            return self._fresh.settled()
        trailed = self.state is SendingState.TRAILING and not self._pages.unsettled_feed
        return self._read_on() if trailed or self.state is SendingState.FULL else []

    def tick(self, now_ms: int) -> list[Effect]:
        """Gives the peer the cursor that it is owed; begins with fresh pages when it is slow."""
        full = self.state is SendingState.FULL
        if self._relaying.tick(now_ms) and self.state is SendingState.AWAITING:
            self._relaying.moved(deposited=False)
            return self._read_on()
        at_rest = self.state is SendingState.AWAITING and not self._pages.unsettled
        owes = self._owes_cursor and self._relaying.held is None
        if not full and not (at_rest and owes):
            self._since_ms = None
            return []
        if self._since_ms is None:
            self._since_ms = now_ms
        if now_ms - self._since_ms < (FRESH_AFTER_MS if full else CURSOR_OWED_MS):
            return []
        assert self._cursor is not None
        if full:
            return self._fresh.open_at(self._cursor, self._view)
        self._since_ms, self._owes_cursor = None, False
        return [self._pages.offer((), self._cursor)]

    def wanted(self, number: int) -> OfferedPage:
        """The page of which the peer wants something; `FrameUnexpected` when it is not open."""
        page = self._pages.page(number)
        self._relaying.wanted(page)
        return page

    def _read_on(self) -> list[Effect]:
        self.state = SendingState.READING
        if self._asked and not self._differing and self._cursor is not None:
            self._answering = True
            self._differing, self._asked = self._asked, self._differing
        if self._differing:
            first = [self._differing[at] for at in range(min(PAGE_LOGS_MAX, len(self._differing)))]
            return [ReadLogs(tuple(first))]
        self._cursor = self._relaying.begin(self._cursor)
        return [ReadFeed(self._cursor, PAGE_LOGS_MAX, PAGE_RUNS_MAX)]

    def _go_on(self, offers: list[Effect], *, more: bool) -> list[Effect]:
        """What follows a page, whose offers go out first."""
        if more:
            ahead = self._fresh.open()
            if self._pages.has_room:
                return offers + ahead + self._read_on()
            self.state = SendingState.FULL
            return offers + ahead
        if self._fresh.is_open and self._pages.unsettled_feed > len(offers):
            self.state = SendingState.TRAILING
        elif not self._pages.has_room:
            self.state = SendingState.FULL
            assert self._cursor is not None
            if self._pages.are_heavy:
                return offers + self._fresh.open_at(self._cursor, self._view)
        else:
            self.state = SendingState.AWAITING
            self._fresh.close()
            if self._asked:
                return offers + self._read_on()
            if not self._awaits:
                self._awaits = True
                return [*offers, AwaitChange(self._view, self._relaying.wait_ms)]
        return offers


def _fitting(records: tuple[LogRecord | None, ...]) -> int:
    """How many of the first records have at most `PAGE_RUNS_MAX` runs together; one at least."""
    runs = 0
    for count, record in enumerate(records):
        runs += len(record.runs) if record is not None else 0
        if count and runs > PAGE_RUNS_MAX:
            return count
    return len(records)
