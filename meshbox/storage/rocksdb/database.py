"""`RocksKeyValue`: the key-value seam on RocksDB, through rocksdict.

What the binding does wrong, and where it is fenced off (tests/storage/test_rocksdb.py shows that
the fences hold):

- Every call but `flush_wal`, `flush`, `compact_range`, `close` and `get` of a list keeps the
  interpreter lock. So batches are written without sync, on the loop, and made durable by
  `flush_wal(True)` in a thread. Inside `write` nothing may wait: `no_slowdown` refuses instead.
- RocksDB keeps a pointer into the bytes of an upper bound, and the binding does not keep these
  alive: `scan` holds them until it is done. A lower bound sets the upper one: never used.
- Iterating ends silently at damage: only `RdictIter.status` tells, so it is always asked.
- `close` while another thread is inside a call fails, and the lock file stays locked until every
  family, handle and iterator is gone: `close` joins the threads and lets go of all of them.
- A family that is not named at open is an error, so what `list_cf` finds is compared first.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

from rocksdict import Cache, ColumnFamily, Rdict, ReadOptions, WriteBatch

from meshbox.core.errors import StoreDamaged, StoreFailed, StoreForeign
from meshbox.core.limits import MIB
from meshbox.storage.keyvalue import Batch, Family
from meshbox.storage.rocksdb.faults import faults
from meshbox.storage.rocksdb.options import (
    CACHE_BYTES,
    database_options,
    family_options,
    live_write,
)

_EXISTS = "CURRENT"
"""The file by which RocksDB itself finds a database."""
_TABLES = "*.sst"
_ANCHOR, _FIRST = b"", b"\0"
"""A key that every family has and nobody sees, and the first that may be seen."""
_LOG_KEPT_BYTES = 4 * MIB
"""Bytes of the write-ahead log that are not worth writing all families' table files for."""


class RocksBatch:
    """A `Batch` of the binding's."""

    __slots__ = ("_handles", "raw")

    def __init__(self, handles: dict[Family, ColumnFamily]) -> None:
        self._handles = handles
        self.raw = WriteBatch(raw_mode=True)

    def put(self, family: Family, key: bytes, value: bytes) -> None:
        """Sets `key`."""
        self.raw.put(key, value, self._handles[family])

    def delete(self, family: Family, key: bytes) -> None:
        """Removes `key`, if it is there."""
        self.raw.delete(key, self._handles[family])

    def delete_range(self, family: Family, first: bytes, end: bytes) -> None:
        """Removes every key of [first, end)."""
        self.raw.delete_range(first, end, self._handles[family])


