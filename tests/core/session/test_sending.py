"""Our feed told to one peer, input by input; whole sessions are in test_session.py."""

from __future__ import annotations

import pytest

from meshbox.core.errors import FrameUnexpected
from meshbox.core.ids import (
    BlobClass,
    LogId,
    LogKey,
    Namespace,
    node_id_of,
    parse_author,
    parse_topic,
)
from meshbox.core.inventory import LogRecord, Run
from meshbox.core.limits import (
    CURSOR_OWED_MS,
    FRESH_AFTER_MS,
    FRESH_SEQS_MAX,
    PAGE_LOGS_MAX,
    PAGE_RUNS_MAX,
    PAGES_UNSETTLED_MAX,
    RELAYS_VAIN,
    RELAYS_WAIT_MS,
)
from meshbox.core.ranges import SeqRanges
from meshbox.core.reconcile import SYMBOL_BYTES, Digest
from meshbox.core.retention import bucket_of
from meshbox.core.session.claims import PeerClaims
from meshbox.core.session.comparing import SYMBOLS_FIRST
from meshbox.core.session.effects import (
    AwaitChange,
    ChooseCursor,
    Compared,
    CompareSketch,
    FeedRead,
    FindFeedEnd,
    FindLogs,
    LogsFound,
    PrepareComparison,
    ReadFeed,
    ReadLogs,
    RecordsRead,
    Request,
    Send,
)
from meshbox.core.session.frames import (
    AskDifference,
    AskLogs,
    AskSketch,
    Difference,
    Offers,
    Settled,
    Sketch,
)
from meshbox.core.session.sending import FeedSender, SendingState
from meshbox.core.topics import ALL_TOPICS
from meshbox.core.wants import WantLedger
from tests.core.session.driving import Driven
from tests.core.session.model import NODE_MS, RETENTION

NOW_MS = 70_000
BRINGER = node_id_of(b"b" * 32)


def log_of(number: int) -> LogId:
    return LogId(Namespace.LOGS, parse_topic("topic"), parse_author(f"author{number}"))


def record(number: int, *, runs: int = 1, blobs: int = 1) -> LogRecord:
    """Log `number` with so many runs of so many blobs each."""
    bucket, opaque = bucket_of(NODE_MS), BlobClass.OPAQUE
    step = blobs + 1
    held = (Run(at * step, at * step + blobs, bucket, opaque, blobs, 1) for at in range(runs))
    return LogRecord(log_of(number), 1, tuple(held))


def sender_of(
    ledger: WantLedger, claims: PeerClaims, *, is_dialler: bool, compares: bool = True
) -> FeedSender:
    return FeedSender(
        sketch_key=b"k" * 16,
        is_dialler=is_dialler,
        claims=claims,
        carried=ALL_TOPICS,
        compares=compares,
        ledger=ledger,
    )


