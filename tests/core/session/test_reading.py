"""One peer's feed settled, input by input; whole sessions are in test_session.py."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from meshbox.core.errors import BlobUnasked, PeerStalled, PromiseBroken
from meshbox.core.ids import BlobClass, LogId, Namespace, node_id_of, parse_author, parse_topic
from meshbox.core.inventory import LogDraft, LogRecord
from meshbox.core.limits import (
    FILLING_GAIN_MS,
    FRAME_BYTES_MAX,
    GONE_PROMISES_MAX,
    WANT_BYTES_MAX,
    WANT_PATIENCE_MS,
    WANT_SEQS_LOG_MAX,
    WANT_STALL_MS,
)
from meshbox.core.ranges import EMPTY, SeqRanges
from meshbox.core.retention import bucket_of
from meshbox.core.session.assembly import content_hash
from meshbox.core.session.beginnings import Beginning, Beginnings
from meshbox.core.session.effects import (
    Commit,
    Committed,
    ReadRecords,
    ReceivedBlob,
    RecordsRead,
    RefillRead,
)
from meshbox.core.session.frames import (
    BlobPart,
    Blobs,
    Gone,
    OfferedLog,
    OfferedRun,
    Offers,
    PageRanges,
    Settled,
    Want,
)
from meshbox.core.session.pacing import FLIGHT_BYTES_FIRST, SAMPLE_MS
from meshbox.core.session.reading import FeedReader
from meshbox.core.topics import ALL_TOPICS
from meshbox.core.wants import WantLedger
from tests.core.session.driving import Driven
from tests.core.session.model import NODE_MS, ORIGIN, RETENTION

PEER, OTHER = node_id_of(b"p" * 32), node_id_of(b"o" * 32)
LARGE_BYTES = 3 * FRAME_BYTES_MAX
BEGUN_MS = 50_000


def log_of(number: int) -> LogId:
    return LogId(Namespace.LOGS, parse_topic("topic"), parse_author(f"author{number}"))


def run(first: int, end: int, *, size_bytes: int = 1) -> OfferedRun:
    return OfferedRun(first, end, BlobClass.OPAQUE, (end - first) * size_bytes, size_bytes, 0)


def part(place: int, seq: int, data: bytes = b"x", *, page: int = 1, offset: int = 0) -> BlobPart:
    """A whole blob; one of `LARGE_BYTES` zeros where `data` is a frame's."""
    whole = bytes(LARGE_BYTES) if len(data) == FRAME_BYTES_MAX else data
    digest = content_hash(whole)
    opaque = BlobClass.OPAQUE
    return BlobPart(page, place, seq, opaque, 77, ORIGIN, digest, len(whole), offset, data)


