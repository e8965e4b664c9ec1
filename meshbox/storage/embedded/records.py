"""A log's record as bytes: MessagePack arrays, ranges as flat pairs of first and last.

Pairs hold the last number and not the end, since the end may be 2^64 and MessagePack ends below.
The decoder makes ids and classes itself: it checks them, and calls from here would cost as much as
all else. Reading the records of all logs is what meeting a stranger costs (sync/summaries.py).
"""

from __future__ import annotations

import msgspec

from meshbox.core.errors import StoreDamaged
from meshbox.core.ids import Author, BlobClass, LogId, Namespace, Topic
from meshbox.core.inventory import NONE_SEEN, ClassedRanges, LogRecord, Run
from meshbox.core.ranges import EMPTY, SeqRanges

FlatSeen = tuple[list[int], list[int]]
"""Opaque and verified ranges, each as first, last, first, last …"""

_StoredLog = tuple[
    Namespace,
    Topic,
    Author,
    int,  # change
    int,  # last bucket
    list[
        tuple[int, int, int, BlobClass, int, int]
    ],  # runs: first, last, bucket, class, bytes, largest
    FlatSeen,  # expired: opaque, verified
    FlatSeen,  # evicted: opaque, verified
]

_NOTHING: FlatSeen = ([], [])

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_StoredLog)
_name_decoder = msgspec.msgpack.Decoder(tuple[Namespace, Topic, Author])


def encode_record(record: LogRecord) -> bytes:
    """The record as the log family keeps it."""
    log = record.log
    runs = [(r.first, r.end - 1, r.bucket, r.blob_class, r[4], r[5]) for r in record.runs]
    return _encoder.encode(
        (
            int(log.namespace),
            log.topic,
            log.author,
            record.change,
            record.last_bucket,
            runs,
            flat_seen(record.expired),
            flat_seen(record.evicted),
        )
    )


def decode_record(value: bytes) -> LogRecord:
    """What `encode_record` made; `StoreDamaged` for anything else."""
    try:
        namespace, topic, author, change, last_bucket, runs, expired, evicted = _decoder.decode(
            value
        )
        return LogRecord(
            LogId(namespace, topic, author),
            change,
            tuple(
                [
                    Run(first, last + 1, bucket, blob_class, size_bytes, largest_bytes)
                    for first, last, bucket, blob_class, size_bytes, largest_bytes in runs
                ]
            ),
            seen_of(expired),
            seen_of(evicted),
            last_bucket,
        )
    except (msgspec.DecodeError, ValueError) as error:
        raise StoreDamaged("a log's record in the database is damaged") from error


def encode_name(log: LogId) -> bytes:
    """The log's name as the topic family keeps it, should its record be lost."""
    return _encoder.encode((int(log.namespace), log.topic, log.author))


def decode_name(value: bytes) -> LogId:
    """What `encode_name` made; `StoreDamaged` for anything else."""
    try:
        return LogId(*_name_decoder.decode(value))
    except msgspec.DecodeError as error:
        raise StoreDamaged("a log's name in the database is damaged") from error


def flat_seen(seen: ClassedRanges) -> FlatSeen:
    """Ranges by class, as they are stored."""
    return _NOTHING if seen is NONE_SEEN else (_pairs(seen.opaque), _pairs(seen.verified))


def _pairs(ranges: SeqRanges) -> list[int]:
    return [number for first, end in ranges for number in (first, end - 1)]


def seen_of(flat: FlatSeen) -> ClassedRanges:
    """What `flat_seen` made; `ValueError` for anything else."""
    opaque, verified = flat
    if not opaque and not verified:
        return NONE_SEEN
    return ClassedRanges(_ranges(opaque), _ranges(verified))


def _ranges(flat: list[int]) -> SeqRanges:
    if not flat:
        return EMPTY
    return SeqRanges((first, last + 1) for first, last in zip(flat[::2], flat[1::2], strict=True))