class Sending(Driven):
    """A sender, and what it said and asked since it was last looked at."""

    def __init__(
        self, *, is_dialler: bool = True, compares: bool = True, cursor: bytes | None = b"start"
    ) -> None:
        """The peer resumed, and `cursor` was chosen of what it named."""
        super().__init__()
        self.ledger = WantLedger()
        self.claims = PeerClaims()
        self.sender = sender_of(self.ledger, self.claims, is_dialler=is_dialler, compares=compares)
        (choosing,) = self.sender.resumed((b"a", b"b"))
        assert isinstance(choosing, ChooseCursor)
        assert choosing.cursors == (b"a", b"b")
        self.do(self.sender.cursor_chosen(cursor))

    def state(self) -> SendingState:
        return self.sender.state

    def offered(self) -> list[Offers]:
        return [frame for frame in self.sent() if isinstance(frame, Offers)]

    def request(self, kind: type[Request]) -> Request:
        """The one request of a kind that waits for its answer; it is taken."""
        (found,) = (each for each in self._asked if isinstance(each, kind))
        self._asked.remove(found)
        return found

    def read(
        self, *records: LogRecord, cursor: bytes = b"end", view: int = 9, more: bool = False
    ) -> ReadFeed:
        """A page of the feed is read."""
        request = self.request(ReadFeed)
        assert isinstance(request, ReadFeed)
        page = FeedRead(records, cursor, view, more, NODE_MS, RETENTION)
        self.do(self.sender.feed_read(request, page))
        return request

    def read_logs(self, *records: LogRecord | None) -> ReadLogs:
        """Logs that differ, or were asked for, are read."""
        request = self.request(ReadLogs)
        assert isinstance(request, ReadLogs)
        self.do(self.sender.logs_read(RecordsRead(records, NODE_MS, RETENTION)))
        return request

    def move(self, *, deposited: bool = True) -> AwaitChange:
        """The feed moved; the request that awaited it."""
        request = self.request(AwaitChange)
        assert isinstance(request, AwaitChange)
        self.do(self.sender.feed_moved(request, deposited=deposited))
        return request

    def settle(self, page: int) -> None:
        self.do(self.sender.settled(Settled(page)))


def at_end() -> Sending:
    """All of an empty feed was told."""
    sending = Sending()
    sending.read()
    return sending


def test_the_feed_is_told_from_the_cursor_to_its_end() -> None:
    sending = Sending()
    request = sending.read(record(0), cursor=b"middle", more=True)
    assert (request.after, request.logs_max, request.runs_max, request.fresh) == (
        b"start",
        PAGE_LOGS_MAX,
        PAGE_RUNS_MAX,
        False,
    )
    assert isinstance(sending.request(FindFeedEnd), FindFeedEnd)
    assert sending.read(record(1)).after == b"middle"
    first, last = sending.offered()
    assert (first.page, first.cursor, first.fresh, first.answers) == (1, b"middle", False, False)
    assert (last.page, last.cursor) == (2, b"end")
    assert sending.state() is SendingState.TRAILING, "what is new goes ahead meanwhile"
    sending.settle(1)
    assert sending.asked() == []
    sending.settle(2)
    assert sending.read().after == b"end"
    assert sending.state() is SendingState.AWAITING
    assert sending.sender.is_settled


def test_a_second_resume_is_a_breach() -> None:
    with pytest.raises(FrameUnexpected):
        Sending().sender.resumed(())


def test_what_changes_is_told_at_the_end_of_the_feed() -> None:
    sending = at_end()
    assert sending.sender.is_settled
    awaited = sending.move()
    assert (awaited.change, awaited.relays_wait_ms, awaited.fresh) == (9, 0, False)
    assert sending.state() is SendingState.READING
    sending.read(record(0), cursor=b"later", view=10)
    (offers,) = sending.offered()
    assert [log.log for log in offers.logs] == [log_of(0)]
    assert not sending.sender.is_settled
    sending.settle(1)
    assert sending.sender.is_settled
    assert sending.move().change == 10


def test_while_much_is_on_its_way_what_changes_goes_ahead() -> None:
    sending = at_end()
    sending.move()
    sending.read(record(0, blobs=FRESH_SEQS_MAX + 1), cursor=b"later", view=10)
    sending.move()
    assert sending.state() is SendingState.TRAILING
    ahead = sending.request(AwaitChange)
    assert isinstance(ahead, AwaitChange)
    assert (ahead.change, ahead.fresh) == (10, True)
    sending.do(sending.sender.feed_moved(ahead, deposited=True))
    fresh = sending.read(record(1))
    assert (fresh.after, fresh.fresh) == (b"later", True)
    assert [offers.fresh for offers in sending.offered()] == [False, True]
    sending.settle(1)
    assert sending.read().after == b"later", "the feed comes after it"


