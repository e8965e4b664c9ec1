"""Sessions face to face: whatever the order of events, both ends end up the same."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshbox.core.address import Endpoint
from meshbox.core.errors import FrameUnexpected, PeerEnded, PeerLost
from meshbox.core.ids import BlobClass, LogId, Namespace, node_id_of, parse_author, parse_topic
from meshbox.core.limits import (
    CURSOR_OWED_MS,
    FRAME_BYTES_MAX,
    FRESH_AFTER_MS,
    FRESH_SEQS_LOG_MAX,
    HANDSHAKE_MS_MAX,
    PAGE_LOGS_MAX,
    PAGES_UNSETTLED_MAX,
    SKETCH_SYMBOLS_MAX,
    WANT_BYTES_MAX,
    WANT_PATIENCE_MS,
    WANT_SEQS_LOG_MAX,
    WANT_SEQS_MAX,
    WANT_STALL_MS,
)
from meshbox.core.ranges import SEQ_END, SeqRanges
from meshbox.core.reconcile import SYMBOL_BYTES, Digest
from meshbox.core.session.effects import Finish, ReadRecords, Request, Send
from meshbox.core.session.frames import (
    Addresses,
    AskDifference,
    AskLogs,
    AskSketch,
    BlobPart,
    Blobs,
    Difference,
    End,
    Frame,
    Gone,
    OfferedLog,
    OfferedRun,
    Offers,
    PageRanges,
    PeerAt,
    Proof,
    Resume,
    Settled,
    Sketch,
    Want,
)
from meshbox.core.topics import OwnTopics
from meshbox.core.yielding import BACKLOG_BYTES_MIN, YIELD_REST_MS
from tests.core.session.model import ORIGIN, ModelNode, Pair, Side, blobs_sent


def log_of(number: int) -> LogId:
    return LogId(Namespace.LOGS, parse_topic(f"topic{number % 3}"), parse_author(f"a{number}"))


held = st.dictionaries(
    st.tuples(st.integers(0, 5), st.integers(0, 12)), st.integers(0, 400), max_size=30
)


def fill(node: ModelNode, blobs: dict[tuple[int, int], int], *, salt: bytes = b"") -> None:
    for (number, seq), size in blobs.items():
        node.put(log_of(number), seq, salt + b"x" * size, BlobClass.OPAQUE)


@given(held, held, st.integers(0, 2**32))
def test_both_hold_the_union_and_nothing_goes_twice(
    left_blobs: dict[tuple[int, int], int], right_blobs: dict[tuple[int, int], int], seed: int
) -> None:
    left, right = ModelNode(1), ModelNode(2)
    fill(left, left_blobs)
    fill(right, right_blobs)
    pair = Pair(left, right, seed=seed)
    pair.run()
    assert set(left.blobs) == set(right.blobs)
    assert len(left.blobs) == len(left_blobs | right_blobs)
    assert len(left.received) == len(right_blobs.keys() - left_blobs.keys())
    assert len(right.received) == len(left_blobs.keys() - right_blobs.keys())
    assert all(side.session.pages_unsettled == 0 for side in pair.sides)
    assert all(side.session.lag == 0 for side in pair.sides)


def test_where_others_are_is_told_to_the_shell() -> None:
    pair, answering = opened()
    peers = (PeerAt(node_id_of(b"9" * 32), Endpoint("10.0.0.9", 3001)),)
    dialling = pair.sides[0]
    dialling.do(dialling.session.tell(Addresses(peers)))
    pair.run()
    assert answering.told == list(peers)
    answering.do(answering.session.close("node.stopping"))
    assert answering.session.tell(Addresses(peers)) == []


def test_who_does_not_hear_of_others_is_not_told() -> None:
    deaf = ModelNode(2)
    deaf.hears = False
    pair = Pair(ModelNode(1), deaf)
    dialling, answering = pair.sides
    none = Addresses(())
    assert dialling.session.tell(none) == []
    pair.run()
    assert dialling.session.tell(none) == []
    assert answering.session.tell(none) != []


def test_a_second_ask_before_the_answer_ends_the_session() -> None:
    _, side = opened()
    for _ in range(2):
        side.do(side.session.receive(AskLogs((log_of(0).key,)), now_ms=1_000))
    assert side.finished == "frame.unexpected"


@given(held, st.integers(0, 2**32), st.booleans())
def test_what_was_lost_comes_back_when_it_is_asked_for_by_name(
    blobs: dict[tuple[int, int], int], seed: int, live: bool
) -> None:
    """It is in no page that would be shown again, and one side may think that the other has it."""
    left, right = ModelNode(1), ModelNode(2)
    fill(left, blobs)
    Pair(left, right, seed=seed).run()
    named = [log_of(number).key for number in range(6)]
    pair = Pair(left, right, seed=seed + 1)
    if live:
        pair.run()
    for log, seq in list(right.blobs):
        right.lose(log, seq)
    right.refill[left.node_id] = list(named)
    if live:
        left.put(log_of(5), 99, b"new", BlobClass.OPAQUE)
    pair.run()
    assert right.blobs == left.blobs
    assert not right.refill[left.node_id]
    assert all(side.session.pages_unsettled == 0 for side in pair.sides)


@given(held, st.integers(0, 2**32))
def test_what_was_offered_and_lost_is_told_when_somebody_brings_it_later(
    blobs: dict[tuple[int, int], int], seed: int
) -> None:
    """Nobody had it when it was asked for by name, in the session in which it was offered."""
    left, right = ModelNode(1), ModelNode(2)
    fill(left, blobs)
    pair = Pair(left, right, seed=seed)
    pair.rest()
    lost = dict(left.blobs)
    for log, seq in lost:
        left.lose(log, seq)
        right.lose(log, seq)
    left.refill[right.node_id] = list({log.key for log, _ in lost})
    pair.rest()
    assert left.blobs == right.blobs == {}
    for (log, seq), data in lost.items():
        right.put(log, seq, data, BlobClass.OPAQUE)
    pair.rest()
    assert left.blobs == right.blobs == lost


@given(held, held, st.integers(0, 2**32), st.integers(0, 200))
def test_a_cut_at_any_step_loses_and_repeats_nothing_stored(
    first: dict[tuple[int, int], int], later: dict[tuple[int, int], int], seed: int, steps: int
) -> None:
    left, right = ModelNode(1), ModelNode(2)
    fill(left, first)
    cut = Pair(left, right, seed=seed)
    for _ in range(steps):
        cut.step()
    for side in cut.sides:
        side.do(side.session.close("node.stopping"))
        assert not any(side.node.ledger.lacking(log_of(number)) for number in range(6))
    stored_before = len(right.received)
    fill(left, later)
    Pair(left, right, seed=seed + 1).run()
    assert set(right.blobs) == set(left.blobs)
    assert len(right.received) - stored_before == len(left.blobs) - stored_before


@given(held, st.integers(0, 2**32))
def test_an_honoured_cursor_repeats_no_offer(blobs: dict[tuple[int, int], int], seed: int) -> None:
    left, right = ModelNode(1), ModelNode(2)
    fill(left, blobs)
    Pair(left, right, seed=seed).run()
    again = Pair(left, right, seed=seed)
    again.run()
    offered = [frame for frame in again.sides[0].sent if isinstance(frame, Offers)]
    assert offered == []


@given(held, st.integers(0, 2**32))
def test_what_came_from_a_peer_is_not_offered_to_it(
    blobs: dict[tuple[int, int], int], seed: int
) -> None:
    left, right = ModelNode(1), ModelNode(2)
    fill(left, blobs)
    pair = Pair(left, right, seed=seed)
    pair.rest()
    assert set(right.blobs) == set(left.blobs)
    assert [f.logs for f in pair.sides[1].sent if isinstance(f, Offers) and f.logs] == []
    again = Pair(left, right, seed=seed)
    again.rest()
    assert [f for side in again.sides for f in side.sent if isinstance(f, Offers)] == []
    assert all(side.session.is_settled for side in again.sides)


def test_a_cursor_that_is_owed_goes_out_once_in_a_while() -> None:
    left, right = ModelNode(1), ModelNode(2)
    pair = Pair(left, right)
    pair.rest()
    before = len([f for f in pair.sides[1].sent if isinstance(f, Offers)])
    for seq in range(8 * CURSOR_OWED_MS // 250):
        left.put(log_of(0), seq, b"x", BlobClass.OPAQUE)
        pair.run()
        pair.tick(250)
    pair.rest()
    owed = [f for f in pair.sides[1].sent if isinstance(f, Offers)][before:]
    assert {frame.logs for frame in owed} == {()}
    assert len(owed) <= 8
    assert owed[-1].cursor == b"%d" % right.change


def test_what_a_third_brought_is_offered_beside_what_the_peer_has() -> None:
    left, right, third = ModelNode(1), ModelNode(2), ModelNode(3)
    pair = Pair(left, right)
    pair.rest()
    left.put(log_of(0), 0, b"of left", BlobClass.OPAQUE)
    pair.rest()
    third.put(log_of(0), 1, b"of third", BlobClass.OPAQUE)
    Pair(right, third).rest()
    pair.rest()
    assert left.blobs == right.blobs == third.blobs


@given(held, st.lists(st.tuples(st.integers(0, 5), st.integers(0, 40)), max_size=20))
def test_live_changes_follow(
    blobs: dict[tuple[int, int], int], later: list[tuple[int, int]]
) -> None:
    left, right = ModelNode(1), ModelNode(2)
    fill(left, blobs)
    pair = Pair(left, right)
    pair.run()
    for number, seq in later:
        left.put(log_of(number), seq, b"new", BlobClass.OPAQUE)
        pair.step()
    pair.run()
    assert set(right.blobs) == set(left.blobs)
    assert len(right.received) == len(right.blobs)


@settings(max_examples=25)
@given(held, st.data())
def test_what_went_away_meanwhile_is_gone_and_settled(
    blobs: dict[tuple[int, int], int], data: st.DataObject
) -> None:
    left, right = ModelNode(1), ModelNode(2)
    fill(left, blobs)
    pair = Pair(left, right, seed=data.draw(st.integers(0, 999)))
    for _ in range(data.draw(st.integers(0, 60))):
        pair.step()
    lost = data.draw(st.sets(st.sampled_from(sorted(left.blobs)))) if left.blobs else set()
    for log, seq in lost:
        left.lose(log, seq)
    pair.run()
    assert set(left.blobs) <= set(right.blobs)
    assert pair.sides[0].session.pages_unsettled == 0


def test_many_logs_go_by_pages_and_long_logs_by_windows() -> None:
    left, right = ModelNode(1), ModelNode(2)
    for number in range(PAGE_LOGS_MAX * 2 + 5):
        left.put(log_of(number), 0, b"x", BlobClass.OPAQUE)
    for seq in range(WANT_SEQS_LOG_MAX * 2 + 5):
        left.put(log_of(0), seq, b"y", BlobClass.OPAQUE)
    pair = Pair(left, right)
    pair.run()
    assert set(right.blobs) == set(left.blobs)
    assert len(right.received) == len(right.blobs)
    wants = [frame for frame in pair.sides[1].sent if isinstance(frame, Want)]
    assert max(entry.ranges.count for want in wants for entry in want.logs) == WANT_SEQS_LOG_MAX


@pytest.mark.parametrize("size", [FRAME_BYTES_MAX, FRAME_BYTES_MAX + 1, 5 * FRAME_BYTES_MAX - 7])
def test_a_large_blob_goes_in_parts(size: int) -> None:
    left, right = ModelNode(1), ModelNode(2)
    data = bytes(range(251)) * (size // 251 + 1)
    left.put(log_of(0), 0, b"before", BlobClass.OPAQUE)
    left.put(log_of(0), 1, data[:size], BlobClass.OPAQUE)
    left.put(log_of(0), 2, b"after", BlobClass.OPAQUE)
    pair = Pair(left, right)
    pair.run()
    assert right.blobs == left.blobs
    assert [seq for _, seq in right.received] == [0, 1, 2]
    assert len(blobs_sent(pair.sides[0])) == 3


@pytest.mark.parametrize(("seed", "logs"), [(1, 200), (2, 300), (3, 600)])
def test_what_is_new_passes_a_backlog(seed: int, logs: int) -> None:
    """Whether the backlog fits a page, the open pages, or neither."""
    left, right = ModelNode(1), ModelNode(2)
    size = FRAME_BYTES_MAX // 16
    blobs = 6 * WANT_BYTES_MAX // size // logs
    for number in range(1_000, 1_000 + logs):
        for seq in range(blobs):
            left.put(log_of(number), seq, bytes(size), BlobClass.OPAQUE)
    pair = Pair(left, right, seed=seed)
    while len(right.blobs) < 10:
        assert pair.step()
    left.put(log_of(0), 0, b"new", BlobClass.OPAQUE)
    while (log_of(0), 0) not in right.blobs:
        assert pair.step()
    assert len(right.blobs) * size < WANT_BYTES_MAX
    pair.rest()
    assert set(right.blobs) == set(left.blobs)
    assert len(right.received) == len(right.blobs)


def test_what_came_on_a_fresh_page_holds_no_fetch_back_for_the_page_behind() -> None:
    left, right = ModelNode(1), ModelNode(2)
    for number in range(1_000, 1_000 + PAGE_LOGS_MAX):
        for seq in range(100):
            left.put(log_of(number), seq, b"backlog", BlobClass.OPAQUE)
    left.put(log_of(0), 0, b"old", BlobClass.OPAQUE)
    pair = Pair(left, right)
    while not right.blobs:
        assert pair.step()
    left.put(log_of(0), 1, b"new", BlobClass.OPAQUE)
    while (log_of(0), 1) not in right.blobs:
        assert pair.step()
    while right.ledger.stop_below(log_of(0), above=None, now_ms=pair.now_ms) is not None:
        assert pair.step()
    assert pair.sides[1].session.lag > WANT_SEQS_MAX


def test_what_is_new_passes_pages_that_do_not_settle() -> None:
    """Every page of the feed waits for another peer that was asked first."""
    left, right = ModelNode(1), ModelNode(2)
    other = ModelNode(9).node_id
    pair = Pair(left, right)
    pair.rest()
    pages = range(PAGES_UNSETTLED_MAX)
    for number in pages:
        log = log_of(number)
        right.ledger.declare(other, log, SeqRanges.of(0, 1), now_ms=pair.now_ms)
        right.ledger.claim(other, log, now_ms=pair.now_ms)
        left.put(log, 0, b"asked of another", BlobClass.OPAQUE)
        pair.run()
    left.put(log_of(99), 0, b"new", BlobClass.OPAQUE)
    pair.run()
    assert right.blobs == {}
    for _ in range(4):
        pair.tick(FRESH_AFTER_MS // 2)
        pair.run()
    assert list(right.blobs) == [(log_of(99), 0)]
    for _ in pages:  # One after another is taken from the peer that was asked and is silent.
        pair.rest()
        pair.rest()
    assert right.blobs == left.blobs


def test_a_backlog_yields_to_what_is_new_while_that_is_slow() -> None:
    left, right = ModelNode(1), ModelNode(2)
    size = 10_000
    for number in range(1_000, 1_000 + 2 * PAGE_LOGS_MAX):
        left.put(log_of(number), 0, bytes(size), BlobClass.OPAQUE)
    pair = Pair(left, right)
    reader = pair.sides[1]
    while not right.blobs:
        assert pair.step()
    for seq in range(12):
        left.put(log_of(0), seq, b"new", BlobClass.OPAQUE)
        while (log_of(0), seq) not in right.blobs:
            pair.now_ms += 1 if not seq else 50
            assert pair.step()
    right.ledger.yielding.tick(pair.now_ms)
    assert right.ledger.yielding.backlog_bytes < WANT_BYTES_MAX
    pair.rest()
    pair.tick(YIELD_REST_MS)
    assert right.ledger.yielding.backlog_bytes == WANT_BYTES_MAX
    assert right.blobs == left.blobs
    assert len(right.received) == len(right.blobs)
    assert reader.session.lag == 0


def test_a_peer_that_says_anything_is_not_silent() -> None:
    left, right = ModelNode(1), ModelNode(2)
    pair = Pair(left, right)
    pair.rest()
    log, other, asked_ms = log_of(0), ModelNode(9).node_id, pair.now_ms
    for holder in (left.node_id, other):
        right.ledger.declare(holder, log, SeqRanges.of(0, 1), now_ms=asked_ms)
    assert right.ledger.claim(left.node_id, log, now_ms=asked_ms)
    pair.now_ms += WANT_PATIENCE_MS - 1
    right.put(log_of(1), 0, b"asked for", BlobClass.OPAQUE)
    pair.run()
    assert not right.ledger.claim(other, log, now_ms=asked_ms + WANT_PATIENCE_MS)
    assert right.ledger.claim(other, log, now_ms=pair.now_ms + WANT_PATIENCE_MS)


def test_while_a_backlog_yields_it_comes_by_turns() -> None:
    left, right = ModelNode(1), ModelNode(2)
    size = 10_000
    for number in range(1_000, 1_000 + PAGE_LOGS_MAX):
        left.put(log_of(number), 0, bytes(size), BlobClass.OPAQUE)
    pair = Pair(left, right)
    while not right.blobs:
        assert pair.step()
    right.ledger.yielding.backlog_bytes = BACKLOG_BYTES_MIN
    pair.run()
    while len(right.blobs) < len(left.blobs):
        before = len(right.blobs)
        right.ledger.yielding.came(1, quick_ms=1, now_ms=pair.now_ms)
        pair.tick(250)
        pair.run()
        came_bytes = (len(right.blobs) - before) * size
        most_bytes = right.ledger.yielding.backlog_bytes + size
        assert 0 < came_bytes <= most_bytes
    assert pair.now_ms > 4_000


def test_what_is_new_in_a_long_log_waits_for_its_turn() -> None:
    left, right = ModelNode(1), ModelNode(2)
    for seq in range(FRESH_SEQS_LOG_MAX * 2):
        left.put(log_of(0), seq, b"old", BlobClass.OPAQUE)
    for number in range(1_000, 1_000 + 6 * PAGE_LOGS_MAX):
        left.put(log_of(number), 0, b"x", BlobClass.OPAQUE)
    pair = Pair(left, right)
    while not right.blobs:
        assert pair.step()
    left.put(log_of(0), FRESH_SEQS_LOG_MAX * 2, b"new", BlobClass.OPAQUE)
    pair.rest()
    assert right.blobs == left.blobs
    assert len(right.received) == len(right.blobs)
    seqs = [seq for log, seq in right.received if log == log_of(0)]
    assert seqs == sorted(seqs)


@pytest.mark.parametrize("seed", range(2))
def test_a_photograph_holds_up_its_own_log_alone(seed: int) -> None:
    left, right = ModelNode(1), ModelNode(2)
    photo = bytes(40 * FRAME_BYTES_MAX)
    left.put(log_of(0), 0, b"before", BlobClass.OPAQUE)
    left.put(log_of(0), 1, photo, BlobClass.OPAQUE)
    left.put(log_of(0), 2, b"after", BlobClass.OPAQUE)
    pair = Pair(left, right, seed=seed)
    while not any(part.size_bytes == len(photo) for part in parts_sent(pair.sides[0])):
        assert pair.step()
    left.put(log_of(0), 3, b"later", BlobClass.OPAQUE)
    for number in range(1, 3):
        left.put(log_of(number), 0, b"x", BlobClass.OPAQUE)
        while (log_of(number), 0) not in right.blobs:
            assert pair.step()
    assert not {(log_of(0), 1)} & set(right.blobs)
    pair.rest()
    assert set(right.blobs) == set(left.blobs)
    assert [seq for log, seq in right.received if log == log_of(0)] == [0, 1, 2, 3]


def parts_sent(side: Side) -> list[BlobPart]:
    return [part for frame in side.sent if isinstance(frame, Blobs) for part in frame.parts]


@given(held, held, st.sets(st.integers(0, 2), min_size=1), st.integers(0, 2**32))
def test_a_node_is_offered_what_it_carries_alone(
    left_blobs: dict[tuple[int, int], int],
    right_blobs: dict[tuple[int, int], int],
    carried: set[int],
    seed: int,
) -> None:
    topics = {log_of(number).topic for number in carried}
    left, right = ModelNode(1), ModelNode(2, carried=OwnTopics(topics))
    fill(left, left_blobs)
    fill(right, right_blobs)
    pair = Pair(left, right, seed=seed)
    pair.rest()
    offered = {log.log for f in pair.sides[0].sent if isinstance(f, Offers) for log in f.logs}
    assert {log.topic for log in offered} <= topics
    assert left.blobs.keys() == blobs_of(left_blobs) | blobs_of(right_blobs)
    wanted = {(log, seq) for log, seq in blobs_of(left_blobs) if log.topic in topics}
    assert right.blobs.keys() == blobs_of(right_blobs) | wanted
    assert all(side.session.is_settled for side in pair.sides)


def blobs_of(blobs: dict[tuple[int, int], int]) -> set[tuple[LogId, int]]:
    return {(log_of(number), seq) for number, seq in blobs}


def test_what_a_node_does_not_carry_is_not_asked_for_and_no_fault() -> None:
    pair = Pair(ModelNode(1), ModelNode(2, carried=OwnTopics([parse_topic("another")])))
    pair.rest()
    side = pair.sides[1]
    side.do(side.session.receive(offer(page=1), now_ms=1_000))
    while pair._ready(side):
        pair._answer(side)
    assert [f for f in side.sent if isinstance(f, Want)] == []
    assert side.sent[-1] == Settled(1)
    assert side.finished is None


def test_a_log_grows_in_ascending_order() -> None:
    left, right = ModelNode(1), ModelNode(2)
    for seq in reversed(range(300)):
        left.put(log_of(0), seq, b"x", BlobClass.OPAQUE)
    Pair(left, right, seed=7).run()
    assert [seq for _, seq in right.received] == list(range(300))


NEXT_PAGE = 2
"""Of a pair at rest: the first one told that nothing differs."""


def opened() -> tuple[Pair, Side]:
    """A pair at rest, and its answering side."""
    pair = Pair(ModelNode(1), ModelNode(2))
    pair.run()
    return pair, pair.sides[1]


def part(**changes: object) -> BlobPart:
    whole = BlobPart(NEXT_PAGE, 0, 0, BlobClass.OPAQUE, 0, ORIGIN, b"\0" * 32, 1, 0, b"x")
    return whole._replace(**changes)  # type: ignore[arg-type]


def offer(page: int = NEXT_PAGE, runs: tuple[tuple[int, int], ...] = ((0, 4),)) -> Offers:
    offered = tuple(OfferedRun(a, b, BlobClass.OPAQUE, b - a, 1, 0) for a, b in runs)
    return Offers(page, (OfferedLog(log_of(0), offered),), b"9")


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ([Resume(())], "frame.unexpected"),
        ([Proof(b"\0" * 64)], "frame.unexpected"),
        ([ModelNode(1).hello(nonce=9)], "frame.unexpected"),
        ([offer(page=NEXT_PAGE + 1)], "frame.unexpected"),
        ([Settled(NEXT_PAGE)], "frame.unexpected"),
        ([AskSketch(16)], "frame.unexpected"),
        ([Offers(NEXT_PAGE, (), b"", answers=True)], "frame.unexpected"),
        ([AskSketch(SKETCH_SYMBOLS_MAX + 1)], "frame.unexpected"),
        ([Sketch(Digest(), 0, b"")], "frame.unexpected"),
        ([AskDifference()], "frame.unexpected"),
        ([Difference(())], "frame.unexpected"),
        ([Want(NEXT_PAGE, (PageRanges(0, SeqRanges.single(0)),))], "frame.unexpected"),
        ([Blobs((part(),))], "blob.unasked"),
        ([offer(), Blobs((part(seq=9),))], "blob.unasked"),
        ([offer(), Blobs((part(log=1),))], "blob.unasked"),
        ([offer(), Blobs((part(offset=1, size_bytes=3),))], "blob.unasked"),
        ([offer(), Blobs((part(),))], "blob.corrupt"),
        ([offer(), Blobs((part(size_bytes=2, data=b"xyz"),))], "blob.corrupt"),
        ([offer(), Gone(NEXT_PAGE, (PageRanges(0, SeqRanges.single(9)),))], "blob.unasked"),
        ([offer(page=NEXT_PAGE + n) for n in range(9)], "frame.unexpected"),
        (
            [offer(page=NEXT_PAGE + n)._replace(cursor=b"", fresh=True) for n in range(9)],
            "frame.unexpected",
        ),
        ([offer()._replace(fresh=True)], "frame.unexpected"),
        ([End("whatever", "said the peer")], "peer.ended"),
    ],
)
def test_a_peer_that_breaks_the_rules_is_ended(frames: list[Frame], reason: str) -> None:
    pair, side = opened()
    for frame in frames:
        for request in [r for r in side.requests if side.node.can_answer(r)]:
            if not isinstance(frame, Offers):
                side.requests.remove(request)
                answer = side.node.answer(request, pair.sides[0].node.node_id)
                side.do(side.session.answer(request, answer, now_ms=1_000))
        side.do(side.session.receive(frame, now_ms=1_000))
    assert side.finished == reason
    told = [frame for frame in side.sent if isinstance(frame, End)]
    assert [end.reason for end in told] == ([] if reason == "peer.ended" else [reason])


def test_strangers_are_offered_what_differs_alone() -> None:
    left, right = ModelNode(1), ModelNode(2)
    for number in range(2_000):
        for node in (left, right):
            node.put(log_of(number), 0, b"x", BlobClass.OPAQUE)
    for number in range(3):
        left.put(log_of(number), 1, b"x", BlobClass.OPAQUE)
        right.put(log_of(5_000 + number), 0, b"x", BlobClass.OPAQUE)
    pair = Pair(left, right)
    pair.run()
    assert left.blobs == right.blobs
    offered = [
        {log.log for log in frame.logs}
        for side in pair.sides
        for frame in side.sent
        if isinstance(frame, Offers) and frame.logs
    ]
    changed = {log_of(number) for number in range(3)}
    new = {log_of(5_000 + number) for number in range(3)}
    assert set().union(*offered) == changed | new


def test_one_sketch_tells_both_sides_what_differs() -> None:
    left, right = ModelNode(1), ModelNode(2)
    for number in range(200):
        for node in (left, right):
            node.put(log_of(number), 0, b"x", BlobClass.OPAQUE)
    for number in range(5):
        left.put(log_of(number), 1, b"x", BlobClass.OPAQUE)
        right.put(log_of(5 + number), 1, b"x", BlobClass.OPAQUE)
    pair = Pair(left, right)
    pair.run()
    sketched = [any(isinstance(f, Sketch) for f in side.sent) for side in pair.sides]
    assert sketched == [True, False]
    offered = [
        {offer.log for frame in side.sent if isinstance(frame, Offers) for offer in frame.logs}
        for side in pair.sides
    ]
    # What the dialled side offered, the dialler knows to be held there and does not offer.
    assert offered == [{log_of(n) for n in range(5)}, {log_of(n) for n in range(10)}]
    assert left.blobs == right.blobs


def test_who_keeps_a_cursor_still_tells_the_other_what_differs() -> None:
    left, right = ModelNode(1), ModelNode(2)
    for number in range(50):
        left.put(log_of(number), 0, b"x", BlobClass.OPAQUE)
    Pair(left, right).run()
    left.cursors.clear()
    left.put(log_of(7), 1, b"x", BlobClass.OPAQUE)
    pair = Pair(right, left)
    pair.run()
    asked = [any(isinstance(f, AskDifference) for f in side.sent) for side in pair.sides]
    assert asked == [True, False]
    assert left.blobs == right.blobs
    assert len(left.cursors) == 1


def test_equal_strangers_offer_nothing_and_share_cursors() -> None:
    left, right = ModelNode(1), ModelNode(2)
    for number in range(50):
        for node in (left, right):
            node.put(log_of(number), 0, b"x", BlobClass.OPAQUE)
    pair = Pair(left, right)
    pair.run()
    assert [
        frame.logs for side in pair.sides for frame in side.sent if isinstance(frame, Offers)
    ] == [(), ()]
    assert (len(left.cursors), len(right.cursors)) == (1, 1)


@given(held, st.integers(0, 300), st.integers(0, 2**32))
def test_much_that_differs_is_listed(
    blobs: dict[tuple[int, int], int], logs: int, seed: int
) -> None:
    left, right = ModelNode(1), ModelNode(2)
    fill(left, blobs)
    for number in range(logs):
        right.put(log_of(1_000 + number), 0, b"x", BlobClass.OPAQUE)
    Pair(left, right, seed=seed).run()
    assert set(left.blobs) == set(right.blobs)
    assert len(left.received) == logs


def comparing() -> tuple[Pair, Side, int]:
    """A session whose second ask for symbols is out, the first ones having been garbage."""
    pair = Pair(ModelNode(1), ModelNode(2))
    side = pair.sides[1]
    for number in range(30):
        side.node.put(log_of(number), 0, b"x", BlobClass.OPAQUE)
    while not any(isinstance(frame, AskSketch) for frame in side.sent):
        assert pair.step()
    symbols = b"garbage in, " * 16
    side.do(side.session.receive(Sketch(Digest(7, 30), 0, symbols), now_ms=1_000))
    while not isinstance(side.sent[-1], AskSketch) or side.sent[-1].symbols == 16:
        pair._answer(side)
    return pair, side, side.sent[-1].symbols


@pytest.mark.parametrize(
    ("digest", "first", "less"),
    [(Digest(8, 30), 16, 0), (Digest(7, 31), 16, 0), (Digest(7, 30), 0, 0), (Digest(7, 30), 16, 1)],
)
def test_other_symbols_than_asked_for_end_the_session(
    digest: Digest, first: int, less: int
) -> None:
    _, side, asked = comparing()
    symbols = bytes((asked - 16 - less) * SYMBOL_BYTES)
    side.do(side.session.receive(Sketch(digest, first, symbols), now_ms=1_000))
    assert side.finished == "frame.unexpected"


def test_a_sketch_that_never_decodes_ends_in_a_listing() -> None:
    pair, side, asked = comparing()
    first = 16
    while not any(isinstance(frame, Offers) for frame in side.sent):
        symbols = bytes(range(SYMBOL_BYTES)) * (asked - first)
        side.do(side.session.receive(Sketch(Digest(7, 30), first, symbols), now_ms=1_000))
        first = asked
        while side.requests and side.sent[-1] == AskSketch(first):
            pair._answer(side)
        while not isinstance(side.sent[-1], AskSketch | Offers):
            pair._answer(side)
        asked = side.sent[-1].symbols if isinstance(side.sent[-1], AskSketch) else 0
    offers = next(frame for frame in side.sent if isinstance(frame, Offers))
    assert len(offers.logs) == 30
    assert first <= 30 * 8


@pytest.mark.parametrize("runs", [((0, 2 * WANT_SEQS_LOG_MAX),), ((5, 9),)])
def test_what_waits_for_its_log_in_flight_is_not_looked_up_again(
    runs: tuple[tuple[int, int], ...],
) -> None:
    """More than a window of a log, or what another page of it asked for already."""
    pair, side = opened()
    for page, offered in ((NEXT_PAGE, runs), (NEXT_PAGE + 1, ((0, 12),))):
        side.do(side.session.receive(offer(page, offered), now_ms=pair.now_ms))
        pair.answer_all(side)
    assert side.node.records_read <= 3


def test_an_offer_of_everything_costs_one_window() -> None:
    pair, side = opened()
    side.do(side.session.receive(offer(runs=((0, SEQ_END),)), now_ms=1_000))
    pair._answer(side)
    wants = [frame for frame in side.sent if isinstance(frame, Want)]
    assert [entry.ranges.count for want in wants for entry in want.logs] == [WANT_SEQS_LOG_MAX]


def test_endless_broken_promises_end_the_session() -> None:
    pair, side = opened()
    side.do(side.session.receive(offer(runs=((0, SEQ_END),)), now_ms=1_000))
    rounds = 0
    while side.finished is None:
        rounds += 1
        assert rounds < 100_000
        pair._answer(side)
        want = next(frame for frame in reversed(side.sent) if isinstance(frame, Want))
        ranges = want.logs[0].ranges
        odd = SeqRanges((n, n + 1) for n in ranges.numbers() if n % 2)
        even = ranges - odd
        for gone in (odd, even):
            side.do(side.session.receive(Gone(NEXT_PAGE, (PageRanges(0, gone),)), now_ms=1_000))
    assert side.finished == "promise.broken"
    assert rounds < 10


def test_silence_in_the_handshake_and_after_a_want_is_ended() -> None:
    node = ModelNode(1)
    silent = Pair(node, ModelNode(2)).sides[1]
    assert silent.session.tick(now_ms=1_000 + HANDSHAKE_MS_MAX) == []
    assert finish_of(silent.session.tick(now_ms=1_001 + HANDSHAKE_MS_MAX)) == "handshake.timeout"

    pair, side = opened()
    side.do(side.session.receive(offer(), now_ms=2_000))
    pair.now_ms = 2_000
    pair._answer(side)
    assert finish_of(side.session.tick(now_ms=2_000 + WANT_STALL_MS)) is None
    assert finish_of(side.session.tick(now_ms=2_001 + WANT_STALL_MS)) == "peer.stalled"


def finish_of(effects: Sequence[object]) -> str | None:
    return next((e.reason for e in effects if isinstance(e, Finish)), None)


HELLO = ModelNode(1).hello(nonce=1)


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ([ModelNode(2).hello(nonce=1)], "identity.mismatch"),
        (
            [ModelNode(1).hello(nonce=1)._replace(version_min=2, version_max=9)],
            "version.unsupported",
        ),
        ([HELLO, Proof(b"\1" * 64)], "proof.wrong"),
        ([HELLO, Resume(())], "frame.unexpected"),
        ([Proof(b"\1" * 64)], "frame.unexpected"),
        ([HELLO, HELLO], "frame.unexpected"),
    ],
)
def test_a_dialler_that_does_not_prove_itself_is_refused(frames: list[Frame], reason: str) -> None:
    side = Pair(ModelNode(1), ModelNode(2)).sides[1]
    for frame in frames:
        side.do(side.session.receive(frame, now_ms=1_000))
    assert side.finished == reason
    assert side.proven is None


def test_the_dialler_believes_only_the_node_it_dialled() -> None:
    side = Pair(ModelNode(1), ModelNode(2)).sides[0]
    side.do(side.session.receive(ModelNode(3).hello(nonce=1), now_ms=1_000))
    assert side.finished == "identity.mismatch"


def test_after_the_end_everything_is_ignored() -> None:
    pair, side = opened()
    side.do(side.session.close("node.stopping"))
    waiting: list[Request] = list(side.requests)
    before = list(side.sent)
    assert side.session.receive(offer(), now_ms=1_000) == []
    assert all(side.session.answer(r, None, now_ms=1_000) == [] for r in waiting)
    assert side.session.tick(now_ms=10**9) == []
    assert side.session.wake() == []
    assert side.session.close("again") == []
    assert side.sent == before
    assert pair.sides[0].finished is None


def test_an_end_of_our_own_tells_the_peer_why() -> None:
    pair, side = opened()
    effects = side.session.close("node.stopping", "for the night")
    assert effects == [
        Send(End("node.stopping", "for the night")),
        Finish("node.stopping", "for the night"),
    ]
    assert side.session.ended_by is None
    other = pair.sides[0].session
    (finish,) = other.receive(End("node.stopping", "for the night"), now_ms=1_000)
    assert isinstance(finish, Finish)
    assert finish.reason == "peer.ended"
    assert "node.stopping: for the night" in finish.detail
    assert isinstance(other.ended_by, PeerEnded)


def test_a_fault_of_the_peer_is_told_to_it_and_a_cut_is_not() -> None:
    for error, is_told in ((FrameUnexpected("what"), True), (PeerLost("cut"), False)):
        _, side = opened()
        effects = side.session.fault(error)
        said = [effect.frame for effect in effects if isinstance(effect, Send)]
        assert said == ([End(error.code, error.message)] if is_told else [])
        assert effects[-1] == Finish(error.code, error.message)
        assert side.session.ended_by is error


def test_before_the_peer_is_proven_nothing_is_asked_or_counted() -> None:
    session = Pair(ModelNode(1), ModelNode(2)).sides[0].session
    assert session.wake() == session.tick(now_ms=1_000) == []
    assert session.reads_on
    assert (session.lag, session.blobs_in, session.duplicates_in, session.pages_unsettled) == (
        0,
        0,
        0,
        0,
    )
    assert session.progress_ms is None
    assert not session.is_settled


def test_a_log_that_another_peer_was_asked_for_is_looked_at_again_when_the_ledger_wakes() -> None:
    _, side = opened()
    other, ledger = node_id_of(b"o" * 32), side.node.ledger
    ledger.declare(other, log_of(0), SeqRanges.of(0, 4), now_ms=1_000)
    assert ledger.claim(other, log_of(0), now_ms=1_000)
    (reading,) = side.session.receive(offer(), now_ms=1_000)
    assert isinstance(reading, ReadRecords)
    read = side.node.answer(reading, other)
    assert side.session.answer(reading, read, now_ms=1_000) == []
    (again,) = side.session.wake()
    assert isinstance(again, ReadRecords)
    assert again.logs == (log_of(0),)


def test_without_a_detail_an_end_says_its_reason_alone() -> None:
    _, side = opened()
    assert side.session.close("node.stopping") == [
        Send(End("node.stopping", "")),
        Finish("node.stopping", ""),
    ]


def test_what_is_offered_and_what_is_gone_are_heard_when_they_come() -> None:
    pair, side = opened()
    side.do(side.session.receive(offer(), now_ms=5_000))
    assert side.session.progress_ms == 5_000
    pair.now_ms = 5_000
    pair.answer_all(side)
    gone = Gone(NEXT_PAGE, (PageRanges(0, SeqRanges.single(0)),))
    side.do(side.session.receive(gone, now_ms=6_000))
    side.do(side.session.tick(now_ms=6_000 + WANT_STALL_MS))
    assert side.finished is None
    side.do(side.session.tick(now_ms=6_001 + WANT_STALL_MS))
    assert side.finished == "peer.stalled"
