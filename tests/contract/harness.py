"""How the contract suite makes the stores that it runs on: one `Harness` an engine.

The suite itself knows only `MailboxStore` and this. A new engine writes a harness and is put into
`conftest.py`; one that cannot hold its disk or cut its power is left out of those tests there.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from meshbox.core.errors import StoreBusy, StoreFailed
from meshbox.core.ids import NodeId, node_id_of
from meshbox.core.retention import RETENTION_MAX_MS
from meshbox.core.room import UNLIMITED, Allocation
from meshbox.storage.cassandra.address import Access
from meshbox.storage.cassandra.store import CassandraStore
from meshbox.storage.embedded.disk import FreeBytes
from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.storage.interface import MailboxStore
from meshbox.storage.keyvalue import Batch, Family, KeyValue
from meshbox.storage.memory import MemoryKeyValue
from meshbox.storage.rocksdb import open_rocksdb
from tests.clocks import BUILD_DATE_MS, ManualClock

NODE = node_id_of(b"n" * 32)
CURSOR_KEY = b"k" * 32


class Harness(Protocol):
    """One node's store, and what the world may do to it."""

    clock: ManualClock

    async def open(
        self,
        *,
        node_id: NodeId = NODE,
        adopted_from: NodeId | None = None,
        retention_ms: int = RETENTION_MAX_MS,
        cursor_key: bytes = CURSOR_KEY,
    ) -> MailboxStore:
        """Opens what is there: something new the first time."""

    async def reopen(self) -> MailboxStore:
        """Closes cleanly, and opens again."""

    async def close(self) -> None:
        """Closes the store, if it is open."""


class FolderHarness(Harness, Protocol):
    """A store in a folder of this machine: copied with it, and bounded by the disk."""

    store_class: type[EmbeddedStore]
    """For tests that take a rule out, to show that it is needed."""

    async def open(
        self,
        *,
        node_id: NodeId = NODE,
        adopted_from: NodeId | None = None,
        retention_ms: int = RETENTION_MAX_MS,
        cursor_key: bytes = CURSOR_KEY,
        allocation: Allocation = UNLIMITED,
        free_bytes: FreeBytes | None = None,
    ) -> MailboxStore:
        """Opens what is there, with so much room."""

    async def reopen(self, *, allocation: Allocation = UNLIMITED) -> MailboxStore:
        """Closes cleanly, and opens again."""

    def copy(self) -> FolderHarness:
        """Another node folder with a copy of this one, which must be closed."""


class LocalHarness(FolderHarness, Protocol):
    """A store whose disk can be held and can fail."""

    def hold_syncs(self) -> None:
        """From now on the disk confirms nothing."""

    def release_syncs(self) -> None:
        """It goes on, with what waited first."""

    def fail_syncs(self) -> None:
        """From now on the disk fails when it should confirm."""

    def fail_writes(self) -> None:
        """From now on the disk refuses what is written."""

    def refuse_writes(self, refused: bool) -> None:
        """Whether the database is behind and refuses what is written, for now."""


class PowerHarness(LocalHarness, Protocol):
    """A store whose power can be cut."""

    async def power_cut(self, *, unsynced_kept: int = 0) -> MailboxStore:
        """What is left after a power cut, opened: all that was synced, and the next batches."""


class GatedKeyValue:
    """Any `KeyValue`, with a disk that can be held, refuse and fail."""

    def __init__(self, inner: KeyValue) -> None:
        self.inner = inner
        self.released = asyncio.Event()
        self.released.set()
        self.sync_fails = False
        self.write_error: type[StoreBusy | StoreFailed] | None = None
        self.reads = 0

    def get_many(self, family: Family, keys: Sequence[bytes]) -> list[bytes | None]:
        self.reads += 1
        return self.inner.get_many(family, keys)

    def scan(
        self, family: Family, first: bytes, end: bytes, *, limit: int
    ) -> list[tuple[bytes, bytes]]:
        self.reads += 1
        return self.inner.scan(family, first, end, limit=limit)

    def new_batch(self) -> Batch:
        return self.inner.new_batch()

    def write(self, batch: Batch) -> None:
        if self.write_error is not None:
            raise self.write_error("the test says so")
        self.inner.write(batch)

    async def sync(self) -> None:
        await self.released.wait()
        if self.sync_fails:
            raise StoreFailed("the test says so")
        await self.inner.sync()

    async def flush(self) -> None:
        await self.inner.flush()

    async def reclaim(self, family: Family, first: bytes, end: bytes) -> None:
        await self.inner.reclaim(family, first, end)

    def disk_bytes(self) -> int:
        return self.inner.disk_bytes()

    async def close(self) -> None:
        await self.inner.close()


