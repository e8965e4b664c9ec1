"""A deposit made ready for the planner: keys, buckets and hashes.

Only hashing large blobs takes more than one turn of the loop, so deposits of less than a MiB keep
their order.
"""

from __future__ import annotations

import asyncio
import hashlib

from meshbox.core.errors import TooLarge
from meshbox.core.ids import LogId, LogKey
from meshbox.core.limits import (
    BLOB_BYTES_MAX,
    BLOB_CHUNK_BYTES,
    CURSOR_BYTES_MAX,
    NOTE_BYTES_MAX,
    NOTE_KEEPER_BYTES,
)
from meshbox.core.retention import bucket_of, bucket_start_ms
from meshbox.storage.embedded.headers import Header
from meshbox.storage.embedded.notes import put_note
from meshbox.storage.embedded.planning import PreparedDeposit
from meshbox.storage.embedded.trial import PreparedBlob
from meshbox.storage.interface import Deposit, NewBlob

_TURN_BLOBS_MAX = 512
"""Small blobs prepared in one turn of the loop: about 3 ms."""


async def prepare(deposit: Deposit, *, now_ms: int) -> PreparedDeposit:
    """Hashes every blob; waits only between turns of more than a MiB or 512 blobs.

    `TooLarge` for a blob, cursor or note that no caller should have let through.
    """
    blobs: list[PreparedBlob] = []
    keys: dict[LogId, LogKey] = {}
    since_yield_bytes = inline_bytes = 0
    for cursor in deposit.cursors:
        if len(cursor.cursor) > CURSOR_BYTES_MAX:
            raise TooLarge(f"a cursor has {len(cursor.cursor)} bytes")
    for note in deposit.notes:
        if len(note.keeper) != NOTE_KEEPER_BYTES or len(note.text) > NOTE_BYTES_MAX:
            raise TooLarge(f"a note has {len(note.text)} bytes")
    for blob in deposit.blobs:
        key = keys.get(blob.log)
        if key is None:
            key = keys[blob.log] = blob.log.key
        size_bytes = len(blob.data)
        if size_bytes > BLOB_CHUNK_BYTES:
            content_hash = await _hash_slowly(blob.data)
        else:
            content_hash = hashlib.blake2b(blob.data, digest_size=32).digest()
            inline_bytes += size_bytes
        blobs.append(_prepared(blob, key, content_hash, now_ms))
        since_yield_bytes += size_bytes + BLOB_CHUNK_BYTES // _TURN_BLOBS_MAX
        if since_yield_bytes > BLOB_CHUNK_BYTES:
            since_yield_bytes = 0
            await asyncio.sleep(0)
    return PreparedDeposit(
        tuple(blobs),
        deposit.cursors,
        deposit.refills,
        tuple(put_note(note, bucket=bucket_of(now_ms)) for note in deposit.notes),
        deposit.whole,
        inline_bytes,
    )


def _prepared(blob: NewBlob, key: LogKey, content_hash: bytes, now_ms: int) -> PreparedBlob:
    """Node time is never ahead of `now_ms`: a later stamp would make a longer life."""
    size_bytes = len(blob.data)
    if size_bytes > BLOB_BYTES_MAX:
        raise TooLarge(f"a blob has {size_bytes} bytes, at most {BLOB_BYTES_MAX} are allowed")
    stamp_ms = min(max(blob.stamp_ms, 0), now_ms)
    bucket = bucket_of(stamp_ms)
    chunked = size_bytes > BLOB_CHUNK_BYTES
    header = Header(
        chunked,
        blob.blob_class,
        stamp_ms - bucket_start_ms(bucket),
        blob.earlier_ms,
        size_bytes,
        blob.origin,
        content_hash,
    )
    return PreparedBlob(blob.log, key, blob.seq, bucket, header, b"" if chunked else blob.data)


async def _hash_slowly(data: bytes) -> bytes:
    digest = hashlib.blake2b(digest_size=32)
    view = memoryview(data)
    for offset in range(0, len(data), BLOB_CHUNK_BYTES):
        digest.update(view[offset : offset + BLOB_CHUNK_BYTES])
        await asyncio.sleep(0)
    return digest.digest()