def test_the_window_of_pages_is_filled_and_no_more() -> None:
    sending = Sending()
    for page in range(PAGES_UNSETTLED_MAX):
        sending.read(record(page), cursor=b"%d" % page, more=True)
    assert sending.state() is SendingState.FULL
    assert [request for request in sending.asked() if isinstance(request, ReadFeed)] == []
    assert sending.sender.pages_unsettled == PAGES_UNSETTLED_MAX
    with pytest.raises(FrameUnexpected):
        sending.settle(2)
    sending.settle(1)
    assert sending.read().after == b"%d" % (PAGES_UNSETTLED_MAX - 1)


def full(*, more: bool) -> Sending:
    """At the end of the feed, or behind it, with a window full of small pages."""
    sending = at_end()
    for page in range(PAGES_UNSETTLED_MAX):
        sending.move()
        last = page == PAGES_UNSETTLED_MAX - 1
        sending.read(record(page), cursor=b"%d" % page, view=20 + page, more=more and last)
    assert sending.state() is SendingState.FULL
    return sending


def test_a_full_window_that_stays_so_lets_what_is_new_go_ahead() -> None:
    sending = full(more=False)
    sending.asked()
    for now_ms in (NOW_MS, NOW_MS + FRESH_AFTER_MS - 1):
        assert sending.sender.tick(now_ms) == []
    (ahead,) = sending.sender.tick(NOW_MS + FRESH_AFTER_MS)
    assert isinstance(ahead, AwaitChange)
    assert (ahead.change, ahead.fresh) == (20 + PAGES_UNSETTLED_MAX - 1, True)
    sending.do(sending.sender.feed_moved(ahead, deposited=True))
    assert sending.read().after == b"%d" % (PAGES_UNSETTLED_MAX - 1)
    assert sending.sender.tick(NOW_MS + 9 * FRESH_AFTER_MS) == [], "once"


def test_who_is_behind_a_full_window_has_what_is_new_go_ahead_at_once() -> None:
    assert isinstance(full(more=True).request(FindFeedEnd), FindFeedEnd)


def test_a_page_that_says_nothing_owes_its_cursor() -> None:
    sending = at_end()
    sending.claims.offered(())
    sending.move()
    sending.read(LogRecord(log_of(0), 1), cursor=b"owed", view=11)
    assert sending.offered() == []
    assert not sending.sender.is_settled
    for now_ms in (NOW_MS, NOW_MS + CURSOR_OWED_MS - 1):
        assert sending.sender.tick(now_ms) == []
    sending.do(sending.sender.tick(NOW_MS + CURSOR_OWED_MS))
    (offers,) = sending.offered()
    assert (offers.logs, offers.cursor) == ((), b"owed")
    assert sending.sender.tick(NOW_MS + 9 * CURSOR_OWED_MS) == []
    sending.settle(1)
    assert sending.sender.is_settled


def test_a_cursor_is_owed_until_a_page_bears_one() -> None:
    sending = at_end()
    for logs in ((), (record(1),)):
        sending.move()
        sending.read(LogRecord(log_of(0), 1), *logs, cursor=b"later", view=11)
    assert [offers.cursor for offers in sending.offered()] == [b"later"]
    sending.settle(1)
    for passed_ms in (0, CURSOR_OWED_MS):
        assert sending.sender.tick(NOW_MS + passed_ms) == []
    assert sending.sender.is_settled


def test_not_while_a_page_is_on_its_way() -> None:
    sending = at_end()
    sending.move()
    sending.read(record(1), cursor=b"one", view=11)
    sending.move()
    sending.read(LogRecord(log_of(0), 1), cursor=b"owed", view=12)
    for passed_ms in (0, CURSOR_OWED_MS):
        assert sending.sender.tick(NOW_MS + passed_ms) == []


# Strangers.


