"""How much is asked of one peer, and what is to be read again before more is."""

from __future__ import annotations

from meshbox.core.ids import BlobClass, LogId, Namespace, node_id_of, parse_author, parse_topic
from meshbox.core.limits import FRAME_BYTES_MAX, WANT_RANGES_MAX, WANT_SEQS_LOG_MAX
from meshbox.core.ranges import EMPTY, SeqRanges
from meshbox.core.session.asking import Asker, want_frames
from meshbox.core.session.frames import Begun, OfferedLog, OfferedRun, Offers, PageRanges, Want
from meshbox.core.session.lanes import Lane
from meshbox.core.session.pacing import SAMPLE_BYTES
from meshbox.core.session.pages import OpenPage, OpenPages
from meshbox.core.wants import WantLedger

PEER, OTHER = node_id_of(b"p" * 32), node_id_of(b"o" * 32)


def log_of(number: int) -> LogId:
    return LogId(Namespace.LOGS, parse_topic("topic"), parse_author(f"author{number}"))


class Asking:
    """An asker, and pages that the peer offered: each of its logs is lacked as offered."""

    def __init__(self) -> None:
        self.ledger = WantLedger()
        self.pages = OpenPages()
        self.asker = Asker(PEER, self.ledger, self.pages)

    def offer(self, number: int, *logs: tuple[int, int, int], fresh: bool = False) -> OpenPage:
        """A page of logs, each with its number, how many blobs it has, and how large these are."""
        offered = tuple(
            OfferedLog(
                log_of(log), (OfferedRun(0, blobs, BlobClass.OPAQUE, blobs * size, size, 0),)
            )
            for log, blobs, size in logs
        )
        page = self.pages.add(Offers(number, offered, b"" if fresh else b"c", fresh))
        page.reading, page.assessed = False, True
        for at, (_, blobs, _) in enumerate(logs):
            page.logs[at].lane = self.asker.lane(page, page.logs[at], SeqRanges.of(0, blobs))
            page.set_open(page.logs[at], SeqRanges.of(0, blobs), first=True)
        return page

    def declare_of_other(self, log: int, blobs: int) -> None:
        """Another peer offers as much of a log."""
        self.ledger.declare(OTHER, log_of(log), SeqRanges.of(0, blobs), now_ms=0)


def test_a_log_is_asked_for_from_its_lowest_number_on_as_far_as_it_may() -> None:
    asking = Asking()
    page = asking.offer(1, (0, WANT_SEQS_LOG_MAX + 5, 1))
    ask = asking.asker.ask(page, 0, now_ms=0)
    assert ask == SeqRanges.of(0, WANT_SEQS_LOG_MAX)
    assert page.short == {0}
    assert asking.asker.is_waiting
    assert asking.asker.to_read(page) == set(), "what is in flight comes first"
    asking.asker.free(page.logs[0], WANT_SEQS_LOG_MAX)
    page.logs[0].asked = EMPTY
    assert not asking.asker.is_waiting
    assert asking.asker.to_read(page) == {0}


def test_what_is_in_flight_by_another_page_is_not_asked_for_again() -> None:
    asking = Asking()
    first, second = asking.offer(1, (0, 2, 1)), asking.offer(2, (0, 3, 1))
    assert asking.asker.ask(first, 0, now_ms=0) == SeqRanges.of(0, 2)
    assert asking.asker.ask(second, 0, now_ms=0) == SeqRanges.single(2)
    assert second.short == {0}


def test_what_comes_by_one_page_makes_the_others_stale() -> None:
    asking = Asking()
    first, second = asking.offer(1, (0, 2, 1), (1, 1, 1)), asking.offer(2, (0, 2, 1))
    done = asking.offer(3, (0, 1, 1))
    done.set_open(done.logs[0], EMPTY)
    asking.asker.came(first.logs[0])
    assert [log.stale for log in (*first.logs, *second.logs, *done.logs)] == [
        False,
        False,
        True,
        False,
    ]
    asking.asker.came(second.logs[0])
    assert first.logs[0].stale
    assert second.logs[0].stale, "until its record is read"


def test_a_stale_log_that_another_peer_is_asked_for_is_read_again() -> None:
    asking = Asking()
    asking.declare_of_other(0, 2)
    assert asking.ledger.claim(OTHER, log_of(0), now_ms=0)
    page = asking.offer(1, (0, 2, 1))
    assert asking.asker.ask(page, 0, now_ms=0) == EMPTY
    assert page.denied == {0}
    assert asking.asker.to_read(page) == set()
    page.logs[0].stale = True
    assert asking.asker.to_read(page) == {0}
    asking.ledger.release(OTHER, log_of(0))
    assert asking.asker.ask(page, 0, now_ms=0) == SeqRanges.of(0, 2)
    assert page.denied == set()


def test_what_was_read_before_something_was_stored_is_read_again() -> None:
    asking = Asking()
    page = asking.offer(1, (0, 2, 1))
    asking.ledger.answered(OTHER, log_of(0), gained=SeqRanges.single(0), now_ms=0)
    assert asking.asker.ask(page, 0, now_ms=0) == EMPTY
    assert (page.short, page.logs[0].stale) == ({0}, True)
    page.gains = asking.ledger.gains
    assert asking.asker.ask(page, 0, now_ms=0) == SeqRanges.of(0, 2)


