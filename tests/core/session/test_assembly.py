"""Parts become whole blobs or a breach; what many peers are sending in parts is bounded for all."""

from __future__ import annotations

import pytest

from meshbox.core.errors import BlobCorrupt, BlobUnasked
from meshbox.core.ids import BlobClass, LogId, Namespace, NodeId, parse_author, parse_topic
from meshbox.core.limits import (
    BEGINNINGS_MAX,
    BLOB_BYTES_MAX,
    FRAME_BYTES_MAX,
    MIB,
    PARTS_BYTES_MAX,
    PARTS_TURN_MS,
)
from meshbox.core.ranges import SeqRanges
from meshbox.core.session.assembly import Assembly, Unfinished, content_hash
from meshbox.core.session.beginnings import Beginnings
from meshbox.core.session.frames import Begun, BlobPart, Blobs, OfferedLog, OfferedRun, Offers
from meshbox.core.turns import Turn, Turns
from tests.core.session.model import ORIGIN, ModelNode, Pair

LARGE_BYTES = 24 * MIB
TICK_MS = 250


def log_of(number: int) -> LogId:
    return LogId(Namespace.LOGS, parse_topic("topic"), parse_author(f"author{number}"))


def holder(number: int, size_bytes: int = LARGE_BYTES) -> ModelNode:
    node = ModelNode(number)
    node.put(log_of(number), 0, bytes(size_bytes), BlobClass.OPAQUE)
    return node


def held_bytes(reader: ModelNode, pairs: list[Pair]) -> int:
    """Of blobs that are not whole, by all sessions of `reader`, which grow them in turn."""
    begun = [pair.sides[1].session._reader for pair in pairs]
    parts = [each._assembly._begun for each in begun if each is not None]
    return sum(len(part.data) for part in parts if part is not None)


