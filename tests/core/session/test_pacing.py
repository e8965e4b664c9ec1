"""What is in flight fits the line: little on a slow one, everything at once on a LAN."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.ids import BlobClass, LogId, Namespace, parse_author, parse_topic
from meshbox.core.limits import FRAME_BYTES_MAX, KIB, WANT_BYTES_MAX
from meshbox.core.session.frames import Blobs, Want
from meshbox.core.session.pacing import (
    FLIGHT_BYTES_FIRST,
    FLIGHT_BYTES_MIN,
    FLIGHT_MS,
    FRAME_BYTES_MIN,
    SAMPLE_BYTES,
    SAMPLE_MS,
    Credit,
    FlightSize,
    frame_bytes,
)
from meshbox.core.session.serving import FRAMES_UNSENT_MAX
from tests.core.session.model import ModelNode, Pair

LOG = LogId(Namespace.LOGS, parse_topic("topic"), parse_author("author"))


def flight_after(*, bytes_per_s: int, rtt_ms: int, rounds: int) -> int:
    """What is in flight at last on a line, when as much as may be is asked for each time."""
    flight, now_ms = FlightSize(), 0
    for _ in range(rounds):
        asked, came = flight.bytes, 0
        flight.asked(now_ms=now_ms)
        now_ms += rtt_ms
        while came < asked:
            part = min(4 * KIB, asked - came)
            now_ms += part * 1_000 // bytes_per_s
            came += part
            flight.came(part, now_ms=now_ms)
        flight.answered()
        now_ms += 60_000
    return flight.bytes


def test_on_a_slow_line_little_is_in_flight() -> None:
    assert flight_after(bytes_per_s=8_000, rtt_ms=2_000, rounds=5) <= 20_000


def test_on_a_lan_all_that_may_be_is_soon() -> None:
    assert flight_after(bytes_per_s=20_000_000, rtt_ms=1, rounds=40) == WANT_BYTES_MAX


def test_on_a_long_and_wide_line_it_grows_to_what_the_line_takes() -> None:
    assert flight_after(bytes_per_s=1_000_000, rtt_ms=1_000, rounds=10) > 1_000_000


def test_what_came_at_once_after_a_lost_packet_is_not_taken_for_the_line() -> None:
    flight, now_ms = FlightSize(), 0
    flight.asked(now_ms=now_ms)
    for wait_ms in [500] * 20 + [5_000] + [20] * 9 + [500] * 4:
        now_ms += wait_ms
        flight.came(4_000, now_ms=now_ms)
        assert flight.bytes <= 2 * FLIGHT_MS * 8


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**5)), max_size=20))
def test_it_has_bounds_and_rest_is_not_counted(came: list[tuple[int, int]]) -> None:
    flight, rested, now_ms = FlightSize(), FlightSize(), 0
    for size_bytes, took_ms in came:
        for each in (flight, rested):
            each.asked(now_ms=now_ms)
            each.came(size_bytes, now_ms=now_ms + took_ms)
        now_ms += took_ms
        rested.answered()
        assert FLIGHT_BYTES_MIN <= flight.bytes <= WANT_BYTES_MAX
        assert flight.bytes == rested.bytes


def grown(flight: FlightSize, *, to_bytes: int) -> int:
    """When samples of the most that a line can bring have let `to_bytes` be in flight."""
    now_ms = 0
    flight.asked(now_ms=now_ms)
    while flight.bytes < to_bytes:
        now_ms += SAMPLE_MS
        flight.came(WANT_BYTES_MAX, now_ms=now_ms)
    return now_ms


def test_what_is_in_flight_is_as_much_as_came_in_so_long_of_late() -> None:
    flight = FlightSize()
    now_ms = grown(flight, to_bytes=WANT_BYTES_MAX)
    flight.came(50_000, now_ms=now_ms + SAMPLE_MS - 1)
    assert flight.bytes == WANT_BYTES_MAX
    flight.came(50_000, now_ms=now_ms + SAMPLE_MS)
    assert flight.bytes == 100_000 * FLIGHT_MS // SAMPLE_MS
    flight.came(20_000, now_ms=now_ms + 2 * SAMPLE_MS)
    assert flight.bytes == 20_000 * FLIGHT_MS // SAMPLE_MS


def test_much_is_a_sample_however_soon_it_came() -> None:
    flight = FlightSize()
    flight.asked(now_ms=0)
    flight.came(SAMPLE_BYTES - 1, now_ms=200)
    assert flight.bytes == FLIGHT_BYTES_FIRST
    flight.came(1, now_ms=200)
    assert flight.bytes == 2 * FLIGHT_BYTES_FIRST


def test_what_was_not_waited_for_says_nothing() -> None:
    flight = FlightSize()
    flight.came(10**6, now_ms=500)
    flight.asked(now_ms=1_000)
    flight.answered()
    flight.came(10**6, now_ms=2_000)
    assert flight.bytes == FLIGHT_BYTES_FIRST


def test_asking_for_more_meanwhile_begins_nothing_anew() -> None:
    flight = FlightSize()
    flight.asked(now_ms=0)
    flight.asked(now_ms=SAMPLE_MS - 1)
    flight.came(WANT_BYTES_MAX, now_ms=SAMPLE_MS)
    assert flight.bytes == 2 * FLIGHT_BYTES_FIRST


def test_a_credit_is_half_of_the_flight_and_given_when_half_of_it_is_used() -> None:
    credit = Credit()
    assert credit.give(100_000) == 50_000
    credit.came(24_999)
    assert credit.give(100_000) == 0
    credit.came(1)
    assert credit.give(100_000) == 25_000
    assert credit.give(100_000) == 0


def test_a_frame_is_half_a_credit() -> None:
    assert frame_bytes(2 * FRAME_BYTES_MIN + 2) == FRAME_BYTES_MIN + 1


@given(st.integers(0, WANT_BYTES_MAX))
def test_frames_have_bounds(credit: int) -> None:
    assert FRAME_BYTES_MIN <= frame_bytes(credit) <= FRAME_BYTES_MAX


@given(st.lists(st.tuples(st.integers(0, 50_000), st.integers(1, WANT_BYTES_MAX)), max_size=30))
def test_a_sender_is_never_left_without_credit(steps: list[tuple[int, int]]) -> None:
    credit, allowed = Credit(), 0
    for part_bytes, flight_bytes in steps:
        allowed += credit.give(flight_bytes)
        if allowed > 0:
            allowed -= part_bytes
            credit.came(part_bytes)
    assert credit.give(FLIGHT_BYTES_FIRST) + allowed > 0


def test_parts_wait_for_credit() -> None:
    left, reader = ModelNode(1), ModelNode(2)
    left.put(LOG, 0, bytes(1_000_000), BlobClass.OPAQUE)
    pair = Pair(left, reader)
    most = sent = given_bytes = 0
    while pair.step():
        frames = [frame for frame in pair.sides[1].sent if isinstance(frame, Want)]
        given_bytes = sum(frame.credit for frame in frames)
        blobs = [frame for frame in pair.sides[0].sent if isinstance(frame, Blobs)]
        sent = sum(len(part.data) for frame in blobs for part in frame.parts)
        most = max(most, sent - given_bytes)
    assert sent == 1_000_000
    assert most < FRAMES_UNSENT_MAX * FRAME_BYTES_MAX
    assert reader.blobs == left.blobs
    assert FLIGHT_MS > 2_000
