"""Frames survive the wire; what no frame may be is refused by name, never by a traceback."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.errors import FrameMalformed, FrameTooLarge
from meshbox.core.ids import BlobClass, LogId, Namespace, Origin, parse_author, parse_topic
from meshbox.core.limits import (
    BLOB_BYTES_MAX,
    CURSOR_BYTES_MAX,
    CURSORS_OFFERED_MAX,
    FRAME_BLOBS_MAX,
    LOG_RANGES_MAX,
    PAGE_LOGS_MAX,
    REASON_LENGTH_MAX,
    SKETCH_SYMBOLS_MAX,
    WANT_RANGES_MAX,
)
from meshbox.core.ranges import SEQ_END, SeqRanges
from meshbox.core.reconcile import DIGEST_BYTES, SYMBOL_BYTES, Digest
from meshbox.core.session.frames import (
    AskSketch,
    BlobPart,
    Blobs,
    End,
    Frame,
    Gone,
    Hello,
    OfferedLog,
    OfferedRun,
    Offers,
    PageRanges,
    Proof,
    Resume,
    Settled,
    Sketch,
    Totals,
    Want,
)
from meshbox.wire.frames import decode, encode
from meshbox.wire.v1 import sync_pb2 as pb

ids = st.text(st.characters(exclude_characters=":\0", exclude_categories=["Cs"]), max_size=20)
u32 = st.integers(0, 2**32 - 1)
u64 = st.integers(0, 2**64 - 1)
seqs = st.sets(st.integers(0, SEQ_END), min_size=2, max_size=20)
ranges = seqs.map(sorted).map(lambda e: SeqRanges(zip(e[::2], e[1::2], strict=False)))
blob_classes = st.sampled_from(BlobClass)


@st.composite
def runs(draw: st.DrawFn) -> tuple[OfferedRun, ...]:
    return tuple(
        OfferedRun(first, end, draw(blob_classes), draw(u64), draw(u64), draw(u64))
        for first, end in draw(ranges)
    )


def sized(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


logs = st.builds(LogId, st.sampled_from(Namespace), ids.map(parse_topic), ids.map(parse_author))
page_ranges = st.lists(st.builds(PageRanges, u32, ranges), max_size=5).map(tuple)
parts = st.builds(
    BlobPart,
    page=u32,
    log=u32,
    seq=u64,
    blob_class=blob_classes,
    age_ms=u64,
    origin=st.builds(Origin, sized(32), sized(4)),
    content_hash=sized(32),
    size_bytes=st.integers(0, BLOB_BYTES_MAX),
    offset=u64,
    data=st.binary(max_size=50),
)
hellos = st.builds(
    Hello,
    node_key=sized(32),
    nonce=sized(32),
    epoch_id=sized(16),
    leaf_fingerprint=st.one_of(st.just(b""), sized(32)),
    version_min=u32,
    version_max=u32,
    frame_bytes_max=u32,
    blob_bytes_max=u64,
    software=st.just("meshbox/1"),
    totals=st.builds(Totals, u64, u64, u64),
)
frames = st.one_of(
    hellos,
    st.builds(Proof, sized(64)),
    st.builds(Resume, st.lists(st.binary(max_size=80), max_size=CURSORS_OFFERED_MAX).map(tuple)),
    st.builds(AskSketch, u32),
    st.builds(
        Sketch,
        st.builds(Digest, st.integers(0, 2**128 - 1), u64),
        u32,
        st.binary(max_size=8).map(lambda raw: raw * SYMBOL_BYTES),
    ),
    st.builds(
        Offers, u32, st.lists(st.builds(OfferedLog, logs, runs())).map(tuple), st.binary(max_size=9)
    ),
    st.builds(Want, u32, page_ranges),
    st.builds(Gone, u32, page_ranges),
    st.builds(Blobs, st.lists(parts, max_size=5).map(tuple)),
    st.builds(Settled, u32),
    st.builds(End, st.just("peer.stalled"), st.just("said why")),
)


@given(frames)
def test_a_frame_survives_the_wire(frame: Frame) -> None:
    raw = encode(frame).SerializeToString()
    assert decode(pb.Frame.FromString(raw)) == frame


@given(st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_a_named_fault(raw: bytes) -> None:
    try:
        message = pb.Frame.FromString(raw)
    except DecodeError:
        return
    try:
        frame = decode(message)
    except (FrameMalformed, FrameTooLarge):
        return
    assert decode(encode(frame)) == frame


def hello(**changes: Any) -> pb.Frame:
    fields = {"node_key": b"k" * 32, "nonce": b"n" * 32, "epoch_id": b"e" * 16, **changes}
    return pb.Frame(hello=pb.Hello(**fields))


def blob(**changes: Any) -> pb.Frame:
    fields = {"content_hash": b"h" * 32, **changes}
    return pb.Frame(blobs=pb.Blobs(origins=[b"o" * 36], blobs=[pb.Blob(**fields)]))


def offered(*pairs: tuple[int, int], **changes: Any) -> pb.Frame:
    named = [pb.OfferedRun(first=first, last=last) for first, last in pairs]
    return pb.Frame(offers=pb.Offers(logs=[pb.OfferedLog(runs=named, **changes)]))


ONE = pb.SeqRange(first=0, last=0)


@pytest.mark.parametrize(
    "message",
    [
        pb.Frame(),
        hello(node_key=b"short"),
        hello(nonce=b""),
        hello(epoch_id=b"e" * 17),
        hello(leaf_fingerprint=b"f"),
        hello(software="new\nline"),
        pb.Frame(proof=pb.Proof(signature=b"s")),
        pb.Frame(sketch=pb.Sketch(digest=b"d")),
        pb.Frame(sketch=pb.Sketch(digest=b"d" * DIGEST_BYTES, symbols=b"s")),
        offered(),
        offered((3, 2)),
        offered((0, 4), (4, 6)),
        offered((5, 9), (0, 1)),
        offered((0, 1), namespace=9),
        offered((0, 1), topic="a:b"),
        offered((0, 1), author="x" * 129),
        pb.Frame(want=pb.Want(logs=[pb.LogRanges()])),
        pb.Frame(gone=pb.Gone(logs=[pb.LogRanges(ranges=[pb.SeqRange(first=2, last=1)])])),
        blob(content_hash=b"h"),
        blob(origin=1),
        pb.Frame(blobs=pb.Blobs(origins=[b"o" * 35])),
        pb.Frame(end=pb.End(reason="\x1b[31m")),
    ],
)
def test_malformed(message: pb.Frame) -> None:
    with pytest.raises(FrameMalformed):
        decode(message)


@pytest.mark.parametrize(
    "message",
    [
        pb.Frame(resume=pb.Resume(cursors=[b"c"] * (CURSORS_OFFERED_MAX + 1))),
        pb.Frame(resume=pb.Resume(cursors=[b"c" * (CURSOR_BYTES_MAX + 1)])),
        pb.Frame(sketch=pb.Sketch(symbols=bytes((SKETCH_SYMBOLS_MAX + 1) * SYMBOL_BYTES))),
        pb.Frame(offers=pb.Offers(cursor=b"c" * (CURSOR_BYTES_MAX + 1))),
        pb.Frame(offers=pb.Offers(logs=[pb.OfferedLog()] * (PAGE_LOGS_MAX + 1))),
        offered(*((n * 2, n * 2) for n in range(LOG_RANGES_MAX + 1))),
        pb.Frame(want=pb.Want(logs=[pb.LogRanges(ranges=[ONE])] * (PAGE_LOGS_MAX + 1))),
        pb.Frame(
            want=pb.Want(logs=[pb.LogRanges(ranges=[ONE] * (WANT_RANGES_MAX + LOG_RANGES_MAX + 1))])
        ),
        pb.Frame(blobs=pb.Blobs(blobs=[pb.Blob()] * (FRAME_BLOBS_MAX + 1))),
        pb.Frame(blobs=pb.Blobs(origins=[b"o" * 36] * (FRAME_BLOBS_MAX + 1))),
        blob(size_bytes=BLOB_BYTES_MAX + 1),
    ],
)
def test_too_large(message: pb.Frame) -> None:
    with pytest.raises(FrameTooLarge):
        decode(message)


def test_a_long_reason_is_cut() -> None:
    frame = decode(pb.Frame(end=pb.End(reason="r" * (REASON_LENGTH_MAX + 1))))
    assert frame == End("r" * REASON_LENGTH_MAX)