def test_peers_with_large_blobs_take_turns() -> None:
    reader = ModelNode(9)
    holders = [holder(number) for number in range(1, 4)]
    pairs = [Pair(left, reader, seed=at) for at, left in enumerate(holders)]
    most_bytes = most_at_once = 0
    for _ in range(20):
        while sum(pair.step() for pair in pairs):
            turns = reader.ledger.turns
            assert turns.bytes <= PARTS_BYTES_MAX
            most_bytes = max(most_bytes, held_bytes(reader, pairs))
            most_at_once = max(most_at_once, turns.bytes // LARGE_BYTES)
        for pair in pairs:
            pair.tick(TICK_MS)
    assert most_at_once == PARTS_BYTES_MAX // LARGE_BYTES
    assert LARGE_BYTES < most_bytes <= PARTS_BYTES_MAX
    assert len(reader.blobs) == len(holders)
    assert reader.ledger.turns.bytes == reader.ledger.turns.bytes_uncommitted == 0


def trickling(reader: ModelNode) -> Pair:
    """A peer that was asked for one of the largest blobs, and sent the first part of it."""
    pair = Pair(holder(1, BLOB_BYTES_MAX), reader)
    trickle(pair)
    return pair


def trickle(pair: Pair) -> None:
    """One part more."""
    beginnings = pair.sides[1].node.beginnings
    before_bytes = beginnings.bytes
    while beginnings.bytes == before_bytes:
        assert pair.step()


def test_who_trickles_loses_its_turn_to_those_that_wait() -> None:
    reader = ModelNode(9)
    slow, quick = trickling(reader), Pair(holder(2), reader)
    quick.run()
    assert quick.sides[1].session.lag == 1
    passed_ms = 0
    while slow.sides[1].finished is None:
        assert passed_ms < 3 * PARTS_TURN_MS
        for pair in (slow, quick):
            pair.tick(TICK_MS)
        quick.run()
        passed_ms += TICK_MS
        if not passed_ms % (PARTS_TURN_MS // 3):
            trickle(slow)
    assert slow.sides[1].finished == "peer.stalled"
    assert 2 * PARTS_TURN_MS < passed_ms <= 2 * PARTS_TURN_MS + 2 * TICK_MS
    for _ in range(10):
        quick.tick(TICK_MS)
        quick.run()
    assert [log for log, _ in reader.received] == [log_of(2)]


def test_who_sends_more_than_it_offered_gets_no_turn_that_others_have() -> None:
    reader = ModelNode(9)
    trickling(reader)
    liar = Pair(ModelNode(3), reader)
    liar.run()
    side = liar.sides[1]
    run = OfferedRun(0, 1, BlobClass.OPAQUE, 1, 1, 0)
    page = 1 + sum(isinstance(frame, Offers) for frame in liar.sides[0].sent)
    offer = Offers(page, (OfferedLog(log_of(3), (run,)),), b"c")
    side.do(side.session.receive(offer, now_ms=liar.now_ms))
    liar.answer_all(side)
    data = bytes(FRAME_BYTES_MAX)
    part = BlobPart(page, 0, 0, BlobClass.OPAQUE, 0, ORIGIN, b"h" * 32, BLOB_BYTES_MAX, 0, data)
    side.do(side.session.receive(Blobs((part,)), now_ms=liar.now_ms))
    assert side.finished == "peer.stalled"
    assert reader.ledger.turns.bytes == BLOB_BYTES_MAX


PHOTO = bytes(range(200))
ANN, BEN = NodeId("a" * 43), NodeId("b" * 43)


def assembly_of(peer: NodeId, beginnings: Beginnings) -> Assembly:
    return Assembly(Turn(peer), Turns(), beginnings)


def piece(first: int, end: int, *, place: int = 0, seq: int = 0, data: bytes = PHOTO) -> BlobPart:
    """Bytes `first` … `end` - 1 of a blob."""
    whole, opaque = content_hash(data), BlobClass.OPAQUE
    return BlobPart(1, place, seq, opaque, 5, ORIGIN, whole, len(data), first, data[first:end])


def test_parts_that_follow_one_another_make_the_blob() -> None:
    beginnings = Beginnings()
    assembly = assembly_of(ANN, beginnings)
    for first in (0, 50, 100):
        part = piece(first, first + 50)
        assert assembly.add(part, log_of(0), now_ms=7) is Unfinished.MORE
        assert beginnings.bytes == first + 50, "a cut would lose nothing of it"
    assert assembly.add(piece(150, 200), log_of(0), now_ms=7) == PHOTO
    assert len(beginnings) == 0
    assert assembly.add(piece(0, 50, seq=1), log_of(0), now_ms=7) is Unfinished.MORE


@pytest.mark.parametrize(
    "wrong",
    [
        piece(50, 100)._replace(offset=49),
        piece(50, 100)._replace(offset=51),
        piece(50, 100, seq=1),
        piece(50, 100, place=1),
        piece(50, 100)._replace(age_ms=6),
        piece(50, 100)._replace(content_hash=b"o" * 32),
        piece(0, 200, seq=1),
    ],
)
def test_a_part_that_does_not_follow_the_one_before_it_is_a_breach(wrong: BlobPart) -> None:
    assembly = assembly_of(ANN, Beginnings())
    assembly.add(piece(0, 50), log_of(0), now_ms=7)
    with pytest.raises(BlobUnasked):
        assembly.add(wrong, log_of(0), now_ms=7)


def test_whole_blobs_of_other_logs_come_between() -> None:
    assembly = assembly_of(ANN, Beginnings())
    assembly.add(piece(0, 50), log_of(0), now_ms=7)
    assert assembly.add(piece(0, 200, place=1), log_of(1), now_ms=7) == PHOTO
    assert assembly.add(piece(50, 200), log_of(0), now_ms=7) == PHOTO


@pytest.mark.parametrize(
    "corrupt",
    [
        piece(0, 50)._replace(offset=151),
        piece(0, 50)._replace(size_bytes=49),
        piece(0, 50)._replace(size_bytes=BLOB_BYTES_MAX + 1),
        piece(0, 200)._replace(content_hash=b"o" * 32),
        piece(0, 0),
    ],
)
def test_what_cannot_be_of_the_blob_announced_is_corrupt(corrupt: BlobPart) -> None:
    with pytest.raises(BlobCorrupt):
        assembly_of(ANN, Beginnings()).add(corrupt, log_of(0), now_ms=7)


def test_a_blob_in_one_piece_may_leave_its_hash_to_tls() -> None:
    assembly = assembly_of(ANN, Beginnings())
    assert assembly.add(piece(0, 200)._replace(content_hash=b""), log_of(0), now_ms=7) == PHOTO


def test_what_the_peer_gave_up_on_makes_way_and_nothing_else_does() -> None:
    for place, ranges, makes_way in (
        (0, SeqRanges.single(0), True),
        (1, SeqRanges.single(0), False),
        (0, SeqRanges.single(1), False),
    ):
        assembly = assembly_of(ANN, Beginnings())
        assembly.add(piece(0, 50), log_of(0), now_ms=7)
        assembly.forget(1, place, log_of(0), ranges)
        if makes_way:
            assert assembly.add(piece(0, 50, seq=1), log_of(0), now_ms=7) is Unfinished.MORE
        else:
            assert assembly.add(piece(50, 200), log_of(0), now_ms=7) == PHOTO
    untouched = assembly_of(ANN, Beginnings())
    untouched.forget(1, 0, log_of(0), SeqRanges.single(0))


def begun_by(peer: NodeId, *, data: bytes = PHOTO, seq: int = 0) -> Beginnings:
    """The first 50 bytes of a blob of log 0 came from `peer`, whose session ended."""
    beginnings = Beginnings()
    assembly_of(peer, beginnings).add(piece(0, 50, data=data, seq=seq), log_of(0), now_ms=7)
    return beginnings


def test_another_peer_is_told_what_is_here_and_goes_on_from_there() -> None:
    beginnings = begun_by(ANN)
    assembly = assembly_of(BEN, beginnings)
    assert assembly.named(3, log_of(1), SeqRanges.of(0, 9)) == []
    assert assembly.named(3, log_of(0), SeqRanges.of(1, 9)) == []
    (begun,) = assembly.named(3, log_of(0), SeqRanges.of(0, 9))
    assert begun == Begun(3, 0, content_hash(PHOTO), 50)
    assert assembly.add(piece(50, 100), log_of(0), now_ms=7) is Unfinished.MORE
    assert assembly.add(piece(100, 200), log_of(0), now_ms=7) == PHOTO
    assert len(beginnings) == 0


def test_or_begins_anew_as_it_likes() -> None:
    assembly = assembly_of(BEN, begun_by(ANN))
    assembly.named(0, log_of(0), SeqRanges.single(0))
    assert assembly.add(piece(0, 100), log_of(0), now_ms=7) is Unfinished.MORE
    assert assembly.add(piece(100, 200), log_of(0), now_ms=7) == PHOTO


def test_but_goes_on_from_nowhere_else() -> None:
    for first, seq in ((49, 0), (51, 0), (50, 1)):
        assembly = assembly_of(BEN, begun_by(ANN))
        assembly.named(0, log_of(0), SeqRanges.of(0, 2))
        with pytest.raises(BlobUnasked):
            assembly.add(piece(first, 100, seq=seq), log_of(0), now_ms=7)
    unnamed = assembly_of(BEN, begun_by(ANN))
    with pytest.raises(BlobUnasked):
        unnamed.add(piece(50, 100), log_of(0), now_ms=7)
    given_up = assembly_of(BEN, begun_by(ANN))
    given_up.named(0, log_of(0), SeqRanges.of(0, 2))
    given_up.forget(1, 0, log_of(0), SeqRanges.single(0))
    with pytest.raises(BlobUnasked):
        given_up.add(piece(50, 100), log_of(0), now_ms=7)


def test_what_was_given_up_of_another_log_or_number_goes_on() -> None:
    for log, seq in ((log_of(1), 0), (log_of(0), 1)):
        assembly = assembly_of(BEN, begun_by(ANN))
        assembly.named(0, log_of(0), SeqRanges.of(0, 2))
        assembly.forget(1, 5, log, SeqRanges.single(seq))
        assert assembly.add(piece(50, 200), log_of(0), now_ms=7) == PHOTO


def test_what_two_brought_and_does_not_fit_is_asked_for_anew_and_they_go_on_alone() -> None:
    lie = bytes(200)
    beginnings = Beginnings()
    forged = piece(0, 50, data=lie)._replace(content_hash=content_hash(PHOTO))
    assembly_of(ANN, beginnings).add(forged, log_of(0), now_ms=7)
    assembly = assembly_of(BEN, beginnings)
    assembly.named(0, log_of(0), SeqRanges.single(0))
    assert assembly.add(piece(50, 200), log_of(0), now_ms=7) is Unfinished.ANEW
    assert len(beginnings) == 0
    assembly_of(ANN, beginnings).add(forged, log_of(0), now_ms=7)
    assert assembly_of(BEN, beginnings).named(0, log_of(0), SeqRanges.single(0)) == []
    assert assembly_of(ANN, beginnings).named(0, log_of(0), SeqRanges.single(0)) != []
    alone = assembly_of(ANN, Beginnings())
    alone.add(forged, log_of(0), now_ms=7)
    with pytest.raises(BlobCorrupt):
        alone.add(piece(50, 200), log_of(0), now_ms=7)


@pytest.mark.parametrize("goes_on", [True, False])
def test_no_more_is_named_than_may_come_in_parts(*, goes_on: bool) -> None:
    beginnings = Beginnings()
    half = FRAME_BYTES_MAX // 2
    for seq in range(3):
        data = bytes([seq]) * (half + 1)
        assembly = assembly_of(ANN, beginnings)
        assembly.add(piece(0, half, data=data, seq=seq), log_of(0), now_ms=7)
    assembly = assembly_of(BEN, beginnings)
    named = assembly.named(0, log_of(0), SeqRanges.of(0, 3))
    assert [begun.seq for begun in named] == [0, 1]
    data = bytes([0]) * (half + 1)
    rest = piece(half if goes_on else 0, half + 1, data=data)
    assert assembly.add(rest, log_of(0), now_ms=7) == data
    assert [begun.seq for begun in assembly.named(0, log_of(0), SeqRanges.of(2, 3))] == [2]


def test_a_blob_that_was_begun_may_come_in_one_piece() -> None:
    beginnings = begun_by(ANN)
    assert assembly_of(BEN, beginnings).add(piece(0, 200), log_of(0), now_ms=7) == PHOTO
    assert len(beginnings) == 0


def test_who_goes_on_does_so_from_where_it_was_told_though_others_went_further() -> None:
    beginnings = Beginnings()
    ann, ben = assembly_of(ANN, beginnings), assembly_of(BEN, beginnings)
    assert ann.add(piece(0, 50), log_of(0), now_ms=7) is Unfinished.MORE
    ben.named(0, log_of(0), SeqRanges.single(0))
    assert ann.add(piece(50, 100), log_of(0), now_ms=7) is Unfinished.MORE
    assert ben.add(piece(50, 100), log_of(0), now_ms=7) is Unfinished.MORE
    assert ben.add(piece(100, 200), log_of(0), now_ms=7) == PHOTO


def test_a_blob_larger_than_offered_takes_a_turn_of_its_size() -> None:
    turn, turns = Turn(ANN), Turns()
    part = piece(0, 50)._replace(size_bytes=FRAME_BYTES_MAX + 1)
    assert Assembly(turn, turns, Beginnings()).add(part, log_of(0), now_ms=7) is Unfinished.MORE
    assert (turn.bytes, turn.since_ms) == (FRAME_BYTES_MAX + 1, 7)


def test_no_more_is_named_than_is_kept() -> None:
    beginnings = Beginnings()
    for seq in range(BEGINNINGS_MAX):
        assembly_of(ANN, beginnings).add(piece(0, 1, seq=seq), log_of(0), now_ms=7)
    assembly = assembly_of(BEN, beginnings)
    all_of_it = SeqRanges.of(0, BEGINNINGS_MAX + 1)
    assert len(assembly.named(0, log_of(0), all_of_it)) == BEGINNINGS_MAX
    assembly_of(ANN, beginnings).add(piece(0, 1, seq=BEGINNINGS_MAX), log_of(0), now_ms=7)
    assert assembly.named(0, log_of(0), SeqRanges.single(BEGINNINGS_MAX)) == []