def test_who_dialled_asks_to_be_told_what_differs_and_offers_that() -> None:
    sending = Sending(cursor=None)
    assert sending.sent() == [AskDifference()]
    assert isinstance(sending.request(FindFeedEnd), FindFeedEnd)
    (finding,) = sending.sender.difference_told(Difference((3, 4)))
    assert isinstance(finding, FindLogs)
    assert finding.elements == (3, 4)
    keys = tuple(log_of(number).key for number in range(2))
    sending.do(sending.sender.logs_found(LogsFound(keys, b"moment")))
    assert sending.read_logs(record(0), record(1)).keys == keys
    (offers,) = sending.offered()
    assert [log.log for log in offers.logs] == [log_of(0), log_of(1)]
    assert (offers.cursor, offers.answers) == (b"moment", False)
    assert sending.read().after == b"moment"


@pytest.mark.parametrize("told", [True, False], ids=["told", "found"])
def test_where_too_much_differs_all_is_listed(told: bool) -> None:
    sending = Sending(cursor=None)
    if told:
        sending.do(sending.sender.difference_told(Difference(None)))
    else:
        sending.sender.difference_told(Difference((3,)))
        sending.do(sending.sender.logs_found(None))
    assert sending.read().after is None


def test_where_nothing_differs_a_cursor_is_told_alone() -> None:
    sending = Sending(cursor=None)
    sending.sender.difference_told(Difference(()))
    sending.do(sending.sender.logs_found(LogsFound((), b"moment")))
    (offers,) = sending.offered()
    assert (offers.logs, offers.cursor) == ((), b"moment")
    assert sending.read().after == b"moment"


def test_what_nobody_asked_for_is_a_breach() -> None:
    resumed = Sending()
    for said in (
        lambda: resumed.sender.difference_told(Difference(())),
        resumed.sender.difference_asked,
        lambda: resumed.sender.sketched(Sketch(Digest(), 0, b"")),
    ):
        with pytest.raises(FrameUnexpected):
            said()
    dialled = Sending(is_dialler=False, cursor=None)
    with pytest.raises(FrameUnexpected):
        dialled.sender.difference_told(Difference(()))


def compare(sending: Sending, result: Compared | None) -> None:
    """The sketch that was asked for came, and was compared."""
    symbols = bytes(SYMBOLS_FIRST * SYMBOL_BYTES)
    (comparing,) = sending.sender.sketched(Sketch(Digest(7, 5), 0, symbols))
    assert isinstance(comparing, CompareSketch)
    sending.do(sending.sender.compared(result))


def test_who_was_dialled_finds_what_differs_and_offers_it_before_it_tells() -> None:
    sending = Sending(is_dialler=False, cursor=None)
    assert sending.sent() == [AskSketch(SYMBOLS_FIRST)]
    assert isinstance(sending.request(PrepareComparison), PrepareComparison)
    sending.do(sending.sender.difference_asked())
    keys = tuple(log_of(number).key for number in range(PAGE_LOGS_MAX + 1))
    compare(sending, Compared(keys, (3, 4), 9, b"moment"))
    assert sending.read_logs(*map(record, range(PAGE_LOGS_MAX))).keys == keys[:-1]
    assert sending.read_logs(record(PAGE_LOGS_MAX)).keys == keys[-1:]
    first, last, told = sending.sent()
    assert isinstance(first, Offers)
    assert isinstance(last, Offers)
    assert (first.cursor, last.cursor) == (b"", b"moment"), "true once all are settled"
    assert told == Difference((3, 4))
    assert sending.read().after == b"moment"


def test_who_resumed_is_told_what_differs_if_it_asks() -> None:
    sending = Sending(is_dialler=False)
    sending.do(sending.sender.difference_asked())
    compare(sending, Compared((LogKey(b"l" * 16),), (3, 4), 9, b"moment"))
    assert sending.sent() == [AskSketch(SYMBOLS_FIRST), Difference((3, 4))]
    assert sending.read().after == b"start", "its own feed goes on from its cursor"


