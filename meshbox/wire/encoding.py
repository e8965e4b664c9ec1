"""Frames of a sync session as they go over the wire; `decoding.py` is the other way.

An encoder is of one direction of one session: what it wrote before decides how it writes on (names
that were said are not said again), so frames must reach the peer in the order in which they were
encoded.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from struct import pack

from meshbox.core.ids import LogId, Origin, Topic, node_key_of
from meshbox.core.reconcile import DIGEST_BYTES
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
    Want,
)
from meshbox.wire.names import IN_FULL, NameRing
from meshbox.wire.offer_numbers import numbers_of
from meshbox.wire.v1 import sync_pb2 as pb


class FrameEncoder:
    """Writes the frames of one direction of one session."""

    def __init__(self) -> None:
        self.offers_in_numbers = False
        """The peer said that it reads them so."""
        self._logs: NameRing[LogId] = NameRing()
        self._topics: NameRing[Topic] = NameRing()
        self._origins: NameRing[Origin] = NameRing()
        self._cursor = b""

    def encode(self, frame: Frame) -> bytes:
        """The next frame of ours as it goes over the wire."""
        return self._message(frame).SerializeToString()

    def _message(self, frame: Frame) -> pb.Frame:
        match frame:
            case Hello():
                return pb.Frame(hello=_hello(frame))
            case Proof():
                return pb.Frame(proof=pb.Proof(signature=frame.signature))
            case Resume():
                return pb.Frame(resume=pb.Resume(cursors=frame.cursors))
            case AskSketch():
                return pb.Frame(ask_sketch=pb.AskSketch(symbols=frame.symbols))
            case Sketch():
                return pb.Frame(sketch=_sketch(frame))
            case AskDifference():
                return pb.Frame(ask_difference=pb.AskDifference())
            case Difference():
                return pb.Frame(difference=_difference(frame))
            case Offers():
                return pb.Frame(offers=self._offers(frame))
            case AskLogs():
                return pb.Frame(ask_logs=pb.AskLogs(keys=b"".join(frame.logs)))
            case Want():
                return pb.Frame(want=_want(frame))
            case Blobs():
                return pb.Frame(blobs=pb.Blobs(parts=[self._part(part) for part in frame.parts]))
            case Gone():
                return pb.Frame(gone=pb.Gone(page=frame.page, logs=_page_ranges(frame.logs)))
            case Settled():
                return pb.Frame(settled=pb.Settled(page=frame.page))
            case Addresses():
                return pb.Frame(addresses=pb.Addresses(peers=map(_peer_at, frame.peers)))
            case End():
                return pb.Frame(end=pb.End(reason=frame.reason, detail=frame.detail))

    def _offers(self, offers: Offers) -> pb.Offers:
        common = _common_bytes(offers.cursor, self._cursor)
        if offers.cursor:
            self._cursor = offers.cursor
        logs, numbers = self._offered(offers.logs)
        return pb.Offers(
            page=offers.page,
            cursor=offers.cursor[common:],
            cursor_common=common,
            fresh=offers.fresh,
            answers=offers.answers,
            logs=logs,
            numbers=numbers,
        )

    def _offered(self, offers: Iterable[OfferedLog]) -> tuple[list[pb.OfferedLog], list[int]]:
        messages: list[pb.OfferedLog] = []
        numbers: list[int] = []
        for log, runs in offers:
            known = self._logs.say(log)
            if self.offers_in_numbers:
                numbers += numbers_of(known, runs)
                if known == IN_FULL:
                    messages.append(self._named(log))
                continue
            message = self._named(log) if known == IN_FULL else pb.OfferedLog(known=known)
            message.runs.extend(map(_run, runs))
            messages.append(message)
        return messages, numbers

    def _named(self, log: LogId) -> pb.OfferedLog:
        """A log's name in full."""
        message = pb.OfferedLog(namespace=log.namespace)
        topic_known = self._topics.say(log.topic)
        if topic_known != IN_FULL:
            message.topic_known = topic_known
        elif (raw := _spelled(log.topic)) is not None:
            message.topic_hex = raw
        else:
            message.topic_text = log.topic
        if (raw := _spelled(log.author)) is not None:
            message.author_hex = raw
        else:
            message.author_text = log.author
        return message

    def _part(self, part: BlobPart) -> pb.BlobPart:
        origin = self._origins.say(part.origin)
        is_whole = len(part.data) == part.size_bytes
        return pb.BlobPart(
            page=part.page,
            log=part.log,
            seq=part.seq,
            blob_class=pb.BlobClass.ValueType(part.blob_class),
            age_ms=part.age_ms,
            origin=origin,
            origin_name=b"" if origin != IN_FULL else part.origin.node + part.origin.tag,
            content_hash=b"" if is_whole else part.content_hash,
            size_bytes=0 if is_whole else part.size_bytes,
            offset=part.offset,
            data=part.data,
        )


def _hello(hello: Hello) -> pb.Hello:
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
        topics=hello.topics,
        ways_out=hello.ways_out,
        sync_port=hello.sync_port,
        hears_addresses=hello.hears_addresses,
        reads_numbers=hello.reads_numbers,
    )


def _peer_at(peer: PeerAt) -> pb.PeerAt:
    host, port = peer.endpoint
    return pb.PeerAt(
        node_key=node_key_of(peer.node_id), ip=ipaddress.ip_address(host).packed, port=port
    )


def _sketch(sketch: Sketch) -> pb.Sketch:
    return pb.Sketch(
        digest=sketch.digest.total.to_bytes(DIGEST_BYTES, "little"),
        elements=sketch.digest.elements,
        first=sketch.first,
        symbols=sketch.symbols,
    )


def _difference(difference: Difference) -> pb.Difference:
    if difference.elements is None:
        return pb.Difference(list_all=True)
    count = len(difference.elements)
    return pb.Difference(elements=pack(f"<{count}Q", *difference.elements))


def _want(want: Want) -> pb.Want:
    begun = [
        pb.Begun(log=each.log, seq=each.seq, content_hash=each.content_hash, offset=each.offset)
        for each in want.begun
    ]
    logs = _page_ranges(want.logs)
    return pb.Want(page=want.page, logs=logs, begun=begun, credit=want.credit)


def _run(run: OfferedRun) -> pb.OfferedRun:
    is_even = run.bytes == run.largest_bytes * (run.end - run.first)
    return pb.OfferedRun(
        first=run.first,
        last=run.end - 1,
        blob_class=pb.BlobClass.ValueType(run.blob_class),
        bytes=None if is_even else run.bytes,
        largest_bytes=run.largest_bytes,
        age_least_ms=run.age_least_ms,
    )


def _spelled(text: str) -> bytes | None:
    """The bytes that hexadecimal digits in lower case spell; None for other text."""
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        return None
    return raw if raw.hex() == text else None


def _common_bytes(left: bytes, right: bytes) -> int:
    """How many leading bytes are the same."""
    length = min(len(left), len(right))
    return next((at for at in range(length) if left[at] != right[at]), length)


def _page_ranges(logs: Iterable[PageRanges]) -> list[pb.PageRanges]:
    return [
        pb.PageRanges(
            log=place,
            ranges=[pb.SeqRange(first=first, last=end - 1) for first, end in ranges],
        )
        for place, ranges in logs
    ]
