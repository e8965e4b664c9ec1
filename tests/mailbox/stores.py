"""Real stores for the tests of the layers above: in memory, and RocksDB in a temporary folder."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from meshbox.core.ids import node_id_of
from meshbox.core.retention import RETENTION_MAX_MS
from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.storage.keyvalue import KeyValue
from meshbox.storage.memory import MemoryKeyValue
from meshbox.storage.rocksdb import open_rocksdb
from tests.clocks import BUILD_DATE_MS, ManualClock

NODE_KEY = bytes(range(100, 132))
NODE_ID = node_id_of(NODE_KEY)
ENGINES = ("memory", "rocksdb")


@asynccontextmanager
async def opened_store(
    key_value: KeyValue, *, clock: ManualClock | None = None
) -> AsyncIterator[EmbeddedStore]:
    """A store over `key_value`, closed at the end."""
    store = await EmbeddedStore.open(
        key_value,
        system_clock=clock or ManualClock(),
        retention_ms=RETENTION_MAX_MS,
        cursor_key=b"c" * 32,
        node_id=NODE_ID,
        epoch_id=secrets.token_bytes(16),
        build_date_ms=BUILD_DATE_MS,
    )
    try:
        yield store
    finally:
        await store.close()


def new_key_value(engine: str, folder: Path) -> KeyValue:
    """An empty database of an engine."""
    return MemoryKeyValue() if engine == "memory" else open_rocksdb(folder / "database")
