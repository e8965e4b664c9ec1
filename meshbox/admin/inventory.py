"""What a node holds, and a digest by which two nodes are compared (design.md 13).

The digest is blake2b-32 over the blobs held, logs in the order of their keys and each ascending:

    for each log that holds something:  namespace 1 ‖ topic NUL author NUL
    for each of its blobs:              seq 8, big-endian ‖ blake2b-32 of the bytes

So two nodes that hold the same have the same digest, whatever they once held, when they stored it
and in which order. No blob's bytes are loaded.

It is no snapshot: what changes meanwhile may or may not be in it. `change` and `change_after` are
the store's counter before and after; where they are equal nothing did.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Final

import msgspec

from meshbox.core.ids import LogId, LogKey, Namespace, Topic
from meshbox.core.inventory import LogRecord
from meshbox.core.ranges import SeqRanges
from meshbox.storage.interface import MailboxStore, StoredBlob

INVENTORY_SCHEMA: Final = "meshbox.inventory/1"
TOPIC_SCHEMA: Final = "meshbox.inventory.topic/1"

_LOGS_PAGE: Final = 256
_BLOBS_PAGE: Final = 1_000
"""Blobs of one read: about 10 ms of the loop."""
_DIGEST_BYTES: Final = 32

Pairs = list[tuple[int, int]]
"""Ranges as [first, last], both included."""


class InventoryDocument(msgspec.Struct, frozen=True):
    """What is held: logs with anything held, blobs, their bytes, and the digest (hexadecimal)."""

    schema: str
    logs: int
    blobs: int
    bytes: int
    digest: str
    change: int
    change_after: int


class LogEntry(msgspec.Struct, frozen=True):
    """One log of a topic.

    `held`, `expired`, `evicted` are ranges. `told` are those that a client is told to upload,
    `missing`, which has everything up to the highest number that was ever here.
    """

    namespace: str
    author: str
    blobs: int
    bytes: int
    held: Pairs
    expired: Pairs
    evicted: Pairs
    told: Pairs
    watermark: int | None
    digest: str


class TopicDocument(msgspec.Struct, frozen=True):
    """The logs of one topic, each with a digest of its own; and one over all of them."""

    schema: str
    topic: str
    logs: list[LogEntry]
    blobs: int
    bytes: int
    digest: str
    change: int
    change_after: int


class _Tally:
    """Counts blobs, and digests them, in the order in which they are added."""

    def __init__(self) -> None:
        self.logs = 0
        self.blobs = 0
        self.bytes = 0
        self._log: LogId | None = None
        self._digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)

    def add(self, blob: StoredBlob) -> None:
        if blob.log != self._log:
            self._log = blob.log
            self.logs += 1
            name = f"{blob.log.topic}\0{blob.log.author}\0".encode()
            self._digest.update(bytes([blob.log.namespace]) + name)
        self.blobs += 1
        self.bytes += blob.size_bytes
        self._digest.update(blob.seq.to_bytes(8, "big") + blob.content_hash)

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()


async def inventory(store: MailboxStore) -> InventoryDocument:
    """All that is held. Reads every blob's header, in pages between which the loop is free."""
    change = store.change
    tally = _Tally()
    after: LogKey | None = None
    while records := await store.all_logs(after, logs_max=_LOGS_PAGE):
        await _add(store, tuple(records.values()), tally)
        after = next(reversed(records))
    return InventoryDocument(
        schema=INVENTORY_SCHEMA,
        logs=tally.logs,
        blobs=tally.blobs,
        bytes=tally.bytes,
        digest=tally.digest,
        change=change,
        change_after=store.change,
    )


async def topic_inventory(store: MailboxStore, topic: Topic) -> TopicDocument:
    """What is known of each log of a topic, those of unsequenced messages too."""
    change = store.change
    records = [r for namespace in Namespace for r in await store.topic(namespace, topic)]
    by_key = sorted(records, key=lambda record: record.log.key)
    total = _Tally()
    for at in range(0, len(by_key), _LOGS_PAGE):
        await _add(store, by_key[at : at + _LOGS_PAGE], total)
    return TopicDocument(
        schema=TOPIC_SCHEMA,
        topic=topic,
        logs=[await _entry(store, record) for record in records],
        blobs=total.blobs,
        bytes=total.bytes,
        digest=total.digest,
        change=change,
        change_after=store.change,
    )


async def _add(
    store: MailboxStore, records: tuple[LogRecord, ...] | list[LogRecord], tally: _Tally
) -> None:
    wanted = [(record.log, record.held) for record in records]
    while wanted:
        page = await store.read(
            wanted, blobs_max=_BLOBS_PAGE, bytes_max=_BLOBS_PAGE, whole_bytes_max=0
        )
        for blob in page.blobs:
            tally.add(blob)
        await asyncio.sleep(0)
        if not (page.more and page.blobs):
            return
        wanted = _after(wanted, page.blobs[-1])


def _after(
    wanted: list[tuple[LogId, SeqRanges]], last: StoredBlob
) -> list[tuple[LogId, SeqRanges]]:
    """What of `wanted` comes after `last`."""
    at = next(i for i, (log, _) in enumerate(wanted) if log == last.log)
    rest = wanted[at][1].from_(last.seq + 1)
    return ([(last.log, rest)] if rest else []) + wanted[at + 1 :]


async def _entry(store: MailboxStore, record: LogRecord) -> LogEntry:
    tally = _Tally()
    await _add(store, [record], tally)
    highest = record.seen.highest
    return LogEntry(
        namespace=record.log.namespace.name.lower(),
        author=record.log.author,
        blobs=tally.blobs,
        bytes=tally.bytes,
        held=_pairs(record.held),
        expired=_pairs(record.expired.all),
        evicted=_pairs(record.evicted.all),
        told=[] if highest is None else _pairs(record.missing(highest)),
        watermark=record.watermark,
        digest=tally.digest,
    )


def _pairs(ranges: SeqRanges) -> Pairs:
    return [(first, end - 1) for first, end in ranges]
