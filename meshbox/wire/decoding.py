"""Frames of a sync session as a peer sent them, every bound checked; `encoding.py` writes them.

A frame that is returned is well-formed: ids are ids, ranges ascend and are disjoint, lengths and
counts are within the limits, unknown fields are ignored. Anything else is `FrameMalformed` or
`FrameTooLarge`. What a frame may mean at this moment is the session's to judge.

A decoder is of one direction of one session, since frames build on those before them.

Over 300 lines: one short function a frame, and their names.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from struct import unpack
from typing import Final

from google.protobuf.message import DecodeError

from meshbox.core.address import Endpoint
from meshbox.core.errors import FrameMalformed, InvalidId
from meshbox.core.ids import (
    LOG_KEY_BYTES,
    NODE_KEY_BYTES,
    ORIGIN_TAG_BYTES,
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
    WAYS_OUT_MAX,
)
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
    Offers,
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
from meshbox.wire.checks import (
    blob_class_of,
    bounded,
    hashes,
    offered_runs,
    page_ranges,
    port,
    short,
    sized,
)
from meshbox.wire.names import IN_FULL, NameRing
from meshbox.wire.offer_numbers import offered_in
from meshbox.wire.v1 import sync_pb2 as pb

NONCE_BYTES: Final = 32
EPOCH_ID_BYTES: Final = 16
FINGERPRINT_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

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
        bounded(len(offers.logs), PAGE_LOGS_MAX, "logs of a page")
        run_count = sum(len(log.runs) for log in offers.logs)
        bounded(run_count, PAGE_RUNS_MAX + LOG_RANGES_MAX, "runs of a page")
        if offers.numbers:
            logs = self._in_numbers(offers)
        else:
            logs = tuple(self._offered_log(log) for log in offers.logs)
        return Offers(offers.page, logs, self._next_cursor(offers), offers.fresh, offers.answers)

    def _in_numbers(self, offers: pb.Offers) -> tuple[OfferedLog, ...]:
        """Each log's name is in full in `logs`, one after the other, or known."""
        names = iter(offers.logs)
        logs: list[OfferedLog] = []
        run_count = 0
        for known, runs in offered_in(offers.numbers):
            run_count += len(runs)
            bounded(run_count, PAGE_RUNS_MAX + LOG_RANGES_MAX, "runs of a page")
            bounded(len(logs) + 1, PAGE_LOGS_MAX, "logs of a page")
            if known != IN_FULL:
                logs.append(OfferedLog(self._logs.hear(known), runs))
            elif (name := next(names, None)) is not None:
                logs.append(OfferedLog(self._named(name), runs))
            else:
                raise FrameMalformed("a log of a page has no name")
        if next(names, None) is not None:
            raise FrameMalformed("a name of a page has no log")
        return tuple(logs)

    def _next_cursor(self, offers: pb.Offers) -> bytes:
        if offers.cursor_common > len(self._cursor):
            raise FrameMalformed("a cursor that has more in common than the last one had")
        cursor = self._cursor[: offers.cursor_common] + offers.cursor
        bounded(len(cursor), CURSOR_BYTES_MAX, "bytes of a cursor")
        if cursor:
            self._cursor = cursor
        return cursor

    def _offered_log(self, message: pb.OfferedLog) -> OfferedLog:
        runs = offered_runs(message.runs)
        if message.known != IN_FULL:
            return OfferedLog(self._logs.hear(message.known), runs)
        return OfferedLog(self._named(message), runs)

    def _named(self, message: pb.OfferedLog) -> LogId:
        """The log that is named in full, which is known from now on."""
        log = self._log_id(message)
        self._logs.remember(log)
        return log

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
        parts = message.blobs.parts
        bounded(len(parts), FRAME_BLOBS_MAX, "blobs of a frame")
        return Blobs(tuple(self._part(part) for part in parts))

    def _part(self, part: pb.BlobPart) -> BlobPart:
        size_bytes = part.size_bytes or len(part.data)
        bounded(size_bytes, BLOB_BYTES_MAX, "bytes of a blob")
        if part.content_hash or part.size_bytes:
            sized(part.content_hash, CONTENT_HASH_BYTES, "content hash")
        return BlobPart(
            part.page,
            part.log,
            part.seq,
            blob_class_of(part.blob_class),
            part.age_ms,
            self._origin(part),
            part.content_hash,
            size_bytes,
            part.offset,
            part.data,
        )

    def _origin(self, part: pb.BlobPart) -> Origin:
        if part.origin != IN_FULL:
            return self._origins.hear(part.origin)
        raw = sized(part.origin_name, NODE_KEY_BYTES + ORIGIN_TAG_BYTES, "origin")
        origin = Origin(raw[:NODE_KEY_BYTES], raw[NODE_KEY_BYTES:])
        self._origins.remember(origin)
        return origin


