"""What many peers are sending in parts at a time is bounded for all of them together."""

from __future__ import annotations

from meshbox.core.ids import BlobClass, LogId, Namespace, parse_author, parse_topic
from meshbox.core.limits import BLOB_BYTES_MAX, FRAME_BYTES_MAX, MIB, PARTS_BYTES_MAX, PARTS_TURN_MS
from meshbox.core.session.frames import BlobPart, Blobs, OfferedLog, OfferedRun, Offers
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
