"""Frames survive the wire, one after another, and what was named once is not named again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.address import Endpoint
from meshbox.core.ids import (
    BlobClass,
    LogId,
    LogKey,
    Namespace,
    Origin,
    node_id_of,
    parse_author,
    parse_topic,
)
from meshbox.core.limits import (
    BLOB_BYTES_MAX,
    CREDIT_BYTES_MAX,
    CURSORS_OFFERED_MAX,
    TOLD_FRAME_MAX,
)
from meshbox.core.ranges import SEQ_END, SeqRanges
from meshbox.core.reconcile import SYMBOL_BYTES, Digest
from meshbox.core.session.frames import (
    Addresses,
    AskDifference,
    AskLogs,
    AskSketch,
    Begun,
    BlobPart,
    Blobs,
    Difference,
    End,
    Frame,
    Gone,
    Hello,
    OfferedLog,
    OfferedRun,
    Offers,
    PageRanges,
    PeerAt,
    Proof,
    Resume,
    Settled,
    Sketch,
    Totals,
    Want,
)
from meshbox.wire.decoding import FrameDecoder
from meshbox.wire.encoding import FrameEncoder

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
    size_bytes=st.integers(1, BLOB_BYTES_MAX),
    offset=u64,
    data=st.binary(max_size=50),
).map(lambda part: part._replace(content_hash=b"") if part.size_bytes == len(part.data) else part)
peers_at = st.builds(
    PeerAt,
    sized(32).map(node_id_of),
    st.builds(Endpoint, st.ip_addresses().map(str), st.integers(1, 2**16 - 1)),
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
    sync_port=st.integers(0, 2**16 - 1),
    hears_addresses=st.booleans(),
    reads_numbers=st.booleans(),
    topics=st.sampled_from([0, 1, 3]).flatmap(lambda count: sized(8 * count)),
    ways_out=st.sampled_from([0, 1, 3]).flatmap(lambda count: sized(8 * count)),
)
frames = st.one_of(
    hellos,
    st.builds(Proof, sized(64)),
    st.builds(Resume, st.lists(st.binary(max_size=80), max_size=CURSORS_OFFERED_MAX).map(tuple)),
    st.builds(AskSketch, u32),
    st.just(AskDifference()),
    st.just(Difference(None)),
    st.builds(Difference, st.lists(u64, max_size=5).map(tuple)),
    st.builds(
        Sketch,
        st.builds(Digest, st.integers(0, 2**128 - 1), u64),
        u32,
        st.binary(max_size=8).map(lambda raw: raw * SYMBOL_BYTES),
    ),
    st.builds(
        Offers,
        u32,
        st.lists(st.builds(OfferedLog, logs, runs())).map(tuple),
        st.binary(max_size=9),
        st.booleans(),
    ),
    st.builds(Offers, u32, st.just(()), st.just(b""), answers=st.booleans()),
    st.builds(AskLogs, st.lists(sized(16).map(LogKey), min_size=1, max_size=9).map(tuple)),
    st.builds(
        Want,
        u32,
        page_ranges,
        st.lists(st.builds(Begun, u32, u64, sized(32), st.integers(0, 2**20))).map(tuple),
        st.integers(0, CREDIT_BYTES_MAX),
    ),
    st.builds(Gone, u32, page_ranges),
    st.builds(Blobs, st.lists(parts, max_size=5).map(tuple)),
    st.builds(Settled, u32),
    st.builds(Addresses, st.lists(peers_at, max_size=TOLD_FRAME_MAX).map(tuple)),
    st.builds(End, st.just("peer.stalled"), st.just("said why")),
)


@given(st.lists(frames, max_size=8), st.booleans())
def test_frames_survive_the_wire(many: list[Frame], in_numbers: bool) -> None:
    encoder, decoder = FrameEncoder(), FrameDecoder()
    encoder.offers_in_numbers = in_numbers
    assert [decoder.decode(encoder.encode(frame)) for frame in many] == many


def page(number: int, *authors: str, cursor: bytes = b"") -> Offers:
    run = OfferedRun(0, 1, BlobClass.OPAQUE, 1000, 1000, 0)
    topic = parse_topic("ab" * 32)
    ids = (LogId(Namespace.LOGS, topic, parse_author(author)) for author in authors)
    return Offers(number, tuple(OfferedLog(log, (run,)) for log in ids), cursor)


def test_a_log_is_named_once() -> None:
    encoder, author = FrameEncoder(), "cd" * 32
    first = len(encoder.encode(page(1, author)))
    again = len(encoder.encode(page(2, author)))
    assert first - again > 64  # The 32 bytes of each of the two ids, at least.
    assert again < 25


def test_a_known_log_takes_five_bytes_where_the_peer_reads_numbers() -> None:
    encoder, decoder = FrameEncoder(), FrameDecoder()
    encoder.offers_in_numbers = True
    authors = [f"{number:064x}" for number in range(200)]
    offers = [page(1, *authors), page(2, *authors[100:], "f" * 64, *authors[:100])]
    raws = [encoder.encode(each) for each in offers]
    assert [decoder.decode(raw) for raw in raws] == offers
    assert len(raws[1]) < 200 * 5 + 60


def test_a_topic_is_named_once() -> None:
    encoder = FrameEncoder()
    first, other = (len(encoder.encode(page(1, author * 32))) for author in ("cd", "ef"))
    assert first - other > 28


def test_ids_of_hexadecimal_digits_take_half_the_bytes() -> None:
    lower = len(FrameEncoder().encode(page(1, "cd" * 32)))
    upper = len(FrameEncoder().encode(page(1, "CD" * 32)))
    assert upper - lower == 32


def test_a_cursor_is_sent_as_far_as_it_differs_from_the_last() -> None:
    encoder, decoder = FrameEncoder(), FrameDecoder()
    pages = [page(1, "a", cursor=b"c" * 50 + b"1"), page(2, "a"), page(3, "a", cursor=b"c" * 51)]
    raws = [encoder.encode(offers) for offers in pages]
    assert [decoder.decode(raw) for raw in raws] == pages
    assert len(raws[2]) < len(raws[1]) + 8


def test_a_whole_blob_is_sent_without_its_hash_and_its_origin_once() -> None:
    encoder = FrameEncoder()
    origin, data = Origin(b"n" * 32, b"t" * 4), b"d" * 1000
    blobs = [
        Blobs((BlobPart(1, 0, seq, BlobClass.OPAQUE, 5, origin, b"", len(data), 0, data),))
        for seq in range(2)
    ]
    first, again = (len(encoder.encode(frame)) for frame in blobs)
    assert first - again > 30
    assert again - len(data) < 24
