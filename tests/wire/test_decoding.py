"""What no frame may be is refused by name, never by a traceback."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.errors import FrameMalformed, FrameTooLarge
from meshbox.core.limits import (
    BEGINNINGS_MAX,
    BLOB_BYTES_MAX,
    CARRIED_TOPICS_MAX,
    CREDIT_BYTES_MAX,
    CURSOR_BYTES_MAX,
    CURSORS_OFFERED_MAX,
    FRAME_BLOBS_MAX,
    LOG_RANGES_MAX,
    PAGE_LOGS_MAX,
    REASON_LENGTH_MAX,
    SKETCH_SYMBOLS_MAX,
    TOLD_FRAME_MAX,
    WANT_RANGES_MAX,
    WAYS_OUT_MAX,
)
from meshbox.core.reconcile import DIGEST_BYTES, ELEMENT_BYTES, SYMBOL_BYTES
from meshbox.core.session.frames import End, Frame
from meshbox.core.topics import TOPIC_HASH_BYTES
from meshbox.core.way_out import WAY_HASH_BYTES
from meshbox.wire.decoding import FrameDecoder
from meshbox.wire.encoding import FrameEncoder
from meshbox.wire.v1 import sync_pb2 as pb


def decode(message: pb.Frame) -> Frame:
    return FrameDecoder().decode(message.SerializeToString())


@given(st.lists(st.binary(max_size=200), max_size=4))
def test_any_bytes_are_frames_or_a_named_fault(raws: list[bytes]) -> None:
    decoder, encoder, again = FrameDecoder(), FrameEncoder(), FrameDecoder()
    for raw in raws:
        try:
            frame = decoder.decode(raw)
        except (FrameMalformed, FrameTooLarge):
            return
        assert again.decode(encoder.encode(frame)) == frame


def hello(**changes: Any) -> pb.Frame:
    fields = {"node_key": b"k" * 32, "nonce": b"n" * 32, "epoch_id": b"e" * 16, **changes}
    return pb.Frame(hello=pb.Hello(**fields))


def blob(**changes: Any) -> pb.Frame:
    fields = {"content_hash": b"h" * 32, "origin_name": b"o" * 36, **changes}
    return pb.Frame(blobs=pb.Blobs(parts=[pb.BlobPart(**fields)]))


def offered(*pairs: tuple[int, int], **changes: Any) -> pb.Frame:
    named = [pb.OfferedRun(first=first, last=last) for first, last in pairs]
    return pb.Frame(offers=pb.Offers(logs=[pb.OfferedLog(runs=named, **changes)]))


def peer_at(**changes: Any) -> pb.Frame:
    fields = {"node_key": b"k" * 32, "ip": b"\x0a\0\0\1", "port": 1, **changes}
    return pb.Frame(addresses=pb.Addresses(peers=[pb.PeerAt(**fields)]))


ONE = pb.SeqRange(first=0, last=0)
NAME = pb.OfferedLog(topic_text="t", author_text="a")


@pytest.mark.parametrize(
    "message",
    [
        pb.Frame(),
        hello(node_key=b"short"),
        hello(nonce=b""),
        hello(epoch_id=b"e" * 17),
        hello(leaf_fingerprint=b"f"),
        hello(software="new\nline"),
        hello(topics=b"t" * (TOPIC_HASH_BYTES + 1)),
        hello(ways_out=b"w" * (WAY_HASH_BYTES - 1)),
        pb.Frame(proof=pb.Proof(signature=b"s")),
        pb.Frame(sketch=pb.Sketch(digest=b"d")),
        pb.Frame(difference=pb.Difference(elements=b"e")),
        pb.Frame(sketch=pb.Sketch(digest=b"d" * DIGEST_BYTES, symbols=b"s")),
        offered(),
        offered((3, 2)),
        offered((0, 4), (4, 6)),
        offered((5, 9), (0, 1)),
        offered((0, 1), namespace=9),
        offered((0, 1), topic_text="a:b"),
        offered((0, 1), known=1),
        offered((0, 1), topic_known=1),
        pb.Frame(offers=pb.Offers(cursor_common=1)),
        pb.Frame(offers=pb.Offers(numbers=[1, 0, 9])),
        pb.Frame(offers=pb.Offers(numbers=[3, 0, 9])),
        pb.Frame(offers=pb.Offers(numbers=[1, 0, 9], logs=[NAME, NAME])),
        pb.Frame(offers=pb.Offers(numbers=[1, 0], logs=[NAME])),
        offered((0, 1), author_text="x" * 129),
        offered((0, 1), author_hex=b"x" * 65),
        pb.Frame(ask_logs=pb.AskLogs()),
        pb.Frame(ask_logs=pb.AskLogs(keys=b"k" * 17)),
        pb.Frame(want=pb.Want(logs=[pb.PageRanges()])),
        pb.Frame(want=pb.Want(begun=[pb.Begun(content_hash=b"h")])),
        pb.Frame(gone=pb.Gone(logs=[pb.PageRanges(ranges=[pb.SeqRange(first=2, last=1)])])),
        blob(content_hash=b"h"),
        blob(origin=1),
        blob(origin_name=b"o" * 35),
        blob(content_hash=b"", size_bytes=1),
        pb.Frame(end=pb.End(reason="\x1b[31m")),
        hello(sync_port=2**16),
        peer_at(node_key=b"k" * 31),
        peer_at(ip=b"\x0a\0\0"),
        peer_at(ip=b""),
        peer_at(port=0),
        peer_at(port=2**16),
    ],
)
def test_malformed(message: pb.Frame) -> None:
    with pytest.raises(FrameMalformed):
        decode(message)


@pytest.mark.parametrize(
    "message",
    [
        hello(topics=bytes((CARRIED_TOPICS_MAX + 1) * TOPIC_HASH_BYTES)),
        hello(ways_out=bytes((WAYS_OUT_MAX + 1) * WAY_HASH_BYTES)),
        pb.Frame(resume=pb.Resume(cursors=[b"c"] * (CURSORS_OFFERED_MAX + 1))),
        pb.Frame(want=pb.Want(credit=CREDIT_BYTES_MAX + 1)),
        pb.Frame(resume=pb.Resume(cursors=[b"c" * (CURSOR_BYTES_MAX + 1)])),
        pb.Frame(sketch=pb.Sketch(symbols=bytes((SKETCH_SYMBOLS_MAX + 1) * SYMBOL_BYTES))),
        pb.Frame(
            difference=pb.Difference(elements=bytes((SKETCH_SYMBOLS_MAX + 1) * ELEMENT_BYTES))
        ),
        pb.Frame(offers=pb.Offers(cursor=b"c" * (CURSOR_BYTES_MAX + 1))),
        pb.Frame(offers=pb.Offers(logs=[pb.OfferedLog()] * (PAGE_LOGS_MAX + 1))),
        pb.Frame(offers=pb.Offers(logs=[NAME], numbers=[1, 0, 9, *[3, 0, 9] * PAGE_LOGS_MAX])),
        offered(*((n * 2, n * 2) for n in range(LOG_RANGES_MAX + 1))),
        pb.Frame(ask_logs=pb.AskLogs(keys=b"k" * 16 * (PAGE_LOGS_MAX + 1))),
        pb.Frame(want=pb.Want(logs=[pb.PageRanges(ranges=[ONE])] * (PAGE_LOGS_MAX + 1))),
        pb.Frame(
            want=pb.Want(
                logs=[pb.PageRanges(ranges=[ONE] * (WANT_RANGES_MAX + LOG_RANGES_MAX + 1))]
            )
        ),
        pb.Frame(want=pb.Want(begun=[pb.Begun(content_hash=bytes(32))] * (BEGINNINGS_MAX + 1))),
        pb.Frame(want=pb.Want(begun=[pb.Begun(offset=BLOB_BYTES_MAX + 1)])),
        pb.Frame(blobs=pb.Blobs(parts=[pb.BlobPart()] * (FRAME_BLOBS_MAX + 1))),
        blob(size_bytes=BLOB_BYTES_MAX + 1),
        pb.Frame(addresses=pb.Addresses(peers=[pb.PeerAt()] * (TOLD_FRAME_MAX + 1))),
    ],
)
def test_too_large(message: pb.Frame) -> None:
    with pytest.raises(FrameTooLarge):
        decode(message)


def test_a_long_reason_is_cut() -> None:
    frame = decode(pb.Frame(end=pb.End(reason="r" * (REASON_LENGTH_MAX + 1))))
    assert frame == End("r" * REASON_LENGTH_MAX)