def test_what_the_line_takes_is_shared_by_the_logs_of_a_page() -> None:
    asking = Asking()
    flight_bytes = asking.asker.flight.bytes
    page = asking.offer(1, *((log, 3, flight_bytes // 4) for log in range(3)))
    asks = [asking.asker.ask(page, at, now_ms=0).count for at in range(3)]
    assert asks == [3, 1, 0]
    assert page.short == {1, 2}
    assert asking.asker.to_read(page) == set()
    asking.asker.free(page.logs[0], 2)
    page.logs[0].asked = SeqRanges.single(2)
    page.set_open(page.logs[0], SeqRanges.single(2))
    assert asking.asker.to_read(page) == {1}, "the lowest that there is room for"
    assert asking.asker.ask(page, 1, now_ms=0).count == 2
    assert page.short == {2}


def test_a_large_blob_is_asked_for_with_a_turn_which_ends_with_it() -> None:
    asking = Asking()
    page = asking.offer(1, (0, 1, FRAME_BYTES_MAX + 1))
    assert page.logs[0].lane is Lane.BULK
    assert asking.asker.ask(page, 0, now_ms=0) == SeqRanges.single(0)
    assert asking.ledger.turns.bytes == FRAME_BYTES_MAX + 1
    after = asking.offer(2, (0, 1, 1))
    assert after.logs[0].lane is Lane.BULK, "what follows it does not overtake it"
    asking.asker.free(page.logs[0], 1)
    assert asking.ledger.turns.bytes == 0


def test_a_fresh_page_asks_for_nothing_of_a_log_of_which_something_is_in_flight() -> None:
    asking = Asking()
    feed = asking.offer(1, (0, 2, 1))
    asking.asker.ask(feed, 0, now_ms=0)
    fresh = asking.offer(2, (0, 3, 1), fresh=True)
    assert asking.asker.ask(fresh, 0, now_ms=0) == EMPTY
    assert fresh.short == {0}
    assert asking.asker.to_read(fresh) == set()


def test_wants_are_split_into_frames_each_with_what_is_begun_of_its_logs() -> None:
    def odd(count: int) -> SeqRanges:
        return SeqRanges((2 * at, 2 * at + 1) for at in range(count))

    half = WANT_RANGES_MAX // 2
    wants = [PageRanges(0, odd(half)), PageRanges(1, odd(half)), PageRanges(2, odd(1))]
    begun = [Begun(place, 0, b"h", 9) for place in (0, 2)]
    assert list(want_frames(7, wants, begun, 500)) == [
        Want(7, tuple(wants[:2]), (begun[0],)),
        Want(7, tuple(wants[2:]), (begun[1],), 500),
    ]
    assert list(want_frames(7, [], [], 500)) == []
    whole = [PageRanges(0, odd(WANT_RANGES_MAX)), PageRanges(1, odd(WANT_RANGES_MAX))]
    assert [len(frame.logs) for frame in want_frames(7, whole, [], 0)] == [1, 1]


def test_what_there_is_no_room_for_is_left_to_other_peers() -> None:
    asking = Asking()
    flight_bytes = asking.asker.flight.bytes
    page = asking.offer(1, *((log, 1, flight_bytes) for log in range(2)))
    for at in range(2):
        asking.asker.ask(page, at, now_ms=0)
    assert page.short == {1}
    asking.declare_of_other(1, 1)
    assert asking.ledger.claim(OTHER, log_of(1), now_ms=0)


def test_others_may_have_a_log_as_soon_as_nothing_of_it_is_in_flight() -> None:
    asking = Asking()
    page = asking.offer(1, (0, 2, 1))
    asking.asker.ask(page, 0, now_ms=0)
    asking.declare_of_other(0, 2)
    asking.asker.declare(log_of(0), now_ms=0)
    assert not asking.ledger.claim(OTHER, log_of(0), now_ms=0)
    page.logs[0].asked = EMPTY
    asking.asker.declare(log_of(0), now_ms=0)
    assert asking.ledger.claim(OTHER, log_of(0), now_ms=0)


def test_the_line_is_measured_while_anything_is_waited_for() -> None:
    asking = Asking()
    flight = asking.asker.flight
    page = asking.offer(1, (0, 1, 1), (1, 1, 1))
    for at in range(2):
        asking.asker.ask(page, at, now_ms=0)
    first_bytes = flight.bytes
    asking.asker.free(page.logs[0], 1)
    flight.came(SAMPLE_BYTES, now_ms=250)
    assert flight.bytes == 2 * first_bytes
    asking.asker.free(page.logs[1], 1)
    flight.came(SAMPLE_BYTES, now_ms=500)
    assert flight.bytes == 2 * first_bytes, "nothing was asked for"


def test_in_a_lane_that_is_full_a_smaller_log_does_not_overtake_and_other_lanes_go_on() -> None:
    asking = Asking()
    flight_bytes = asking.asker.flight.bytes
    sizes = (flight_bytes * 3 // 4, flight_bytes // 2, 1, FRAME_BYTES_MAX + 1)
    page = asking.offer(1, *((log, 1, size) for log, size in enumerate(sizes)))
    asking.asker.ask(page, 0, now_ms=0)
    page.short |= {1, 2, 3}
    assert asking.asker.to_read(page) == {3}
