"""A large blob that was cut goes on where it was, with whoever has the same bytes of it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from meshbox.core.ids import BlobClass, LogId, Namespace, NodeId, parse_author, parse_topic
from meshbox.core.limits import (
    BEGINNINGS_BYTES_MAX,
    BEGINNINGS_KEPT_MS,
    BEGINNINGS_MAX,
    FRAME_BYTES_MAX,
    SYNC_STREAMS_MAX,
)
from meshbox.core.ranges import SeqRanges
from meshbox.core.session.assembly import content_hash
from meshbox.core.session.beginnings import Beginning, Beginnings
from meshbox.core.session.frames import BlobPart, Blobs, Frame, Want
from meshbox.core.session.serving import FRAMES_UNSENT_MAX
from meshbox.wire.encoding import FrameEncoder
from tests.core.session.model import ModelNode, Pair, Side

LOG = LogId(Namespace.LOGS, parse_topic("topic"), parse_author("author"))
PARTS = 8
PHOTO = bytes(range(256)) * (PARTS * FRAME_BYTES_MAX // 256 - 3)
OTHER = PHOTO[::-1]
ANN, BEN, EVE = NodeId("a" * 43), NodeId("b" * 43), NodeId("e" * 43)


def holder(number: int, photo: bytes = PHOTO) -> ModelNode:
    node = ModelNode(number)
    node.put(LOG, 0, b"before", BlobClass.OPAQUE)
    node.put(LOG, 1, photo, BlobClass.OPAQUE)
    node.put(LOG, 2, b"after", BlobClass.OPAQUE)
    return node


def parts_sent(side: Side) -> list[BlobPart]:
    frames = [frame for frame in side.sent if isinstance(frame, Blobs)]
    return [part for frame in frames for part in frame.parts if part.seq == 1]


def bytes_sent(*pairs: Pair) -> int:
    """Of the photo."""
    return sum(len(part.data) for pair in pairs for part in parts_sent(pair.sides[0]))


def cut_after(pair: Pair, parts: int) -> None:
    """The session ends when so many eighths of the photo came; what is on its way is lost."""
    reader = pair.sides[1].node
    while reader.beginnings.bytes < parts * FRAME_BYTES_MAX:
        assert pair.step()
    for side in pair.sides:
        side.do(side.session.close("node.stopping"))


@settings(max_examples=25)
@given(st.integers(1, PARTS - 1), st.integers(1, PARTS - 1), st.integers(0, 2**32))
def test_cuts_repeat_what_was_in_flight_alone(first: int, second: int, seed: int) -> None:
    left, reader = holder(1), ModelNode(2)
    pairs = []
    for cut in sorted({first, second}):
        pairs.append(Pair(left, reader, seed=seed))
        cut_after(pairs[-1], cut)
    pairs.append(Pair(left, reader, seed=seed + 1))
    pairs[-1].run()
    assert reader.blobs == left.blobs
    assert [seq for _, seq in reader.received] == [0, 1, 2]
    in_flight = FRAMES_UNSENT_MAX * FRAME_BYTES_MAX
    assert bytes_sent(*pairs) <= len(PHOTO) + (len(pairs) - 1) * in_flight
    assert not reader.beginnings


def test_another_peer_goes_on() -> None:
    first, second, reader = holder(1), holder(3), ModelNode(2)
    cut_after(Pair(first, reader), 5)
    begun_bytes = reader.beginnings.bytes
    pair = Pair(second, reader)
    pair.run()
    assert reader.blobs == second.blobs
    assert parts_sent(pair.sides[0])[0].offset == begun_bytes
    assert bytes_sent(pair) == len(PHOTO) - begun_bytes


def test_another_content_begins_anew() -> None:
    reader = ModelNode(2)
    cut_after(Pair(holder(1), reader), 5)
    pair = Pair(other := holder(3, OTHER), reader)
    pair.run()
    assert reader.blobs == other.blobs
    assert parts_sent(pair.sides[0])[0].offset == 0
    assert not reader.beginnings


def test_while_one_peer_is_slow_another_goes_on_from_what_it_brought() -> None:
    slow, quick, reader = holder(1), holder(3), ModelNode(2)
    stuck = Pair(slow, reader)
    while reader.beginnings.bytes < 5 * FRAME_BYTES_MAX:
        assert stuck.step()
    begun_bytes = reader.beginnings.bytes
    pair = Pair(quick, reader)
    pair.run()
    pair.tick(60_000)
    pair.run()
    assert reader.blobs == quick.blobs
    assert parts_sent(pair.sides[0])[0].offset == begun_bytes
    assert bytes_sent(pair) == len(PHOTO) - begun_bytes


def spoilt(reader: ModelNode, liar: ModelNode) -> None:
    """`liar` announced the photo, brought other bytes of it, and went."""
    kept = Beginning(content_hash(PHOTO), len(PHOTO), frozenset([liar.node_id]), bytearray())
    kept.data += OTHER[: 5 * FRAME_BYTES_MAX]
    reader.beginnings.keep(LOG, 1, kept, now_ms=1_000)


def test_who_goes_on_with_a_lie_is_not_blamed_and_is_asked_anew_once() -> None:
    honest, liar, reader = holder(1), ModelNode(3), ModelNode(2)
    spoilt(reader, liar)
    pair = Pair(honest, reader)
    pair.run()
    assert reader.blobs == honest.blobs
    parts = parts_sent(pair.sides[0])
    assert parts[0].offset == 5 * FRAME_BYTES_MAX
    assert sum(part.offset == 0 for part in parts) == 1
    assert bytes_sent(pair) == 2 * len(PHOTO) - 5 * FRAME_BYTES_MAX
    reader.lose(LOG, 1)
    spoilt(reader, liar)
    assert not list(reader.beginnings.of(LOG, SeqRanges.single(1), honest.node_id))


def test_who_announced_other_bytes_than_its_own_is_blamed() -> None:
    liar, reader = holder(1), ModelNode(2)
    spoilt(reader, liar)
    pair = Pair(liar, reader)
    pair.run()
    assert pair.sides[1].finished == "blob.corrupt"
    assert (LOG, 1) not in reader.blobs
    assert not reader.beginnings


class OlderEncoder(FrameEncoder):
    """What an older peer reads: it does not know the field that says where we stand."""

    def encode(self, frame: Frame) -> bytes:
        return super().encode(frame._replace(begun=()) if isinstance(frame, Want) else frame)


def test_an_older_peer_that_sends_all_of_it_is_heard() -> None:
    left, reader = holder(1), ModelNode(2)
    cut_after(Pair(left, reader), 5)
    pair = Pair(left, reader)
    pair.sides[1].encoder = OlderEncoder()
    pair.run()
    assert reader.blobs == left.blobs
    assert bytes_sent(pair) == len(PHOTO)


def beginning(size: int = 1, *, by: NodeId = ANN, of: bytes = b"h" * 32) -> Beginning:
    return Beginning(of, BEGINNINGS_BYTES_MAX, frozenset([by]), bytearray(size))


def kept(beginnings: Beginnings, peer: NodeId = ANN) -> list[int]:
    return [seq for seq, _ in beginnings.of(LOG, SeqRanges.of(0, 2**20), peer)]


def test_what_is_kept_is_bounded_in_number_and_bytes() -> None:
    beginnings = Beginnings()
    for seq in range(BEGINNINGS_MAX + 5):
        beginnings.keep(LOG, seq, beginning(), now_ms=0)
    assert kept(beginnings) == list(range(5, BEGINNINGS_MAX + 5))
    beginnings.keep(LOG, 1_000, beginning(BEGINNINGS_BYTES_MAX - 1), now_ms=0)
    assert kept(beginnings) == [BEGINNINGS_MAX + 4, 1_000]


def test_the_longer_one_of_the_same_content_stays() -> None:
    beginnings = Beginnings()
    beginnings.keep(LOG, 0, beginning(9), now_ms=0)
    beginnings.keep(LOG, 0, beginning(5), now_ms=0)
    assert beginnings.bytes == 9
    beginnings.keep(LOG, 0, beginning(5, of=b"g" * 32), now_ms=0)
    assert beginnings.bytes == 5


def test_what_nobody_goes_on_with_is_forgotten() -> None:
    beginnings = Beginnings()
    beginnings.keep(LOG, 0, beginning(), now_ms=0)
    beginnings.keep(LOG, 1, beginning(), now_ms=1)
    beginnings.tick(BEGINNINGS_KEPT_MS)
    assert kept(beginnings) == [1]


def test_those_who_mixed_lies_go_on_with_their_own_alone() -> None:
    beginnings = Beginnings()
    beginnings.mixed_up(frozenset([ANN, EVE]))
    for seq, by in enumerate([ANN, BEN, EVE]):
        beginnings.keep(LOG, seq, beginning(by=by), now_ms=0)
    assert kept(beginnings, ANN) == [0]
    assert kept(beginnings, BEN) == [1]
    assert kept(beginnings, EVE) == [2]


def test_those_who_mixed_something_up_last_go_on_alone() -> None:
    beginnings = Beginnings()
    peers = [NodeId(f"{number:043}") for number in range(SYNC_STREAMS_MAX + 1)]
    for peer in peers:
        beginnings.mixed_up(frozenset([peer]))
    began = Beginning(b"h", 9, frozenset([ANN]), bytearray(b"four"))
    beginnings.keep(LOG, 1, began, now_ms=0)
    alone = [peer for peer in peers if not list(beginnings.of(LOG, SeqRanges.single(1), peer))]
    assert alone == peers[1:]
