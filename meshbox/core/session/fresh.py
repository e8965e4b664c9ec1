"""Fresh before backlog: what changes while the peer has not settled what came before.

While pages of the feed are on their way (sending.py), a second reader of the feed begins at its
end and offers what changes from then on, in fresh pages. They bear no cursor, since what lies
before them is not settled; the feed comes to the same logs later, and what is seen by then costs
an offer and nothing more. So between logs the newest goes first, and nothing is passed over. What
other peers brought, and is no news to this one (relaying.py), is left to the feed.

| state   | event              | what follows                                          |
|---------|--------------------|-------------------------------------------------------|
| CLOSED  | open               | the end of the feed is found: FINDING; if the caller  |
|         |                    | knows where it stood, its change is awaited: AWAITING |
| FINDING | found              | AWAITING                                              |
| AWAITING| the feed moved     | a page is read: READING                               |
| AWAITING| the feed moved,    | FULL                                                  |
|         | but no room        |                                                       |
| READING | page read          | it is offered; then FULL, READING again or AWAITING   |
| FULL    | fresh page settled | READING                                               |
| any     | close              | CLOSED: what was asked of the shell is not heard      |
"""

from __future__ import annotations

from enum import Enum

from meshbox.core.limits import PAGE_LOGS_MAX, PAGE_RUNS_MAX
from meshbox.core.session.effects import (
    AwaitChange,
    Effect,
    FeedRead,
    FindFeedEnd,
    ReadFeed,
    Request,
)
from meshbox.core.session.offering import NO_CURSOR, OfferedPages
from meshbox.core.session.relaying import Relaying


class FreshState(Enum):
    """See the table above."""

    CLOSED = "closed"
    FINDING = "finding"
    AWAITING = "awaiting"
    READING = "reading"
    FULL = "full"


class FreshOffers:
    """Offers fresh changes of our feed to one peer."""

    def __init__(self, pages: OfferedPages, relaying: Relaying) -> None:
        self.state = FreshState.CLOSED
        self._pages = pages
        self._relaying = relaying
        self._cursor = NO_CURSOR
        self._asked: Request | None = None

    @property
    def is_open(self) -> bool:
        """Whether what changes now is offered here."""
        return self.state is not FreshState.CLOSED

    def open(self) -> list[Effect]:
        """Offers what changes from now on; nothing when it is open."""
        if self.state is not FreshState.CLOSED:
            return []
        return self._ask(FreshState.FINDING, FindFeedEnd())

    def open_at(self, cursor: bytes, view: int) -> list[Effect]:
        """Offers what changed since `cursor`, which was the end at `view`."""
        if self.state is not FreshState.CLOSED:
            return []
        self._cursor = cursor
        return self._ask(FreshState.AWAITING, AwaitChange(view, fresh=True))

    def close(self) -> None:
        """The feed was offered up to its end."""
        self.state = FreshState.CLOSED
        self._asked = None

    def answered(self, request: Request, result: FeedRead | None) -> list[Effect]:
        """The answer to a request of this reader; an earlier opening's is not heard."""
        if request is not self._asked:
            return []
        if result is None:
            return self._read_on()
        self._cursor = result.cursor
        news = self._relaying.fresh(result.records)
        logs = self._pages.of(news, retention=result.retention, now_ms=result.now_ms)
        offers = [self._pages.offer(logs, NO_CURSOR, fresh=True)] if logs else []
        if result.more or not self._pages.has_fresh_room:
            return offers + self._read_on()
        return offers + self._ask(FreshState.AWAITING, AwaitChange(result.view, fresh=True))

    def settled(self) -> list[Effect]:
        """The peer settled a fresh page."""
        return self._read_on() if self.state is FreshState.FULL else []

    def _read_on(self) -> list[Effect]:
        if not self._pages.has_fresh_room:  # Those of an earlier opening may be on their way yet.
            self.state, self._asked = FreshState.FULL, None
            return []
        request = ReadFeed(self._cursor, PAGE_LOGS_MAX, PAGE_RUNS_MAX, fresh=True)
        return self._ask(FreshState.READING, request)

    def _ask(self, state: FreshState, request: Request) -> list[Effect]:
        self.state, self._asked = state, request
        return [request]