def test_what_was_found_before_it_is_needed_is_used() -> None:
    sender = sender_of(WantLedger(), PeerClaims(), is_dialler=False)
    sender.difference_asked()
    sender.sketched(Sketch(Digest(7, 5), 0, bytes(SYMBOLS_FIRST * SYMBOL_BYTES)))
    key = log_of(0).key
    assert sender.compared(Compared((key,), (3,), 9, b"moment")) == [Send(Difference((3,)))]
    sender.resumed(())
    (reading,) = sender.cursor_chosen(None)
    assert isinstance(reading, ReadLogs)
    assert reading.keys == (key,)


def test_where_not_all_topics_are_carried_nothing_is_compared() -> None:
    sending = Sending(compares=False, cursor=None)
    assert sending.sent() == []
    assert isinstance(sending.request(FindFeedEnd), FindFeedEnd)
    assert sending.read().after is None


def test_of_logs_that_differ_so_many_are_told_as_fit_a_page() -> None:
    sending = Sending(cursor=None)
    sending.sender.difference_told(Difference((3,)))
    keys = tuple(log_of(number).key for number in range(4))
    sending.do(sending.sender.logs_found(LogsFound(keys, b"moment")))
    half = PAGE_RUNS_MAX // 2
    sending.read_logs(record(0, runs=half), None, record(2, runs=half), record(3))
    (offers,) = sending.offered()
    assert [log.log for log in offers.logs] == [log_of(0), log_of(2)]
    assert offers.cursor == b""
    assert sending.read_logs(record(3, runs=PAGE_RUNS_MAX + 1)).keys == keys[3:]
    (last,) = sending.offered()
    assert (len(last.logs), last.cursor) == (1, b"moment"), "one at least"


def test_a_page_of_logs_of_which_nothing_is_held_says_nothing_but_the_last() -> None:
    sending = Sending(cursor=None)
    sending.sender.difference_told(Difference((3,)))
    keys = tuple(log_of(number).key for number in range(PAGE_LOGS_MAX + 1))
    sending.do(sending.sender.logs_found(LogsFound(keys, b"moment")))
    sending.read_logs(*[None] * PAGE_LOGS_MAX)
    assert sending.offered() == []
    sending.read_logs(None)
    assert [(offers.logs, offers.cursor) for offers in sending.offered()] == [((), b"moment")]


# By name.


def test_logs_asked_for_by_name_are_told_again_and_the_last_page_says_so() -> None:
    sending = at_end()
    keys = tuple(log_of(number).key for number in range(PAGE_LOGS_MAX + 1))
    sending.do(sending.sender.asked_for(AskLogs(keys)))
    with pytest.raises(FrameUnexpected):
        sending.sender.asked_for(AskLogs(keys))
    assert sending.read_logs(*map(record, range(PAGE_LOGS_MAX))).keys == keys[:-1]
    with pytest.raises(FrameUnexpected):
        sending.sender.asked_for(AskLogs(keys))
    sending.read_logs(record(PAGE_LOGS_MAX))
    assert [(o.cursor, o.answers) for o in sending.offered()] == [(b"", False), (b"end", True)]
    sending.sender.asked_for(AskLogs(keys))


def test_they_are_read_when_nothing_else_is() -> None:
    sending = Sending()
    assert sending.sender.asked_for(AskLogs((log_of(0).key,))) == []
    sending.read()
    assert sending.read_logs(record(0)).keys == (log_of(0).key,)
    (offers,) = sending.offered()
    assert (offers.cursor, offers.answers) == (b"end", True)


def test_what_moves_meanwhile_is_read_after_them() -> None:
    sending = at_end()
    sending.do(sending.sender.asked_for(AskLogs((log_of(0).key,))))
    sending.move()
    assert [type(request) for request in sending._asked] == [ReadLogs]
    sending.read_logs(record(0))
    sending.read(record(1), cursor=b"later")
    assert [offers.cursor for offers in sending.offered()] == [b"end", b"later"]


