"""Frames of a sync session to protobuf and back, every bound checked on the way in.

A frame that `decode` returns is well-formed: ids are ids, ranges ascend and are disjoint, lengths
and counts are within the limits, unknown fields are ignored. Anything else is `FrameMalformed` or
`FrameTooLarge`. What a frame may mean at this moment is the session's to judge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from google.protobuf.message import DecodeError

from meshbox.core.errors import FrameMalformed, FrameTooLarge, InvalidId
from meshbox.core.ids import (
    NODE_KEY_BYTES,
    ORIGIN_TAG_BYTES,
    BlobClass,
    LogId,
    Namespace,
    Origin,
    parse_author,
    parse_topic,
)
from meshbox.core.limits import (
    BLOB_BYTES_MAX,
    CURSOR_BYTES_MAX,
    CURSORS_OFFERED_MAX,
    FRAME_BLOBS_MAX,
    LOG_RANGES_MAX,
    PAGE_LOGS_MAX,
    PAGE_RUNS_MAX,
    REASON_LENGTH_MAX,
    SKETCH_SYMBOLS_MAX,
    SOFTWARE_LENGTH_MAX,
    WANT_RANGES_MAX,
)
from meshbox.core.ranges import SeqRanges
from meshbox.core.reconcile import DIGEST_BYTES, SYMBOL_BYTES, Digest
from meshbox.core.session.assembly import CONTENT_HASH_BYTES
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
from meshbox.wire.v1 import sync_pb2 as pb

NONCE_BYTES: Final = 32
EPOCH_ID_BYTES: Final = 16
FINGERPRINT_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

_CLASSES: Final = tuple(BlobClass)
_NAMESPACES: Final = tuple(Namespace)


def to_bytes(frame: Frame) -> bytes:
    """A frame of ours as it goes over the wire."""
    return encode(frame).SerializeToString()


def from_bytes(raw: bytes) -> Frame:
    """The frame that a peer sent as `raw`; `FrameMalformed`, `FrameTooLarge`."""
    try:
        message = pb.Frame.FromString(raw)
    except DecodeError as error:
        raise FrameMalformed("not a frame at all") from error
    return decode(message)


def encode(frame: Frame) -> pb.Frame:
    """The protobuf message of a frame of ours."""
    match frame:
        case Hello():
            return pb.Frame(hello=_hello_to(frame))
        case Proof():
            return pb.Frame(proof=pb.Proof(signature=frame.signature))
        case Resume():
            return pb.Frame(resume=pb.Resume(cursors=frame.cursors))
        case AskSketch():
            return pb.Frame(ask_sketch=pb.AskSketch(symbols=frame.symbols))
        case Sketch():
            return pb.Frame(sketch=_sketch_to(frame))
        case Offers():
            return pb.Frame(offers=_offers_to(frame))
        case Want():
            return pb.Frame(want=pb.Want(page=frame.page, logs=_page_ranges_to(frame.logs)))
        case Blobs():
            return pb.Frame(blobs=_blobs_to(frame))
        case Gone():
            return pb.Frame(gone=pb.Gone(page=frame.page, logs=_page_ranges_to(frame.logs)))
        case Settled():
            return pb.Frame(settled=pb.Settled(page=frame.page))
        case End():
            return pb.Frame(end=pb.End(reason=frame.reason, detail=frame.detail))


def decode(message: pb.Frame) -> Frame:
    """The frame of a peer; `FrameMalformed` or `FrameTooLarge` for what no frame may be."""
    body = message.WhichOneof("body")
    if body is None:
        raise FrameMalformed("a frame without a body that this version knows")
    return _DECODERS[body](message)


def _hello_to(hello: Hello) -> pb.Hello:
    return pb.Hello(
        version_min=hello.version_min,
        version_max=hello.version_max,
        node_key=hello.node_key,
        nonce=hello.nonce,
        leaf_fingerprint=hello.leaf_fingerprint,
        epoch_id=hello.epoch_id,
        frame_bytes_max=hello.frame_bytes_max,
        blob_bytes_max=hello.blob_bytes_max,
        software=hello.software,
        logs=hello.totals.logs,
        blobs=hello.totals.blobs,
        bytes=hello.totals.bytes,
    )


def _hello_from(message: pb.Frame) -> Hello:
    hello = message.hello
    if hello.leaf_fingerprint:
        _sized(hello.leaf_fingerprint, FINGERPRINT_BYTES, "leaf fingerprint")
    return Hello(
        node_key=_sized(hello.node_key, NODE_KEY_BYTES, "node key"),
        nonce=_sized(hello.nonce, NONCE_BYTES, "nonce"),
        epoch_id=_sized(hello.epoch_id, EPOCH_ID_BYTES, "epoch id"),
        leaf_fingerprint=hello.leaf_fingerprint,
        version_min=hello.version_min,
        version_max=hello.version_max,
        frame_bytes_max=hello.frame_bytes_max,
        blob_bytes_max=hello.blob_bytes_max,
        software=_short(hello.software, SOFTWARE_LENGTH_MAX, "software"),
        totals=Totals(hello.logs, hello.blobs, hello.bytes),
    )


def _proof_from(message: pb.Frame) -> Proof:
    return Proof(_sized(message.proof.signature, SIGNATURE_BYTES, "signature"))


def _resume_from(message: pb.Frame) -> Resume:
    cursors = tuple(message.resume.cursors)
    _bounded(len(cursors), CURSORS_OFFERED_MAX, "cursors")
    for cursor in cursors:
        _bounded(len(cursor), CURSOR_BYTES_MAX, "bytes of a cursor")
    return Resume(cursors)


def _ask_sketch_from(message: pb.Frame) -> AskSketch:
    return AskSketch(message.ask_sketch.symbols)


def _sketch_to(sketch: Sketch) -> pb.Sketch:
    return pb.Sketch(
        digest=sketch.digest.total.to_bytes(DIGEST_BYTES, "little"),
        elements=sketch.digest.elements,
        first=sketch.first,
        symbols=sketch.symbols,
    )


def _sketch_from(message: pb.Frame) -> Sketch:
    sketch = message.sketch
    _bounded(len(sketch.symbols), SKETCH_SYMBOLS_MAX * SYMBOL_BYTES, "bytes of symbols")
    if len(sketch.symbols) % SYMBOL_BYTES:
        raise FrameMalformed("a symbol is cut")
    total = int.from_bytes(_sized(sketch.digest, DIGEST_BYTES, "digest"), "little")
    return Sketch(Digest(total, sketch.elements), sketch.first, sketch.symbols)


def _offers_to(offers: Offers) -> pb.Offers:
    return pb.Offers(
        page=offers.page,
        cursor=offers.cursor,
        logs=[
            pb.OfferedLog(
                namespace=offer.log.namespace,
                topic=offer.log.topic,
                author=offer.log.author,
                runs=[
                    pb.OfferedRun(
                        first=run.first,
                        last=run.end - 1,
                        blob_class=pb.BlobClass.ValueType(run.blob_class),
                        bytes=run.bytes,
                        largest_bytes=run.largest_bytes,
                        age_least_ms=run.age_least_ms,
                    )
                    for run in offer.runs
                ],
            )
            for offer in offers.logs
        ],
    )


def _offers_from(message: pb.Frame) -> Offers:
    offers = message.offers
    _bounded(len(offers.logs), PAGE_LOGS_MAX, "logs of a page")
    run_count = sum(len(log.runs) for log in offers.logs)
    _bounded(run_count, PAGE_RUNS_MAX + LOG_RANGES_MAX, "runs of a page")
    _bounded(len(offers.cursor), CURSOR_BYTES_MAX, "bytes of a cursor")
    return Offers(offers.page, tuple(_offered_log(log) for log in offers.logs), offers.cursor)


def _offered_log(message: pb.OfferedLog) -> OfferedLog:
    _bounded(len(message.runs), LOG_RANGES_MAX, "runs of a log")
    runs: list[OfferedRun] = []
    end = 0
    for run in message.runs:
        if run.first < end or run.last < run.first:
            raise FrameMalformed("runs that do not ascend")
        end = run.last + 1
        runs.append(
            OfferedRun(
                run.first,
                end,
                _blob_class(run.blob_class),
                run.bytes,
                run.largest_bytes,
                run.age_least_ms,
            )
        )
    if not runs:
        raise FrameMalformed("a log without runs")
    return OfferedLog(_log_id(message), tuple(runs))


def _log_id(message: pb.OfferedLog) -> LogId:
    if message.namespace >= len(_NAMESPACES):
        raise FrameMalformed(f"namespace {message.namespace} is unknown")
    try:
        topic, author = parse_topic(message.topic), parse_author(message.author)
    except InvalidId as error:
        raise FrameMalformed(error.message) from error
    return LogId(_NAMESPACES[message.namespace], topic, author)


def _page_ranges_to(logs: Iterable[PageRanges]) -> list[pb.LogRanges]:
    return [
        pb.LogRanges(
            log=place,
            ranges=[pb.SeqRange(first=first, last=end - 1) for first, end in ranges],
        )
        for place, ranges in logs
    ]


def _page_ranges_from(logs: Iterable[pb.LogRanges]) -> tuple[PageRanges, ...]:
    taken: list[PageRanges] = []
    range_count = 0
    for log in logs:
        range_count += len(log.ranges)
        _bounded(range_count, WANT_RANGES_MAX + LOG_RANGES_MAX, "ranges of a frame")
        if any(pair.last < pair.first for pair in log.ranges) or not log.ranges:
            raise FrameMalformed("a range that ends before it begins")
        ranges = SeqRanges((pair.first, pair.last + 1) for pair in log.ranges)
        taken.append(PageRanges(log.log, ranges))
    _bounded(len(taken), PAGE_LOGS_MAX, "logs of a frame")
    return tuple(taken)


def _want_from(message: pb.Frame) -> Want:
    return Want(message.want.page, _page_ranges_from(message.want.logs))


def _gone_from(message: pb.Frame) -> Gone:
    return Gone(message.gone.page, _page_ranges_from(message.gone.logs))


def _blobs_to(blobs: Blobs) -> pb.Blobs:
    origins: dict[Origin, int] = {}
    parts = [
        pb.Blob(
            page=part.page,
            log=part.log,
            seq=part.seq,
            blob_class=pb.BlobClass.ValueType(part.blob_class),
            age_ms=part.age_ms,
            origin=origins.setdefault(part.origin, len(origins)),
            content_hash=part.content_hash,
            size_bytes=part.size_bytes,
            offset=part.offset,
            data=part.data,
        )
        for part in blobs.parts
    ]
    return pb.Blobs(origins=[node + tag for node, tag in origins], blobs=parts)


def _blobs_from(message: pb.Frame) -> Blobs:
    blobs = message.blobs
    _bounded(len(blobs.blobs), FRAME_BLOBS_MAX, "blobs of a frame")
    _bounded(len(blobs.origins), FRAME_BLOBS_MAX, "origins of a frame")
    origins = tuple(_origin(origin) for origin in blobs.origins)
    return Blobs(tuple(_blob_part(blob, origins) for blob in blobs.blobs))


def _blob_part(blob: pb.Blob, origins: tuple[Origin, ...]) -> BlobPart:
    if blob.origin >= len(origins):
        raise FrameMalformed("a blob without an origin")
    _bounded(blob.size_bytes, BLOB_BYTES_MAX, "bytes of a blob")
    return BlobPart(
        blob.page,
        blob.log,
        blob.seq,
        _blob_class(blob.blob_class),
        blob.age_ms,
        origins[blob.origin],
        _sized(blob.content_hash, CONTENT_HASH_BYTES, "content hash"),
        blob.size_bytes,
        blob.offset,
        blob.data,
    )


def _origin(raw: bytes) -> Origin:
    _sized(raw, NODE_KEY_BYTES + ORIGIN_TAG_BYTES, "origin")
    return Origin(raw[:NODE_KEY_BYTES], raw[NODE_KEY_BYTES:])


def _settled_from(message: pb.Frame) -> Settled:
    return Settled(message.settled.page)


def _end_from(message: pb.Frame) -> End:
    end = message.end
    return End(
        _short(end.reason, REASON_LENGTH_MAX, "reason"),
        _short(end.detail, REASON_LENGTH_MAX, "detail"),
    )


_DECODERS: Final[dict[str, Callable[[pb.Frame], Frame]]] = {
    "hello": _hello_from,
    "proof": _proof_from,
    "resume": _resume_from,
    "ask_sketch": _ask_sketch_from,
    "sketch": _sketch_from,
    "offers": _offers_from,
    "want": _want_from,
    "blobs": _blobs_from,
    "gone": _gone_from,
    "settled": _settled_from,
    "end": _end_from,
}


def _blob_class(number: int) -> BlobClass:
    if number not in (0, 1):
        raise FrameMalformed(f"blob class {number} is unknown")
    return _CLASSES[number]


def _sized(raw: bytes, size: int, what: str) -> bytes:
    if len(raw) != size:
        raise FrameMalformed(f"{what} has {len(raw)} bytes, not {size}")
    return raw


def _short(text: str, length_max: int, what: str) -> str:
    if not text.isprintable():
        raise FrameMalformed(f"{what} has characters that cannot be printed")
    return text[:length_max]


def _bounded(count: int, count_max: int, what: str) -> None:
    if count > count_max:
        raise FrameTooLarge(f"{count} {what}, at most {count_max} are allowed")
