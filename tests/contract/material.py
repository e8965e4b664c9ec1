"""What the contract suite stores and how it looks at a store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from meshbox.core.ids import Author, BlobClass, LogId, Namespace, NodeId, Origin, Topic, node_id_of
from meshbox.core.inventory import LogRecord
from meshbox.core.ranges import SEQ_END, SeqRanges
from meshbox.storage.interface import (
    Deposit,
    MailboxStore,
    NewBlob,
    Outcome,
    PeerCursor,
    StoredBlob,
    SweepSlice,
)

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
ORIGIN = Origin(b"o" * 32, b"tag1")
PEER = node_id_of(b"p" * 32)
EVERYTHING = SeqRanges.of(0, SEQ_END)
OPAQUE, VERIFIED = BlobClass.OPAQUE, BlobClass.VERIFIED
NO_BOUND = 10**12


def log_of(author: str = "author", topic: str = "topic") -> LogId:
    return LogId(Namespace.LOGS, Topic(topic), Author(author))


LOG = log_of()


def blob(
    store: MailboxStore,
    seq: int,
    data: bytes | None = None,
    *,
    log: LogId = LOG,
    blob_class: BlobClass = OPAQUE,
    age_ms: int = 0,
) -> NewBlob:
    """A blob for `seq`, `age_ms` old at this store."""
    content = b"blob %d" % seq if data is None else data
    return NewBlob(log, seq, blob_class, store.now_ms() - age_ms, ORIGIN, content)


async def put(store: MailboxStore, *blobs: NewBlob, whole: bool = True) -> tuple[Outcome, ...]:
    return await store.commit(Deposit(blobs, whole=whole))


async def put_one(store: MailboxStore, new: NewBlob) -> Outcome:
    (outcome,) = await put(store, new)
    return outcome


async def put_cursor(store: MailboxStore, cursor: bytes, *, peer: NodeId = PEER) -> None:
    await store.commit(Deposit((), (PeerCursor(peer, b"e" * 16, cursor),)))


async def held(store: MailboxStore, *logs: LogId) -> list[StoredBlob]:
    """Every blob of some logs, with its data."""
    page = await store.read(
        [(log, EVERYTHING) for log in logs or (LOG,)],
        blobs_max=NO_BOUND,
        bytes_max=NO_BOUND,
        whole_bytes_max=NO_BOUND,
    )
    assert not page.more
    return list(page.blobs)


async def contents(store: MailboxStore, log: LogId = LOG) -> dict[int, bytes | None]:
    return {stored.seq: stored.data for stored in await held(store, log)}


async def record(store: MailboxStore, log: LogId = LOG) -> LogRecord:
    (found,) = await store.logs([log])
    assert found is not None
    return found


async def whole_feed(
    store: MailboxStore, after: bytes | None = None, *, logs_max: int = 3
) -> tuple[list[LogRecord], bytes]:
    """Everything after a cursor, and the cursor at the end."""
    records: list[LogRecord] = []
    while True:
        page = await store.feed(after, logs_max=logs_max)
        records += page.records
        after = page.cursor
        if not page.more:
            return records, after


async def sweep(store: MailboxStore) -> SweepSlice:
    """Sweeps until nothing is due, nor to be forgotten; the sum."""
    blobs = size_bytes = forgotten = 0
    while True:
        done = await store.sweep_slice()
        blobs, size_bytes = blobs + done.blobs, size_bytes + done.bytes
        forgotten += done.forgotten
        if not done.more:
            return SweepSlice(blobs, size_bytes, more=False, forgotten=forgotten)


async def turns(count: int = 30) -> None:
    """Lets everything run that can run without the disk."""
    for _ in range(count):
        await asyncio.sleep(0)


def seqs(found: Sequence[StoredBlob]) -> list[int]:
    return [stored.seq for stored in found]