# What other peers brought.


def in_vain() -> Sending:
    """At the end of the feed, with a peer to whom what others brought was no news."""
    sending = at_end()
    for turn in range(RELAYS_VAIN + 1):
        assert sending.move(deposited=False).relays_wait_ms == 0
        sending.read(record(turn), cursor=b"%d" % turn)
        sending.settle(turn + 1)
    return sending


def test_what_others_brought_waits_where_it_is_no_news_and_is_told_then() -> None:
    sending = in_vain()
    sending.ledger.answered(BRINGER, log_of(50), gained=SeqRanges.of(0, 1), now_ms=0)
    sending.sent()
    assert sending.move(deposited=True).relays_wait_ms == RELAYS_WAIT_MS
    sending.read(record(50), record(51), cursor=b"later", view=30)
    (offers,) = sending.offered()
    assert [log.log for log in offers.logs] == [log_of(51)]
    assert offers.cursor == b"", "what is held back lies before it"
    sending.settle(RELAYS_VAIN + 2)
    assert not sending.sender.is_settled
    for passed_ms in (0, RELAYS_WAIT_MS - 1):
        assert sending.sender.tick(NOW_MS + passed_ms) == []
    sending.do(sending.sender.tick(NOW_MS + RELAYS_WAIT_MS))
    assert (
        sending.read(record(50), record(51), cursor=b"later", view=30).after == b"%d" % RELAYS_VAIN
    )
    (offers,) = sending.offered()
    assert [log.log for log in offers.logs] == [log_of(50)], "the other was claimed meanwhile"
    assert offers.cursor == b"later"


def test_who_wants_something_of_it_is_told_at_once_from_then_on() -> None:
    sending = in_vain()
    assert sending.move(deposited=False).relays_wait_ms == RELAYS_WAIT_MS
    sending.read(record(9))
    page = RELAYS_VAIN + 2
    assert sending.sender.wanted(page).logs == (log_of(9),)
    sending.settle(page)
    sending.move(deposited=False)
    sending.read()
    assert sending.move(deposited=False).relays_wait_ms == 0


def test_a_want_of_a_page_that_is_not_open_is_a_breach() -> None:
    with pytest.raises(FrameUnexpected):
        at_end().sender.wanted(1)


def test_a_window_that_is_full_of_much_lets_what_is_new_go_ahead_at_once() -> None:
    sending = at_end()
    for page in range(PAGES_UNSETTLED_MAX):
        sending.move()
        last = page == PAGES_UNSETTLED_MAX - 1
        blobs = FRESH_SEQS_MAX if last else 1
        sending.read(record(page, blobs=blobs), cursor=b"%d" % page, view=20 + page)
    assert sending.state() is SendingState.FULL
    (ahead,) = sending.asked()
    assert isinstance(ahead, AwaitChange)
    assert (ahead.change, ahead.fresh) == (20 + PAGES_UNSETTLED_MAX - 1, True)
    sending.do(sending.sender.feed_moved(ahead, deposited=True))
    assert sending.read().after == b"%d" % (PAGES_UNSETTLED_MAX - 1)


def test_a_change_is_awaited_once() -> None:
    sending = at_end()
    sending.do(sending.sender.asked_for(AskLogs((log_of(0).key,))))
    sending.read_logs(record(0))
    sending.read()
    assert len([each for each in sending.asked() if isinstance(each, AwaitChange)]) == 1


def test_while_something_is_held_back_a_page_without_news_is_not_sent() -> None:
    sending = in_vain()
    sending.ledger.answered(BRINGER, log_of(50), gained=SeqRanges.of(0, 1), now_ms=0)
    sending.sent()
    sending.move(deposited=True)
    sending.read(record(50), cursor=b"middle", view=30, more=True)
    assert sending.offered() == []
    assert sending.read(record(51), cursor=b"later", view=31).after == b"%d" % RELAYS_VAIN
