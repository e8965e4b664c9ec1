"""A deposit looked at before an engine prepares it: bounds, keys and hashes, in turns of the loop.

Only hashing large blobs takes more than one turn, so deposits of less than a MiB keep their order.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Final, TypeVar

from meshbox.core.errors import TooLarge
from meshbox.core.ids import LogId, LogKey
from meshbox.core.limits import (
    BLOB_BYTES_MAX,
    BLOB_CHUNK_BYTES,
    CURSOR_BYTES_MAX,
    NOTE_BYTES_MAX,
    NOTE_KEEPER_BYTES,
)
from meshbox.storage.interface import Deposit, NewBlob

_TURN_BLOBS_MAX: Final = 512
"""Small blobs prepared in one turn of the loop: about 3 ms."""


_Prepared = TypeVar("_Prepared")

Prepare = Callable[[NewBlob, LogKey, bytes, int], _Prepared]
"""What an engine makes of a blob with its log's key, its hash, and its stamp: never ahead of node
time, since a later one would make a longer life."""


async def examine(
    deposit: Deposit, prepare: Prepare[_Prepared], *, now_ms: int
) -> tuple[_Prepared, ...]:
    """What `prepare` makes of each blob; waits only between turns of more than a MiB or 512 blobs.

    `TooLarge` for a blob, cursor or note that no caller should have let through.
    """
    for cursor in deposit.cursors:
        if len(cursor.cursor) > CURSOR_BYTES_MAX:
            raise TooLarge(f"a cursor has {len(cursor.cursor)} bytes")
    for note in deposit.notes:
        if len(note.keeper) != NOTE_KEEPER_BYTES or len(note.text) > NOTE_BYTES_MAX:
            raise TooLarge(f"a note has {len(note.text)} bytes")
    prepared: list[_Prepared] = []
    keys: dict[LogId, LogKey] = {}
    since_yield_bytes = 0
    for blob in deposit.blobs:
        size_bytes = len(blob.data)
        if size_bytes > BLOB_BYTES_MAX:
            raise TooLarge(f"a blob has {size_bytes} bytes, at most {BLOB_BYTES_MAX} are allowed")
        key = keys.get(blob.log)
        if key is None:
            key = keys[blob.log] = blob.log.key
        if size_bytes > BLOB_CHUNK_BYTES:
            content_hash = await _hash_slowly(blob.data)
        else:
            content_hash = hashlib.blake2b(blob.data, digest_size=32).digest()
        stamp_ms = min(max(blob.stamp_ms, 0), now_ms)
        prepared.append(prepare(blob, key, content_hash, stamp_ms))
        since_yield_bytes += size_bytes + BLOB_CHUNK_BYTES // _TURN_BLOBS_MAX
        if since_yield_bytes > BLOB_CHUNK_BYTES:
            since_yield_bytes = 0
            await asyncio.sleep(0)
    return tuple(prepared)


async def _hash_slowly(data: bytes) -> bytes:
    digest = hashlib.blake2b(digest_size=32)
    view = memoryview(data)
    for offset in range(0, len(data), BLOB_CHUNK_BYTES):
        digest.update(view[offset : offset + BLOB_CHUNK_BYTES])
        await asyncio.sleep(0)
    return digest.digest()
