"""Frames of a sync session as a peer sent them, every bound checked; `encoding.py` writes them.

A frame that is returned is well-formed: ids are ids, ranges ascend and are disjoint, lengths and
counts are within the limits, unknown fields are ignored. Anything else is `FrameMalformed` or
`FrameTooLarge`. What a frame may mean at this moment is the session's to judge.

A decoder is of one direction of one session, since frames build on those before them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from struct import unpack
from typing import Final

from google.protobuf.message import DecodeError

from meshbox.core.address import PORT_MAX, Endpoint
from meshbox.core.errors import FrameMalformed, FrameTooLarge, InvalidId
from meshbox.core.ids import (
    LOG_KEY_BYTES,
    NODE_KEY_BYTES,
    ORIGIN_TAG_BYTES,
    BlobClass,
    LogId,
    LogKey,
    Namespace,
    Origin,
    Topic,
    node_id_of,
    parse_author,
    parse_topic,
)
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
    PAGE_RUNS_MAX,
    REASON_LENGTH_MAX,
    SKETCH_SYMBOLS_MAX,
    SOFTWARE_LENGTH_MAX,
    TOLD_FRAME_MAX,
    WANT_RANGES_MAX,
    WAYS_OUT_MAX,
)
from meshbox.core.ranges import SeqRanges
from meshbox.core.reconcile import DIGEST_BYTES, ELEMENT_BYTES, SYMBOL_BYTES, Digest
from meshbox.core.session.assembly import CONTENT_HASH_BYTES
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
from meshbox.core.topics import TOPIC_HASH_BYTES
from meshbox.core.way_out import WAY_HASH_BYTES
from meshbox.wire.names import IN_FULL, NameRing
from meshbox.wire.v1 import sync_pb2 as pb

NONCE_BYTES: Final = 32
EPOCH_ID_BYTES: Final = 16
FINGERPRINT_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

_CLASSES: Final = tuple(BlobClass)
_NAMESPACES: Final = tuple(Namespace)


class FrameDecoder:
    """Reads the frames of one direction of one session, in their order."""

    def __init__(self) -> None:
        self._logs: NameRing[LogId] = NameRing()
        self._topics: NameRing[Topic] = NameRing()
        self._origins: NameRing[Origin] = NameRing()
        self._cursor = b""
        self._decoders: dict[str, Callable[[pb.Frame], Frame]] = {
            "hello": _hello,
            "proof": _proof,
            "resume": _resume,
            "ask_sketch": _ask_sketch,
            "sketch": _sketch,
            "ask_difference": _ask_difference,
            "difference": _difference,
            "offers": self._offers,
            "ask_logs": _ask_logs,
            "want": _want,
            "blobs": self._blobs,
            "gone": _gone,
            "settled": _settled,
            "addresses": _addresses,
            "end": _end,
        }

    def decode(self, raw: bytes) -> Frame:
        """The next frame, which the peer sent as `raw`; `FrameMalformed`, `FrameTooLarge`."""
        try:
            message = pb.Frame.FromString(raw)
        except DecodeError as error:
            raise FrameMalformed("not a frame at all") from error
        body = message.WhichOneof("body")
        if body is None:
            raise FrameMalformed("a frame without a body that this version knows")
        return self._decoders[body](message)

    def _offers(self, message: pb.Frame) -> Offers:
        offers = message.offers
        _bounded(len(offers.logs), PAGE_LOGS_MAX, "logs of a page")
        run_count = sum(len(log.runs) for log in offers.logs)
        _bounded(run_count, PAGE_RUNS_MAX + LOG_RANGES_MAX, "runs of a page")
        logs = tuple(self._offered_log(log) for log in offers.logs)
        return Offers(offers.page, logs, self._next_cursor(offers), offers.fresh, offers.answers)

    def _next_cursor(self, offers: pb.Offers) -> bytes:
        if offers.cursor_common > len(self._cursor):
            raise FrameMalformed("a cursor that has more in common than the last one had")
        cursor = self._cursor[: offers.cursor_common] + offers.cursor
        _bounded(len(cursor), CURSOR_BYTES_MAX, "bytes of a cursor")
        if cursor:
            self._cursor = cursor
        return cursor

    def _offered_log(self, message: pb.OfferedLog) -> OfferedLog:
        runs = _runs(message.runs)
        if message.known != IN_FULL:
            return OfferedLog(self._logs.hear(message.known), runs)
        log = self._log_id(message)
        self._logs.remember(log)
        return OfferedLog(log, runs)

    def _log_id(self, message: pb.OfferedLog) -> LogId:
        if message.namespace >= len(_NAMESPACES):
            raise FrameMalformed(f"namespace {message.namespace} is unknown")
        try:
            topic = self._topic(message)
            author = parse_author(message.author_hex.hex() or message.author_text)
        except InvalidId as error:
            raise FrameMalformed(error.message) from error
        return LogId(_NAMESPACES[message.namespace], topic, author)

    def _topic(self, message: pb.OfferedLog) -> Topic:
        if message.topic_known != IN_FULL:
            return self._topics.hear(message.topic_known)
        topic = parse_topic(message.topic_hex.hex() or message.topic_text)
        self._topics.remember(topic)
        return topic

    def _blobs(self, message: pb.Frame) -> Blobs:
        blobs = message.blobs.blobs
        _bounded(len(blobs), FRAME_BLOBS_MAX, "blobs of a frame")
        return Blobs(tuple(self._blob_part(blob) for blob in blobs))

    def _blob_part(self, blob: pb.Blob) -> BlobPart:
        size_bytes = blob.size_bytes or len(blob.data)
        _bounded(size_bytes, BLOB_BYTES_MAX, "bytes of a blob")
        if blob.content_hash or blob.size_bytes:
            _sized(blob.content_hash, CONTENT_HASH_BYTES, "content hash")
        return BlobPart(
            blob.page,
            blob.log,
            blob.seq,
            _blob_class(blob.blob_class),
            blob.age_ms,
            self._origin(blob),
            blob.content_hash,
            size_bytes,
            blob.offset,
            blob.data,
        )

    def _origin(self, blob: pb.Blob) -> Origin:
        if blob.origin != IN_FULL:
            return self._origins.hear(blob.origin)
        raw = _sized(blob.origin_name, NODE_KEY_BYTES + ORIGIN_TAG_BYTES, "origin")
        origin = Origin(raw[:NODE_KEY_BYTES], raw[NODE_KEY_BYTES:])
        self._origins.remember(origin)
        return origin


def _hello(message: pb.Frame) -> Hello:
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
        topics=_hashes(hello.topics, TOPIC_HASH_BYTES, CARRIED_TOPICS_MAX, "topics carried"),
        ways_out=_hashes(hello.ways_out, WAY_HASH_BYTES, WAYS_OUT_MAX, "ways out"),
        sync_port=_port(hello.sync_port, least=0),
        hears_addresses=hello.hears_addresses,
    )


def _hashes(told: bytes, size_bytes: int, count_max: int, what: str) -> bytes:
    if len(told) % size_bytes:
        raise FrameMalformed(f"the last of the {what} is cut")
    _bounded(len(told) // size_bytes, count_max, what)
    return told


def _proof(message: pb.Frame) -> Proof:
    return Proof(_sized(message.proof.signature, SIGNATURE_BYTES, "signature"))


def _resume(message: pb.Frame) -> Resume:
    cursors = tuple(message.resume.cursors)
    _bounded(len(cursors), CURSORS_OFFERED_MAX, "cursors")
    for cursor in cursors:
        _bounded(len(cursor), CURSOR_BYTES_MAX, "bytes of a cursor")
    return Resume(cursors)


def _ask_sketch(message: pb.Frame) -> AskSketch:
    return AskSketch(message.ask_sketch.symbols)


def _sketch(message: pb.Frame) -> Sketch:
    sketch = message.sketch
    _bounded(len(sketch.symbols), SKETCH_SYMBOLS_MAX * SYMBOL_BYTES, "bytes of symbols")
    if len(sketch.symbols) % SYMBOL_BYTES:
        raise FrameMalformed("a symbol is cut")
    total = int.from_bytes(_sized(sketch.digest, DIGEST_BYTES, "digest"), "little")
    return Sketch(Digest(total, sketch.elements), sketch.first, sketch.symbols)


def _ask_difference(_: pb.Frame) -> AskDifference:
    return AskDifference()


def _difference(message: pb.Frame) -> Difference:
    difference = message.difference
    if difference.list_all:
        return Difference(None)
    count, rest = divmod(len(difference.elements), ELEMENT_BYTES)
    _bounded(count, SKETCH_SYMBOLS_MAX, "elements that differ")
    if rest:
        raise FrameMalformed("an element is cut")
    return Difference(unpack(f"<{count}Q", difference.elements))


def _ask_logs(message: pb.Frame) -> AskLogs:
    keys = message.ask_logs.keys
    count, rest = divmod(len(keys), LOG_KEY_BYTES)
    _bounded(count, PAGE_LOGS_MAX, "logs asked for")
    if rest or not count:
        raise FrameMalformed("logs are asked for by keys of 16 bytes, one at least")
    starts = range(0, len(keys), LOG_KEY_BYTES)
    return AskLogs(tuple(LogKey(keys[at : at + LOG_KEY_BYTES]) for at in starts))


def _want(message: pb.Frame) -> Want:
    want = message.want
    _bounded(len(want.begun), BEGINNINGS_MAX, "blobs begun")
    begun = tuple(_begun(each) for each in want.begun)
    _bounded(want.credit, CREDIT_BYTES_MAX, "bytes of credit")
    return Want(want.page, _page_ranges(want.logs), begun, want.credit)


def _begun(begun: pb.Begun) -> Begun:
    _bounded(begun.offset, BLOB_BYTES_MAX, "bytes of a blob begun")
    whole = _sized(begun.content_hash, CONTENT_HASH_BYTES, "content hash")
    return Begun(begun.log, begun.seq, whole, begun.offset)


def _gone(message: pb.Frame) -> Gone:
    return Gone(message.gone.page, _page_ranges(message.gone.logs))


def _settled(message: pb.Frame) -> Settled:
    return Settled(message.settled.page)


def _addresses(message: pb.Frame) -> Addresses:
    peers = message.addresses.peers
    _bounded(len(peers), TOLD_FRAME_MAX, "peers of a frame")
    return Addresses(tuple(map(_peer_at, peers)))


def _peer_at(peer: pb.PeerAt) -> PeerAt:
    node_id = node_id_of(_sized(peer.node_key, NODE_KEY_BYTES, "node key"))
    if len(peer.ip) not in (4, 16):
        raise FrameMalformed(f"an address of {len(peer.ip)} bytes")
    return PeerAt(node_id, Endpoint(str(ipaddress.ip_address(peer.ip)), _port(peer.port, least=1)))


def _port(number: int, *, least: int) -> int:
    if not least <= number <= PORT_MAX:
        raise FrameMalformed(f"{number} is not a port")
    return number


def _end(message: pb.Frame) -> End:
    end = message.end
    return End(
        _short(end.reason, REASON_LENGTH_MAX, "reason"),
        _short(end.detail, REASON_LENGTH_MAX, "detail"),
    )


def _runs(messages: Iterable[pb.OfferedRun]) -> tuple[OfferedRun, ...]:
    runs: list[OfferedRun] = []
    end = 0
    for run in messages:
        if run.first < end or run.last < run.first:
            raise FrameMalformed("runs that do not ascend")
        end = run.last + 1
        runs.append(
            OfferedRun(
                run.first,
                end,
                _blob_class(run.blob_class),
                run.bytes if run.HasField("bytes") else run.largest_bytes * (end - run.first),
                run.largest_bytes,
                run.age_least_ms,
            )
        )
    if not runs:
        raise FrameMalformed("a log without runs")
    _bounded(len(runs), LOG_RANGES_MAX, "runs of a log")
    return tuple(runs)


def _page_ranges(logs: Iterable[pb.LogRanges]) -> tuple[PageRanges, ...]:
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