def open_rocksdb(
    folder: Path, *, cache_bytes: int = CACHE_BYTES, disk_bytes_max: int | None = None
) -> RocksKeyValue:
    """Opens the database in `folder`, or makes one.

    `cache_bytes` bounds RocksDB's block cache and memtables together; of a small `disk_bytes_max`
    its log, buffers and files take only a part. `StoreLocked` when another
    process has it, `StoreForeign` when it is not ours, `StoreFailed` when it cannot be read.
    Blocks for the time of a replay: up to about 0.3 s after a crash.
    """
    if sys.maxsize < 2**32:
        raise StoreFailed("RocksDB needs a 64-bit system")
    path = str(folder)
    with faults(f"cannot open the database in {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        cache = Cache(cache_bytes)
        options = database_options(cache, cache_bytes=cache_bytes, disk_bytes_max=disk_bytes_max)
        names = {family.value for family in Family}
        if not (folder / _EXISTS).exists():
            # RocksDB would begin a new database, and delete what it takes for left over.
            if any(folder.glob(_TABLES)):
                raise StoreDamaged(f"the database in {folder} has lost its file {_EXISTS}")
        else:
            with faults(f"cannot open the database in {folder}", reads=True):
                foreign = set(Rdict.list_cf(path, options)) - names - {"default"}
            if foreign:
                raise StoreForeign(f"{folder} holds a database that is none of ours")
        families = {
            family.value: family_options(family, cache, disk_bytes_max=disk_bytes_max)
            for family in Family
        }
        with faults(f"cannot open the database in {folder}", reads=True):
            database = Rdict(path, options, families)
        key_value = RocksKeyValue(folder, database)
        key_value.anchor()
        return key_value


class RocksKeyValue:
    """A `KeyValue` on RocksDB. Made by `open_rocksdb`."""

    def __init__(self, folder: Path, database: Rdict) -> None:
        self._folder = folder
        self._database: Rdict | None = database
        self._families = {f: database.get_column_family(f.value) for f in Family}
        self._handles = {f: database.get_column_family_handle(f.value) for f in Family}
        self._write_options = live_write()
        self._syncer = ThreadPoolExecutor(1, thread_name_prefix="rocksdb-sync")
        self._cleaner = ThreadPoolExecutor(1, thread_name_prefix="rocksdb-clean")

    def anchor(self) -> None:
        """Sees to it that every family, also one of a later version, has a table file from the
        beginning.

        Repairing (repairing.py) learns of a family by its table files, and drops from the
        write-ahead log what is of a family that it does not know.
        """
        adrift = [f for f in Family if self.get_many(f, [_ANCHOR])[0] is None]
        if not adrift:
            return
        batch = self.new_batch()
        for family in adrift:
            batch.put(family, _ANCHOR, b"")
        self.write(batch)
        with faults("cannot flush the database"):
            for family in adrift:
                self._family(family).flush()

    def get_many(self, family: Family, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of `keys`, in order; None where there is none."""
        with faults("cannot read the database", reads=True):
            return cast("list[bytes | None]", self._family(family).get(list(keys)))

    def scan(
        self, family: Family, first: bytes, end: bytes, *, limit: int
    ) -> list[tuple[bytes, bytes]]:
        """The first `limit` entries of [first, end), ascending."""
        entries: list[tuple[bytes, bytes]] = []
        with faults("cannot read the database", reads=True):
            options = ReadOptions()
            options.set_iterate_upper_bound(end)  # A pointer into `end`, which lives on here.
            iterator = self._family(family).iter(options)
            try:
                iterator.seek(first or _FIRST)
                while len(entries) < limit and iterator.valid():
                    entries.append((iterator.key(), iterator.value()))
                    iterator.next()
                iterator.status()
            finally:
                del iterator
        return entries

    def new_batch(self) -> RocksBatch:
        """An empty batch for `write`."""
        self._open_database()
        return RocksBatch(self._handles)

    def write(self, batch: Batch) -> None:
        """Makes the batch visible; `sync` makes it durable."""
        assert isinstance(batch, RocksBatch), "a batch of this adapter's own"
        with faults("cannot write to the database"):
            self._open_database().write(batch.raw, self._write_options)

    async def sync(self) -> None:
        """Makes durable everything that was written before the call."""
        with faults("cannot make the database durable"):
            await self._in(self._syncer, self._open_database().flush_wal, True)  # noqa: FBT003

    async def flush(self) -> None:
        """Puts everything into the database's files."""
        with faults("cannot flush the database"):
            for family in Family:
                await self._in(self._syncer, self._family(family).flush)

    async def reclaim(self, family: Family, first: bytes, end: bytes) -> None:
        """Gives the disk space of what was removed from [first, end) back.

        The write-ahead log has a copy of it, and goes only when all that it has of every family is
        in table files, small families as well.
        """
        with faults("cannot compact the database"):
            await self._in(self._cleaner, self._family(family).compact_range, first, end)
            if self._log_bytes() > _LOG_KEPT_BYTES:
                for each in Family:
                    await self._in(self._cleaner, self._family(each).flush)

    def disk_bytes(self) -> int:
        """Bytes of all files of the database."""
        with faults("cannot read the database's folder"), os.scandir(self._folder) as files:
            return sum(_size_bytes(file) for file in files)

    def _log_bytes(self) -> int:
        with os.scandir(self._folder) as files:
            return sum(_size_bytes(file) for file in files if file.name.endswith(".log"))

    async def close(self) -> None:
        """Lets go of the disk, when all calls have returned. A second call does nothing."""
        database, self._database = self._database, None
        if database is None:
            return
        for executor in (self._syncer, self._cleaner):
            await asyncio.to_thread(executor.shutdown)
        self._families.clear()
        self._handles.clear()
        with faults("cannot close the database"):
            database.close()

    def _family(self, family: Family) -> Rdict:
        self._open_database()
        return self._families[family]

    def _open_database(self) -> Rdict:
        if self._database is None:
            raise StoreFailed("the database is closed")
        return self._database

    async def _in(self, executor: ThreadPoolExecutor, call: Any, *arguments: Any) -> None:
        await asyncio.get_running_loop().run_in_executor(executor, call, *arguments)


def _size_bytes(file: os.DirEntry[str]) -> int:
    try:
        return file.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0  # RocksDB removed it in between.
