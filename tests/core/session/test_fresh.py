"""What changes while older pages are on their way is offered ahead: the table of fresh.py."""

from __future__ import annotations

from meshbox.core.ids import BlobClass, LogId, Namespace, parse_author, parse_topic
from meshbox.core.inventory import LogRecord, Run
from meshbox.core.limits import FRESH_PAGES_UNSETTLED_MAX, PAGE_LOGS_MAX, PAGE_RUNS_MAX
from meshbox.core.retention import bucket_of
from meshbox.core.session.claims import PeerClaims
from meshbox.core.session.effects import AwaitChange, Effect, FeedRead, FindFeedEnd, ReadFeed, Send
from meshbox.core.session.frames import Offers, Settled
from meshbox.core.session.fresh import FreshOffers, FreshState
from meshbox.core.session.offering import NO_CURSOR, OfferedPages
from meshbox.core.session.relaying import Relaying
from meshbox.core.topics import ALL_TOPICS
from meshbox.core.wants import WantLedger
from tests.core.session.model import NODE_MS, RETENTION

LOG = LogId(Namespace.LOGS, parse_topic("topic"), parse_author("author"))
RECORD = LogRecord(LOG, 7, (Run(0, 3, bucket_of(NODE_MS), BlobClass.OPAQUE, 3, 1),))


def read(
    *records: LogRecord, cursor: bytes = b"end", view: int = 7, more: bool = False
) -> FeedRead:
    return FeedRead(records, cursor, view, more, NODE_MS, RETENTION)


class Reading:
    """Fresh offers, and what they asked for last."""

    def __init__(self) -> None:
        self.pages = OfferedPages(PeerClaims(), ALL_TOPICS)
        self.fresh = FreshOffers(self.pages, Relaying(WantLedger(), is_dialler=True))
        self.offered: list[Offers] = []
        self.asked: list[Effect] = []

    def state(self) -> FreshState:
        return self.fresh.state

    def do(self, effects: list[Effect]) -> None:
        self.asked = []
        for effect in effects:
            if isinstance(effect, Send):
                assert isinstance(effect.frame, Offers)
                self.offered.append(effect.frame)
            else:
                self.asked.append(effect)

    def read_page(self, page: FeedRead) -> ReadFeed:
        """The feed moved, and `page` is read; the request."""
        (awaiting,) = self.asked
        assert isinstance(awaiting, AwaitChange)
        self.do(self.fresh.answered(awaiting, None))
        (request,) = self.asked
        assert isinstance(request, ReadFeed)
        assert self.fresh.state is FreshState.READING
        self.do(self.fresh.answered(request, page))
        return request


def opened() -> Reading:
    """At an end that the caller knows, of which the next change is awaited."""
    reading = Reading()
    reading.do(reading.fresh.open_at(b"here", 5))
    return reading


def test_it_begins_at_the_end_of_the_feed() -> None:
    reading = Reading()
    assert not reading.fresh.is_open
    reading.do(reading.fresh.open())
    assert reading.state() is FreshState.FINDING
    (finding,) = reading.asked
    assert isinstance(finding, FindFeedEnd)
    reading.do(reading.fresh.answered(finding, read()))
    assert reading.state() is FreshState.AWAITING
    (awaiting,) = reading.asked
    assert isinstance(awaiting, AwaitChange)
    assert (awaiting.change, awaiting.fresh) == (7, True)
    assert reading.read_page(read(RECORD)).after == b"end"


def test_or_where_the_caller_stood_and_once() -> None:
    reading = opened()
    assert reading.state() is FreshState.AWAITING
    (awaiting,) = reading.asked
    assert isinstance(awaiting, AwaitChange)
    assert (awaiting.change, awaiting.fresh) == (5, True)
    assert reading.fresh.open() == reading.fresh.open_at(b"elsewhere", 6) == []
    request = reading.read_page(read(RECORD, cursor=b"next"))
    assert (request.after, request.fresh) == (b"here", True)
    assert (request.logs_max, request.runs_max) == (PAGE_LOGS_MAX, PAGE_RUNS_MAX)
    assert reading.read_page(read(RECORD)).after == b"next"


def test_what_changed_is_offered_without_a_cursor() -> None:
    reading = opened()
    reading.read_page(read(RECORD))
    (offers,) = reading.offered
    assert (offers.fresh, offers.cursor) == (True, NO_CURSOR)
    assert [log.log for log in offers.logs] == [LOG]
    reading.read_page(read())
    assert len(reading.offered) == 1, "nothing is no page"
    assert reading.state() is FreshState.AWAITING


def test_more_is_read_at_once() -> None:
    reading = opened()
    reading.read_page(read(RECORD, cursor=b"middle", more=True))
    (request,) = reading.asked
    assert isinstance(request, ReadFeed)
    assert request.after == b"middle"


def test_a_full_window_waits_for_a_page_to_be_settled() -> None:
    reading = opened()
    for _ in range(FRESH_PAGES_UNSETTLED_MAX):
        reading.read_page(read(RECORD))
    assert reading.state() is FreshState.FULL
    assert reading.asked == []
    reading.pages.settled(Settled(2))
    reading.do(reading.fresh.settled())
    assert reading.state() is FreshState.READING
    (request,) = reading.asked
    assert isinstance(request, ReadFeed)
    assert reading.fresh.settled() == [], "one is read at a time"


def test_pages_of_an_earlier_opening_count_until_they_are_settled() -> None:
    reading = opened()
    for _ in range(FRESH_PAGES_UNSETTLED_MAX):
        reading.read_page(read(RECORD))
    reading.fresh.close()
    assert reading.state() is FreshState.CLOSED
    reading.do(reading.fresh.open_at(b"later", 9))
    (awaiting,) = reading.asked
    assert isinstance(awaiting, AwaitChange)
    reading.do(reading.fresh.answered(awaiting, None))
    assert (reading.state(), reading.asked) == (FreshState.FULL, [])


def test_after_it_closed_what_was_asked_for_is_not_heard() -> None:
    reading = opened()
    (awaiting,) = reading.asked
    assert isinstance(awaiting, AwaitChange)
    reading.fresh.close()
    assert reading.fresh.answered(awaiting, None) == []
    reading.do(reading.fresh.open_at(b"later", 9))
    assert reading.fresh.answered(awaiting, None) == []
    assert reading.state() is FreshState.AWAITING
