"""A process for `test_rocksdb.py` to kill: it commits without end and says what was acknowledged.

Each line on standard output is "author seq": that blob's commit returned.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from pathlib import Path

from meshbox.core.limits import BLOB_CHUNK_BYTES
from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.storage.interface import Deposit, NewBlob
from meshbox.storage.rocksdb import open_rocksdb
from tests.clocks import BUILD_DATE_MS, ManualClock
from tests.contract.harness import CURSOR_KEY, NODE
from tests.contract.material import DAY_MS, OPAQUE, ORIGIN, log_of

WRITERS = 12
LARGE_EVERY = 20


def content(author: str, seq: int) -> bytes:
    """What the blob holds: now and then more than a chunk."""
    text = f"{author}/{seq} ".encode()
    large = author == "0" and seq % LARGE_EVERY == LARGE_EVERY - 1
    return text * (BLOB_CHUNK_BYTES // len(text) + 9 if large else 20)


async def opened(folder: Path) -> EmbeddedStore:
    return await EmbeddedStore.open(
        open_rocksdb(folder),
        system_clock=ManualClock(),
        retention_ms=7 * DAY_MS,
        cursor_key=CURSOR_KEY,
        node_id=NODE,
        epoch_id=secrets.token_bytes(16),
        build_date_ms=BUILD_DATE_MS,
    )


async def write(store: EmbeddedStore, author: str) -> None:
    (record,) = await store.logs([log_of(author)])
    seq = 0 if record is None else (record.watermark or 0)
    while True:
        new = NewBlob(log_of(author), seq, OPAQUE, store.now_ms(), ORIGIN, content(author, seq))
        await store.commit(Deposit([new]))
        sys.stdout.write(f"{author} {seq}\n")
        sys.stdout.flush()
        seq += 1


async def main() -> None:
    store = await opened(Path(sys.argv[1]))
    await asyncio.gather(*(write(store, str(author)) for author in range(WRITERS)))


if __name__ == "__main__":
    asyncio.run(main())
