"""A deposit made ready for a round: keys, buckets and hashes, in turns of the loop."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Final

from meshbox.core.errors import TooLarge
from meshbox.core.ids import LogId, LogKey
from meshbox.core.limits import (
    BLOB_BYTES_MAX,
    CURSOR_BYTES_MAX,
    MIB,
    NOTE_BYTES_MAX,
    NOTE_KEEPER_BYTES,
)
from meshbox.core.retention import bucket_of
from meshbox.storage.cassandra.blobs import PreparedBlob
from meshbox.storage.cassandra.writer import PreparedDeposit
from meshbox.storage.interface import Deposit, NewBlob

_TURN_BYTES: Final = 1 * MIB
_TURN_BLOBS: Final = 512


async def prepare(deposit: Deposit, *, now_ms: int) -> PreparedDeposit:
    """Hashes every blob; `TooLarge` for a blob or cursor that no caller should let through."""
    for cursor in deposit.cursors:
        if len(cursor.cursor) > CURSOR_BYTES_MAX:
            raise TooLarge(f"a cursor has {len(cursor.cursor)} bytes")
    for note in deposit.notes:
        if len(note.keeper) != NOTE_KEEPER_BYTES or len(note.text) > NOTE_BYTES_MAX:
            raise TooLarge(f"a note has {len(note.text)} bytes")
    keys: dict[LogId, LogKey] = {}
    blobs: list[PreparedBlob] = []
    since_yield_bytes = 0
    for blob in deposit.blobs:
        if len(blob.data) > BLOB_BYTES_MAX:
            raise TooLarge(
                f"a blob has {len(blob.data)} bytes, at most {BLOB_BYTES_MAX} are allowed"
            )
        key = keys.get(blob.log)
        if key is None:
            key = keys[blob.log] = blob.log.key
        blobs.append(_prepared(blob, key, await _hash(blob.data), now_ms))
        since_yield_bytes += len(blob.data) + _TURN_BYTES // _TURN_BLOBS
        if since_yield_bytes > _TURN_BYTES:
            since_yield_bytes = 0
            await asyncio.sleep(0)
    return PreparedDeposit(
        tuple(blobs), deposit.cursors, deposit.refills, deposit.notes, deposit.whole
    )


def _prepared(blob: NewBlob, key: LogKey, content_hash: bytes, now_ms: int) -> PreparedBlob:
    """Node time is never ahead of `now_ms`: a later stamp would make a longer life."""
    stamp_ms = min(max(blob.stamp_ms, 0), now_ms)
    return PreparedBlob(
        blob.log,
        key,
        blob.seq,
        bucket_of(stamp_ms),
        blob.blob_class,
        stamp_ms,
        blob.earlier_ms,
        blob.origin,
        content_hash,
        len(blob.data),
        blob.data,
    )


async def _hash(data: bytes) -> bytes:
    digest = hashlib.blake2b(digest_size=32)
    view = memoryview(data)
    for offset in range(0, len(data), _TURN_BYTES):
        if offset:
            await asyncio.sleep(0)
        digest.update(view[offset : offset + _TURN_BYTES])
    return digest.digest()