class Reading(Driven):
    """A reader of one peer's feed, and what it said and asked since it was last looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = WantLedger()
        self.beginnings = Beginnings()
        self.now_ms = BEGUN_MS
        self.floor: int | None = None
        """The lowest bucket that there is room for."""
        self.reader = FeedReader(
            peer=PEER,
            ledger=self.ledger,
            beginnings=self.beginnings,
            carried=ALL_TOPICS,
            now_ms=BEGUN_MS,
        )

    def wanted(self) -> list[tuple[int, int, SeqRanges]]:
        """Page, place and ranges of what the peer was asked for."""
        return [
            (frame.page, place, ranges)
            for frame in self.sent()
            if isinstance(frame, Want)
            for place, ranges in frame.logs
        ]

    def offer(
        self,
        *logs: Sequence[OfferedRun],
        page: int = 1,
        fresh: bool = False,
        answers: bool = False,
    ) -> None:
        """The peer offers logs 0, 1, …; nothing is known of them here."""
        offered = tuple(OfferedLog(log_of(at), tuple(runs)) for at, runs in enumerate(logs))
        cursor = b"" if fresh else b"cursor %d" % page
        frame = Offers(page, offered, cursor, fresh, answers)
        self.do(self.reader.offers(frame, now_ms=self.now_ms))
        self.know()

    def know(self, *records: LogRecord | None) -> None:
        """Answers the reads of records; without `records`, nothing is known of any log."""
        for request in self.asked():
            if isinstance(request, ReadRecords):
                known = records or (None,) * len(request.logs)
                read = RecordsRead(known, NODE_MS, RETENTION, self.floor)
                self.do(self.reader.records_read(request, read, now_ms=self.now_ms))
            else:
                self._asked.append(request)

    def blobs(self, *parts: BlobPart) -> None:
        self.do(self.reader.blobs(Blobs(parts), now_ms=self.now_ms))

    def gone(self, place: int, ranges: SeqRanges, *, page: int = 1) -> None:
        frame = Gone(page, (PageRanges(place, ranges),))
        self.do(self.reader.gone(frame, now_ms=self.now_ms))

    def commit(self, *, duplicates: int = 0) -> list[Commit]:
        """All commits under way become durable; those. Of each so many were held already."""
        commits = [request for request in self.asked() if isinstance(request, Commit)]
        for commit in commits:
            done = Committed(len(commit.blobs) - duplicates, duplicates)
            self.do(self.reader.committed(commit, done, now_ms=self.now_ms))
        return commits

    def pass_ms(self, passed_ms: int) -> None:
        self.now_ms += passed_ms
        self.do(self.reader.tick(self.now_ms))


def test_what_comes_is_committed_with_all_that_came_with_it() -> None:
    reading = Reading()
    reading.offer([run(0, 2)])
    assert reading.wanted() == [(1, 0, SeqRanges.of(0, 2))]
    reading.blobs(part(0, 0, b"one"), part(0, 1, b"two"))
    (commit,) = reading.commit()
    assert commit.blobs == tuple(
        ReceivedBlob(log_of(0), seq, BlobClass.OPAQUE, NODE_MS, 77, ORIGIN, data)
        for seq, data in ((0, b"one"), (1, b"two"))
    )
    assert (commit.cursor, commit.passed, commit.refilled) == (b"cursor 1", False, None)
    assert reading.sent() == [Settled(1)]
    assert (reading.reader.blobs_in, reading.reader.lag) == (2, 0)


@pytest.mark.parametrize("seqs", [(0, 0), (1, 0), (2,)])
def test_what_was_not_asked_for_or_comes_twice_is_a_breach(seqs: tuple[int, ...]) -> None:
    reading = Reading()
    reading.offer([run(0, 2)])
    with pytest.raises(BlobUnasked):
        reading.blobs(*(part(0, seq) for seq in seqs))


def test_a_part_is_not_committed_and_what_comes_with_it_is() -> None:
    reading = Reading()
    reading.offer([run(0, 1, size_bytes=LARGE_BYTES)], [run(0, 1)])
    assert len(reading.wanted()) == 2
    reading.blobs(part(0, 0, bytes(FRAME_BYTES_MAX)), part(1, 0))
    (commit,) = reading.commit()
    assert [(blob.log, blob.seq) for blob in commit.blobs] == [(log_of(1), 0)]
    assert commit.cursor is None
    reading.blobs(part(0, 0, bytes(FRAME_BYTES_MAX), offset=FRAME_BYTES_MAX))
    assert reading.commit() == []
    reading.blobs(part(0, 0, bytes(FRAME_BYTES_MAX), offset=2 * FRAME_BYTES_MAX))
    (last,) = reading.commit()
    assert [len(blob.data) for blob in last.blobs] == [LARGE_BYTES]
    assert last.cursor == b"cursor 1"


def test_credit_is_given_for_parts_and_only_for_these() -> None:
    reading = Reading()
    reading.offer([run(0, 1, size_bytes=LARGE_BYTES)], [run(0, 5, size_bytes=1_000)])
    (want,) = reading.sent()
    assert isinstance(want, Want)
    assert want.credit > 0
    reading.blobs(*(part(1, seq, bytes(1_000)) for seq in range(5)))
    reading.commit()
    assert reading.sent() == []
    reading.blobs(part(0, 0, bytes(FRAME_BYTES_MAX)))
    (more,) = reading.sent()
    assert isinstance(more, Want)
    assert (more.page, more.logs) == (1, ())
    assert more.credit >= FRAME_BYTES_MAX - want.credit


def test_an_owner_that_sends_parts_is_heard() -> None:
    reading = Reading()
    reading.offer([run(0, 1, size_bytes=LARGE_BYTES)])
    reading.ledger.declare(OTHER, log_of(0), SeqRanges.single(0), now_ms=reading.now_ms)
    reading.now_ms += WANT_PATIENCE_MS - 1
    reading.blobs(part(0, 0, bytes(FRAME_BYTES_MAX)))
    reading.now_ms += WANT_PATIENCE_MS - 1
    assert not reading.ledger.claim(OTHER, log_of(0), now_ms=reading.now_ms)
    reading.now_ms += 1
    assert reading.ledger.claim(OTHER, log_of(0), now_ms=reading.now_ms)


def test_what_is_gone_is_settled_and_holds_nothing_back() -> None:
    reading = Reading()
    reading.offer([run(0, 3)])
    assert reading.ledger.stop_below(log_of(0), above=None, now_ms=reading.now_ms) == 0
    reading.gone(0, SeqRanges.of(0, 2))
    assert reading.ledger.stop_below(log_of(0), above=None, now_ms=reading.now_ms) is None
    assert reading.ledger.lacking(log_of(0)) == SeqRanges.single(2)
    assert reading.commit() == []
    reading.gone(0, SeqRanges.single(2))
    (commit,) = reading.commit()
    assert (commit.blobs, commit.cursor) == ((), b"cursor 1")
    assert reading.sent()[-1] == Settled(1)
    assert log_of(0) not in reading.ledger


def test_gone_names_what_was_asked_for() -> None:
    reading = Reading()
    reading.offer([run(0, 3)])
    with pytest.raises(BlobUnasked):
        reading.gone(0, SeqRanges.of(2, 4))


def test_what_was_gone_is_not_asked_for_again_whatever_a_record_says() -> None:
    reading = Reading()
    first = SeqRanges.of(0, WANT_SEQS_LOG_MAX)
    reading.offer([run(0, WANT_SEQS_LOG_MAX + 1)])
    assert reading.wanted() == [(1, 0, first)]
    reading.gone(0, SeqRanges.single(0))
    reading.know()
    reading.gone(0, SeqRanges.single(1))
    reading.know()
    assert reading.wanted() == [(1, 0, SeqRanges.single(WANT_SEQS_LOG_MAX))]
    assert reading.reader.lag == WANT_SEQS_LOG_MAX - 1


def test_a_part_of_what_is_gone_makes_way_for_another() -> None:
    reading = Reading()
    reading.offer([run(0, 2, size_bytes=LARGE_BYTES)])
    reading.blobs(part(0, 0, bytes(FRAME_BYTES_MAX)))
    reading.gone(0, SeqRanges.single(0))
    reading.know()
    reading.blobs(part(0, 1, bytes(FRAME_BYTES_MAX)))
    assert reading.reader.lag == 1


def test_so_many_promises_may_be_broken_until_something_comes() -> None:
    reading = Reading()
    odd = [run(seq, seq + 1) for seq in range(0, 2 * WANT_SEQS_LOG_MAX, 2)]
    logs = GONE_PROMISES_MAX // WANT_SEQS_LOG_MAX
    reading.offer(*[odd] * logs, [run(0, 1)])
    assert [place for _, place, _ in reading.wanted()] == list(range(logs))
    for place in range(logs):
        reading.gone(place, SeqRanges((one.first, one.end) for one in odd))
    reading.know()
    assert reading.wanted() == [(1, logs, SeqRanges.single(0))]
    with pytest.raises(PromiseBroken):
        reading.gone(logs, SeqRanges.single(0))


def test_what_is_being_committed_is_not_asked_for_by_another_page() -> None:
    reading = Reading()
    reading.offer([run(0, 2)])
    assert reading.wanted() == [(1, 0, SeqRanges.of(0, 2))]
    reading.blobs(part(0, 0))
    reading.blobs(part(0, 1))
    reading.offer([run(0, 3)], page=2)
    assert reading.wanted() == [(2, 0, SeqRanges.single(2))]


def test_pages_are_settled_in_their_order_and_fresh_ones_by_themselves() -> None:
    reading = Reading()
    reading.offer([run(0, 1)])
    reading.offer([run(5, 6)], page=2)
    reading.offer([], [run(0, 1)], page=3, fresh=True)
    reading.commit()
    assert reading.wanted()[0] == (1, 0, SeqRanges.single(0))
    reading.blobs(part(1, 0, page=3))
    assert [commit.cursor for commit in reading.commit()] == [None]
    assert reading.sent() == [Settled(3)]
    reading.know()
    reading.gone(0, SeqRanges.single(0))
    assert [commit.cursor for commit in reading.commit()] == [b"cursor 1"]
    assert Settled(1) in reading.sent()


def test_a_log_that_another_peer_is_asked_for_waits_until_the_ledger_wakes_or_a_while() -> None:
    reading = Reading()
    reading.ledger.declare(OTHER, log_of(0), SeqRanges.single(0), now_ms=reading.now_ms)
    assert reading.ledger.claim(OTHER, log_of(0), now_ms=reading.now_ms)
    reading.offer([run(0, 1)])
    assert reading.wanted() == []
    reading.pass_ms(WANT_PATIENCE_MS - 1)
    assert reading.asked() == []
    reading.do(reading.reader.wake())
    assert [type(request) for request in reading._asked] == [ReadRecords]
    reading.know()
    assert reading.wanted() == []
    reading.pass_ms(1)
    reading.know()
    assert reading.wanted() == [(1, 0, SeqRanges.single(0))]


def test_a_peer_that_sends_nothing_of_what_was_asked_for_is_given_up() -> None:
    reading = Reading()
    reading.pass_ms(WANT_STALL_MS + 1)
    reading.offer([run(0, 2)])
    reading.pass_ms(WANT_STALL_MS)
    reading.blobs(part(0, 0))
    reading.commit()
    reading.pass_ms(WANT_STALL_MS)
    reading.gone(0, SeqRanges.single(1))
    reading.commit()
    reading.pass_ms(10 * WANT_STALL_MS)
    reading.offer([run(0, 1)], page=2)
    with pytest.raises(PeerStalled):
        reading.pass_ms(WANT_STALL_MS + 1)


def test_when_the_session_ends_what_was_wanted_returns_to_the_others() -> None:
    reading = Reading()
    reading.offer([run(0, 3)], [run(0, 1)])
    reading.ledger.declare(OTHER, log_of(0), SeqRanges.of(0, 3), now_ms=reading.now_ms)
    reading.blobs(part(0, 0, b"four"))
    turns = reading.ledger.turns
    assert (reading.reader.bytes_uncommitted, turns.bytes_uncommitted) == (4, 4)
    reading.reader.close()
    assert turns.bytes_uncommitted == 0
    assert reading.ledger.take_woken() == {OTHER}
    assert reading.ledger.lacking(log_of(0)) == SeqRanges.of(0, 3)
    assert reading.ledger.lacking(log_of(1)) == EMPTY
    assert reading.reader.lag == 0


def held(number: int, *seqs: int) -> LogRecord:
    draft = LogDraft(LogRecord(log_of(number), 0))
    for seq in seqs:
        draft.add(seq, blob_class=BlobClass.OPAQUE, bucket=bucket_of(NODE_MS), size_bytes=1)
    return draft.finish(1)


def test_what_is_here_is_settled_without_a_word() -> None:
    reading = Reading()
    offered = OfferedLog(log_of(0), (run(0, 2),))
    reading.do(reading.reader.offers(Offers(1, (offered,), b"c"), now_ms=reading.now_ms))
    reading.know(held(0, 0, 1))
    assert reading.sent() == []
    assert [commit.cursor for commit in reading.commit()] == [b"c"]
    assert reading.sent() == [Settled(1)]


def test_credit_is_given_seldom() -> None:
    reading = Reading()
    reading.offer([run(0, 1, size_bytes=LARGE_BYTES)])
    reading.sent()
    small = part(0, 0, bytes(FRAME_BYTES_MAX))._replace(data=bytes(1_000))
    reading.blobs(small)
    assert reading.sent() == []


def test_what_is_gone_is_a_sign_of_life() -> None:
    reading = Reading()
    reading.offer([run(0, 1)], [run(0, 1)])
    reading.pass_ms(WANT_STALL_MS)
    reading.gone(0, SeqRanges.single(0))
    reading.pass_ms(WANT_STALL_MS)
    with pytest.raises(PeerStalled):
        reading.pass_ms(1)


def test_what_came_in_several_frames_is_not_asked_for_again() -> None:
    reading = Reading()
    reading.offer([run(0, WANT_SEQS_LOG_MAX + 2)])
    reading.wanted()
    for seq in range(WANT_SEQS_LOG_MAX):
        reading.blobs(part(0, seq))
    reading.commit()
    for _ in ("read while more was stored", "read again"):
        reading.know(LogRecord(log_of(0), 0))
    assert reading.wanted() == [(1, 0, SeqRanges.of(WANT_SEQS_LOG_MAX, WANT_SEQS_LOG_MAX + 2))]


def test_what_was_stored_is_counted_apart_from_what_was_held_already() -> None:
    reading = Reading()
    reading.offer([run(0, 6)])
    for first in (0, 3):
        reading.blobs(*(part(0, seq) for seq in range(first, first + 3)))
        reading.commit(duplicates=1)
    assert (reading.reader.blobs_in, reading.reader.duplicates_in) == (4, 2)


def test_offers_blobs_and_commits_are_progress() -> None:
    reading = Reading()
    assert reading.reader.progress_ms == BEGUN_MS
    for step in (
        lambda: reading.offer([run(0, 1)]),
        lambda: reading.blobs(part(0, 0)),
        lambda: reading.commit(),
    ):
        reading.pass_ms(1)
        assert reading.reader.progress_ms == reading.now_ms - 1
        step()
        assert reading.reader.progress_ms == reading.now_ms


def test_what_is_stored_of_a_log_frees_it_for_others_though_its_page_is_not_settled() -> None:
    reading = Reading()
    reading.offer([run(0, 1)], [run(0, 1)])
    reading.ledger.declare(OTHER, log_of(0), SeqRanges.of(0, 3), now_ms=reading.now_ms)
    reading.blobs(part(0, 0))
    assert reading.ledger.take_woken() == frozenset()
    reading.commit()
    assert reading.ledger.take_woken() == {OTHER}
    assert reading.ledger.lacking(log_of(0)) == SeqRanges.of(1, 3)


def test_a_log_of_which_something_is_stored_holds_fetches_back_for_longer() -> None:
    reading = Reading()
    reading.offer([run(0, 2)])
    reading.pass_ms(FILLING_GAIN_MS)
    reading.blobs(part(0, 0))
    reading.commit()
    reading.pass_ms(1)
    assert reading.ledger.stop_below(log_of(0), above=None, now_ms=reading.now_ms) == 1


def test_more_is_looked_for_once_what_came_is_stored() -> None:
    reading = Reading()
    size_bytes = FLIGHT_BYTES_FIRST * 3 // 4
    reading.offer(*[[run(0, 1, size_bytes=size_bytes)]] * 3)
    assert reading.wanted() == [(1, 0, SeqRanges.single(0))]
    reading.pass_ms(SAMPLE_MS)
    reading.blobs(part(0, 0, bytes(size_bytes)))
    reading.pass_ms(1)
    assert [type(request) for request in reading._asked] == [Commit]
    reading.commit()
    reading.know()
    assert [place for _, place, _ in reading.wanted()] == [1, 2]


def test_what_does_not_fit_together_is_asked_for_anew_and_waited_for_until_it_is_stored() -> None:
    reading = Reading()
    lie = bytearray(b"\1" * FRAME_BYTES_MAX)
    photo = content_hash(bytes(LARGE_BYTES))
    begun = Beginning(photo, LARGE_BYTES, frozenset([OTHER]), lie)
    reading.beginnings.keep(log_of(0), 0, begun, now_ms=BEGUN_MS)
    reading.offer([run(0, 1, size_bytes=LARGE_BYTES)])
    offsets = [at * FRAME_BYTES_MAX for at in range(3)]
    for offset in offsets[1:]:
        reading.blobs(part(0, 0, bytes(FRAME_BYTES_MAX), offset=offset))
    reading.wanted()
    reading.know()
    assert reading.wanted() == [(1, 0, SeqRanges.single(0))]
    for offset in offsets:
        reading.blobs(part(0, 0, bytes(FRAME_BYTES_MAX), offset=offset))
    reading.commit()
    reading.pass_ms(WANT_STALL_MS + 1)
    assert reading.sent()[-1] == Settled(1)


NO_ROOM = bucket_of(NODE_MS) + 1
"""The lowest bucket that there is room for, when there is none for what is offered here."""


def test_what_there_was_no_room_for_is_told_once_with_the_cursor_behind_it() -> None:
    reading = Reading()
    reading.offer([run(0, 1)], [run(0, 1)])
    reading.floor = NO_ROOM
    reading.offer([run(5, 6)], [], page=2)
    reading.floor = None
    for place in range(2):
        reading.blobs(part(place, 0))
    reading.offer([run(7, 8)], page=3)
    reading.blobs(part(0, 7, page=3))
    assert [(commit.cursor, commit.passed) for commit in reading.commit()] == [
        (None, False),
        (b"cursor 2", True),
        (b"cursor 3", False),
    ]


def test_what_there_was_no_room_for_is_told_once_with_the_answer_to_what_was_asked_for() -> None:
    reading = Reading()
    told = []
    for page, through, floor in ((1, None, NO_ROOM), (2, b"half", None), (3, b"all", None)):
        if through:
            read = RefillRead((log_of(0).key,), through)
            reading.do(reading.reader.refill_read(read))
        reading.floor = floor
        reading.offer([run(page, page + 1)], page=page, answers=bool(through))
        if floor is None:
            reading.blobs(part(0, page, page=page))
        told += [(commit.refilled, commit.refill_passed) for commit in reading.commit()]
    assert told == [(None, False), (b"half", True), (b"all", False)]


def test_the_beginning_of_what_is_gone_makes_way_for_that_of_another() -> None:
    reading = Reading()
    photo = content_hash(bytes(LARGE_BYTES))
    for number in range(2):
        data = bytearray(2 * FRAME_BYTES_MAX)
        begun = Beginning(photo, LARGE_BYTES, frozenset([OTHER]), data)
        reading.beginnings.keep(log_of(number), 0, begun, now_ms=BEGUN_MS)
    reading.offer(*[[run(0, 1, size_bytes=LARGE_BYTES)]] * 2)
    (want,) = reading.sent()
    assert isinstance(want, Want)
    assert [begun.log for begun in want.begun] == [0]
    reading.gone(0, SeqRanges.single(0))
    reading.know()
    (want,) = reading.sent()
    assert isinstance(want, Want)
    assert [begun.log for begun in want.begun] == [1]


def test_all_that_is_not_committed_is_counted() -> None:
    reading = Reading()
    reading.offer([run(0, 2)])
    reading.blobs(part(0, 0, b"one"))
    reading.blobs(part(0, 1, b"seven"))
    assert reading.reader.bytes_uncommitted == 8
    reading.commit()
    assert reading.reader.bytes_uncommitted == 0


@pytest.mark.parametrize("is_idle", [True, False])
def test_what_is_new_counts_when_nothing_else_was_waited_for(*, is_idle: bool) -> None:
    reading = Reading()
    page = 1
    if not is_idle:
        reading.offer([], [run(0, 1)])
        page = 2
    for seq, took_ms in enumerate((1, 5_000)):
        reading.offer([run(seq, seq + 1)], page=page + seq)
        reading.pass_ms(took_ms)
        reading.blobs(part(0, seq, page=page + seq))
        reading.commit()
    yields = reading.ledger.yielding.backlog_bytes < WANT_BYTES_MAX
    assert yields == is_idle


def test_to_be_asked_for_more_is_no_sign_of_life() -> None:
    reading = Reading()
    reading.offer([run(0, 1)])
    reading.pass_ms(WANT_STALL_MS)
    reading.offer([], [run(0, 1)], page=2)
    with pytest.raises(PeerStalled):
        reading.pass_ms(1)


def test_the_first_want_gives_credit_whatever_was_offered_before() -> None:
    reading = Reading()
    reading.offer([])
    reading.offer([run(0, 1)], page=2)
    (want,) = reading.sent()
    assert isinstance(want, Want)
    assert want.credit > 0


def test_all_that_was_begun_of_what_is_wanted_is_named_at_once() -> None:
    reading = Reading()
    for number in range(2):
        begun = Beginning(content_hash(b"photo"), 5, frozenset([OTHER]), bytearray(b"ph"))
        reading.beginnings.keep(log_of(number), 0, begun, now_ms=BEGUN_MS)
    reading.offer(*[[run(0, 1, size_bytes=5)]] * 2)
    (want,) = reading.sent()
    assert isinstance(want, Want)
    assert [(begun.log, begun.offset) for begun in want.begun] == [(0, 2), (1, 2)]