def _hello(message: pb.Frame) -> Hello:
    hello = message.hello
    if hello.leaf_fingerprint:
        sized(hello.leaf_fingerprint, FINGERPRINT_BYTES, "leaf fingerprint")
    return Hello(
        node_key=sized(hello.node_key, NODE_KEY_BYTES, "node key"),
        nonce=sized(hello.nonce, NONCE_BYTES, "nonce"),
        epoch_id=sized(hello.epoch_id, EPOCH_ID_BYTES, "epoch id"),
        leaf_fingerprint=hello.leaf_fingerprint,
        version_min=hello.version_min,
        version_max=hello.version_max,
        frame_bytes_max=hello.frame_bytes_max,
        blob_bytes_max=hello.blob_bytes_max,
        software=short(hello.software, SOFTWARE_LENGTH_MAX, "software"),
        totals=Totals(hello.logs, hello.blobs, hello.bytes),
        topics=hashes(hello.topics, TOPIC_HASH_BYTES, CARRIED_TOPICS_MAX, "topics carried"),
        ways_out=hashes(hello.ways_out, WAY_HASH_BYTES, WAYS_OUT_MAX, "ways out"),
        sync_port=port(hello.sync_port, least=0),
        hears_addresses=hello.hears_addresses,
        reads_numbers=hello.reads_numbers,
    )


def _proof(message: pb.Frame) -> Proof:
    return Proof(sized(message.proof.signature, SIGNATURE_BYTES, "signature"))


def _resume(message: pb.Frame) -> Resume:
    cursors = tuple(message.resume.cursors)
    bounded(len(cursors), CURSORS_OFFERED_MAX, "cursors")
    for cursor in cursors:
        bounded(len(cursor), CURSOR_BYTES_MAX, "bytes of a cursor")
    return Resume(cursors)


def _ask_sketch(message: pb.Frame) -> AskSketch:
    return AskSketch(message.ask_sketch.symbols)


def _sketch(message: pb.Frame) -> Sketch:
    sketch = message.sketch
    bounded(len(sketch.symbols), SKETCH_SYMBOLS_MAX * SYMBOL_BYTES, "bytes of symbols")
    if len(sketch.symbols) % SYMBOL_BYTES:
        raise FrameMalformed("a symbol is cut")
    total = int.from_bytes(sized(sketch.digest, DIGEST_BYTES, "digest"), "little")
    return Sketch(Digest(total, sketch.elements), sketch.first, sketch.symbols)


def _ask_difference(_: pb.Frame) -> AskDifference:
    return AskDifference()


def _difference(message: pb.Frame) -> Difference:
    difference = message.difference
    if difference.list_all:
        return Difference(None)
    count, rest = divmod(len(difference.elements), ELEMENT_BYTES)
    bounded(count, SKETCH_SYMBOLS_MAX, "elements that differ")
    if rest:
        raise FrameMalformed("an element is cut")
    return Difference(unpack(f"<{count}Q", difference.elements))


def _ask_logs(message: pb.Frame) -> AskLogs:
    keys = message.ask_logs.keys
    count, rest = divmod(len(keys), LOG_KEY_BYTES)
    bounded(count, PAGE_LOGS_MAX, "logs asked for")
    if rest or not count:
        raise FrameMalformed("logs are asked for by keys of 16 bytes, one at least")
    starts = range(0, len(keys), LOG_KEY_BYTES)
    return AskLogs(tuple(LogKey(keys[at : at + LOG_KEY_BYTES]) for at in starts))


def _want(message: pb.Frame) -> Want:
    want = message.want
    bounded(len(want.begun), BEGINNINGS_MAX, "blobs begun")
    begun = tuple(_begun(each) for each in want.begun)
    bounded(want.credit, CREDIT_BYTES_MAX, "bytes of credit")
    return Want(want.page, page_ranges(want.logs), begun, want.credit)


def _begun(begun: pb.Begun) -> Begun:
    bounded(begun.offset, BLOB_BYTES_MAX, "bytes of a blob begun")
    whole = sized(begun.content_hash, CONTENT_HASH_BYTES, "content hash")
    return Begun(begun.log, begun.seq, whole, begun.offset)


def _gone(message: pb.Frame) -> Gone:
    return Gone(message.gone.page, page_ranges(message.gone.logs))


def _settled(message: pb.Frame) -> Settled:
    return Settled(message.settled.page)


def _addresses(message: pb.Frame) -> Addresses:
    peers = message.addresses.peers
    bounded(len(peers), TOLD_FRAME_MAX, "peers of a frame")
    return Addresses(tuple(map(_peer_at, peers)))


def _peer_at(peer: pb.PeerAt) -> PeerAt:
    node_id = node_id_of(sized(peer.node_key, NODE_KEY_BYTES, "node key"))
    if len(peer.ip) not in (4, 16):
        raise FrameMalformed(f"an address of {len(peer.ip)} bytes")
    return PeerAt(node_id, Endpoint(str(ipaddress.ip_address(peer.ip)), port(peer.port, least=1)))


def _end(message: pb.Frame) -> End:
    end = message.end
    return End(
        short(end.reason, REASON_LENGTH_MAX, "reason"),
        short(end.detail, REASON_LENGTH_MAX, "detail"),
    )