class EmbeddedHarness:
    """An `EmbeddedStore` on a key-value engine: what the two harnesses below have in common."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store_class = EmbeddedStore
        self.openings = 0
        self._epoch_mark = f"{id(self):x}".encode()
        self._store: EmbeddedStore | None = None
        self.gate: GatedKeyValue | None = None

    def _engine(self) -> KeyValue:
        raise NotImplementedError

    def copy(self) -> EmbeddedHarness:
        raise NotImplementedError

    async def open(
        self,
        *,
        node_id: NodeId = NODE,
        adopted_from: NodeId | None = None,
        retention_ms: int = RETENTION_MAX_MS,
        cursor_key: bytes = CURSOR_KEY,
        allocation: Allocation = UNLIMITED,
        free_bytes: FreeBytes | None = None,
    ) -> EmbeddedStore:
        assert self._store is None, "close it first"
        self.openings += 1
        self.gate = GatedKeyValue(self._engine())
        self._store = await self.store_class.open(
            self.gate,
            system_clock=self.clock,
            retention_ms=retention_ms,
            cursor_key=cursor_key,
            node_id=node_id,
            adopted_from=adopted_from,
            epoch_id=(self._epoch_mark + b"%d" % self.openings).rjust(16, b"."),
            build_date_ms=BUILD_DATE_MS,
            allocation=allocation,
            free_bytes=free_bytes,
        )
        return self._store

    async def close(self) -> None:
        if self._store is not None:
            store, self._store = self._store, None
            self.release_syncs()
            await store.close()

    async def reopen(self, *, allocation: Allocation = UNLIMITED) -> EmbeddedStore:
        await self.close()
        return await self.open(allocation=allocation)

    @property
    def _gate(self) -> GatedKeyValue:
        assert self.gate is not None, "nothing was opened"
        return self.gate

    def hold_syncs(self) -> None:
        self._gate.released.clear()

    def release_syncs(self) -> None:
        self._gate.released.set()

    def fail_syncs(self) -> None:
        self._gate.sync_fails = True

    def fail_writes(self) -> None:
        self._gate.write_error = StoreFailed

    def refuse_writes(self, refused: bool) -> None:
        self._gate.write_error = StoreBusy if refused else None


class MemoryHarness(EmbeddedHarness):
    """The store on the engine in memory."""

    def __init__(self, disk: MemoryKeyValue | None = None) -> None:
        super().__init__()
        self._disk = disk or MemoryKeyValue()
        self._opened = self._disk

    def _engine(self) -> KeyValue:
        self._opened = self._disk.copy()
        self._disk = self._opened
        return self._opened

    def copy(self) -> MemoryHarness:
        assert self._store is None, "close it first"
        twin = MemoryHarness(self._disk.copy())
        twin.clock = self.clock
        return twin

    async def power_cut(self, *, unsynced_kept: int = 0) -> EmbeddedStore:
        self._disk = self._opened.power_cut(unsynced_kept=unsynced_kept)
        self.release_syncs()
        self._store = None
        return await self.open()


class RocksHarness(EmbeddedHarness):
    """The store on RocksDB, in a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._copies = 0

    def _engine(self) -> KeyValue:
        return open_rocksdb(self._folder / "store", cache_bytes=8 * 1024 * 1024)

    def copy(self) -> RocksHarness:
        assert self._store is None, "close it first"
        self._copies += 1
        folder = self._folder / f"copy-{self._copies}"
        folder.mkdir()
        shutil.copytree(self._folder / "store", folder / "store")
        twin = RocksHarness(folder)
        twin.clock = self.clock
        return twin


class CassandraHarness:
    """The store in a keyspace of a real Cassandra; a fresh one has empty tables."""

    def __init__(self, access: Access) -> None:
        self.clock = ManualClock()
        self._access = access
        self._store: CassandraStore | None = None

    async def open(
        self,
        *,
        node_id: NodeId = NODE,
        adopted_from: NodeId | None = None,
        retention_ms: int = RETENTION_MAX_MS,
        cursor_key: bytes = CURSOR_KEY,
    ) -> CassandraStore:
        assert self._store is None, "close it first"
        self._store = await CassandraStore.open(
            self._access,
            system_clock=self.clock,
            retention_ms=retention_ms,
            cursor_key=cursor_key,
            node_id=node_id,
            adopted_from=adopted_from,
            lag_ms=0,  # One process alone; tests/storage/test_cassandra.py has several.
        )
        return self._store

    async def reopen(self) -> CassandraStore:
        await self.close()
        return await self.open()

    async def close(self) -> None:
        if self._store is not None:
            store, self._store = self._store, None
            await store.close()
