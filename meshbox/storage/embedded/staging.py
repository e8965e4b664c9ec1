"""Large blobs, written ahead in chunks: each by a batch of its own, the loop free between.

The batch with the header comes after them and alone makes the blob exist. The last entry says that
all chunks are there. Whoever removes chunks removes that entry too, and a `Staging` that is just
writing some of them begins again: so where the last entry is, every chunk is. Chunks without a
header are invisible, and go with their bucket at the latest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from meshbox.core.inventory import Admission, LogDraft, LogRecord
from meshbox.core.limits import BLOB_CHUNK_BYTES
from meshbox.storage.embedded.changes import Remove
from meshbox.storage.embedded.database import ChunkWatch, Database
from meshbox.storage.embedded.planning import PreparedDeposit
from meshbox.storage.embedded.schema import CHUNK_END, chunk_key, chunk_range
from meshbox.storage.embedded.trial import PreparedBlob
from meshbox.storage.interface import NewBlob
from meshbox.storage.keyvalue import Batch, Family, KeyValue

Write = Callable[[Callable[[], Batch]], Awaitable[None]]
"""Writes the batch that is made for it."""


async def write_chunks(
    database: Database,
    deposit: PreparedDeposit,
    originals: Sequence[NewBlob],
    *,
    write: Write,
) -> None:
    """Writes the chunks of those large blobs that look as if they will be stored.

    Errors are those of `write`; chunks may be left behind then.
    """
    for prepared, original in zip(deposit.blobs, originals, strict=True):
        if prepared.header.chunked and _is_wanted(database, prepared):
            await _write_blob(database, prepared, original.data, write=write)


def chunk_removals(database: Database, deposit: PreparedDeposit) -> list[Remove]:
    """Removes the chunks that nothing holds, after a deposit that came to nothing."""
    return [
        Remove(Family.BLOB, *chunk_range(blob.blob_key, blob.header.content_hash))
        for blob in deposit.blobs
        if blob.header.chunked and not _is_held(database, blob)
    ]


def _is_wanted(database: Database, blob: PreparedBlob) -> bool:
    """Only saves writing: what becomes of the blob is decided by the plan."""
    through = database.time.due_through()
    if blob.bucket <= through:
        return False
    record = database.records([blob.key])[0]
    draft = LogDraft(database.shown(record or LogRecord(blob.log, 0), due_through=through))
    if draft.admit(blob.seq, blob.header.blob_class) in (Admission.HELD, Admission.EXPIRED):
        return False
    return not database.chunked([(blob.blob_key, blob.header.content_hash)])


def _is_held(database: Database, blob: PreparedBlob) -> bool:
    """Whether the blob held at its place has just these chunks."""
    record = database.records([blob.key])[0]
    run = record.run_of(blob.seq) if record is not None else None
    if run is None or run.bucket != blob.bucket or run.bucket <= database.time.due_through():
        return False
    place = (blob.key, blob.seq)
    header = database.held([(place, run.bucket)])[place].header
    return header.chunked and header.content_hash == blob.header.content_hash


async def _write_blob(database: Database, blob: PreparedBlob, data: bytes, *, write: Write) -> None:
    first_key = chunk_key(blob.blob_key, blob.header.content_hash, 0)
    count = -(-len(data) // BLOB_CHUNK_BYTES)
    index = 0
    with ChunkWatch(database, first_key) as watch:
        while index < count:
            if blob.bucket <= database.time.due_through():
                return  # The sweep may have been there: nobody would remove what comes now.
            await write(partial(_chunk_batch, database.key_value, blob, data, index))
            await asyncio.sleep(0)
            index = 0 if watch.take_removed() else index + 1


def _chunk_batch(key_value: KeyValue, blob: PreparedBlob, data: bytes, index: int) -> Batch:
    key, content_hash = blob.blob_key, blob.header.content_hash
    batch = key_value.new_batch()
    start, end = index * BLOB_CHUNK_BYTES, (index + 1) * BLOB_CHUNK_BYTES
    batch.put(Family.BLOB, chunk_key(key, content_hash, index), data[start:end])
    if end >= len(data):
        batch.put(Family.BLOB, chunk_key(key, content_hash, CHUNK_END), b"")
    return batch
