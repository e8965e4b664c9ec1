"""`MemoryKeyValue`: the key-value seam in memory, with a disk that tests can hold, fail and cut.

It keeps two images, what is visible and what a power cut would leave, and between them the batches
that were written and not synced. Nothing here is a second implementation of the store: the
store's logic runs on it as it does on RocksDB. Bounded by memory alone.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import NamedTuple

from meshbox.core.errors import StoreBusy, StoreFailed
from meshbox.storage.keyvalue import Batch, Family


class _Op(NamedTuple):
    """One operation of a batch; without `value` a removal of [key, end)."""

    family: Family
    key: bytes
    end: bytes
    value: bytes | None


class MemoryBatch:
    """A `Batch` that remembers its operations."""

    __slots__ = ("ops",)

    def __init__(self) -> None:
        self.ops: list[_Op] = []

    def put(self, family: Family, key: bytes, value: bytes) -> None:
        """Sets `key`."""
        self.ops.append(_Op(family, key, b"", value))

    def delete(self, family: Family, key: bytes) -> None:
        """Removes `key`, if it is there."""
        self.ops.append(_Op(family, key, key + b"\0", None))

    def delete_range(self, family: Family, first: bytes, end: bytes) -> None:
        """Removes every key of [first, end)."""
        self.ops.append(_Op(family, first, end, None))


class _Table:
    """One family: values by key, and the keys in order."""

    __slots__ = ("keys", "values")

    def __init__(self, values: dict[bytes, bytes] | None = None) -> None:
        self.values = values or {}
        self.keys = sorted(self.values)

    def apply(self, op: _Op) -> None:
        if op.value is not None:
            if op.key not in self.values:
                insort(self.keys, op.key)
            self.values[op.key] = op.value
            return
        first, end = bisect_left(self.keys, op.key), bisect_left(self.keys, op.end)
        for key in self.keys[first:end]:
            del self.values[key]
        del self.keys[first:end]


_Image = dict[Family, _Table]


class MemoryKeyValue:
    """A `KeyValue` in memory. It holds no file; a "disk" is the object itself.

    For tests: `hold_syncs` and `release_syncs`, `fail_syncs`, `fail_writes`, `busy_writes`,
    `power_cut` and `copy`.
    """

    def __init__(self, image: _Image | None = None) -> None:
        self._visible = _copied(image or {})
        self._durable = _copied(image or {})
        self._unsynced: list[list[_Op]] = []
        self._durable_batches = 0
        self._released = asyncio.Event()
        self._released.set()
        self._sync_error: Exception | None = None
        self._write_error: StoreBusy | StoreFailed | None = None
        self._closed = False
        self.syncs = 0
        """How many syncs were asked for."""

    def get_many(self, family: Family, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of `keys`, in order; None where there is none."""
        self._check_open()
        values = self._visible[family].values
        return [values.get(key) for key in keys]

    def scan(
        self, family: Family, first: bytes, end: bytes, *, limit: int
    ) -> list[tuple[bytes, bytes]]:
        """The first `limit` entries of [first, end), ascending."""
        self._check_open()
        table = self._visible[family]
        start, stop = bisect_left(table.keys, first), bisect_left(table.keys, end)
        return [(key, table.values[key]) for key in table.keys[start : min(stop, start + limit)]]

    def new_batch(self) -> MemoryBatch:
        """An empty batch for `write`."""
        return MemoryBatch()

    def write(self, batch: Batch) -> None:
        """Makes the batch visible; `sync` makes it durable."""
        self._check_open()
        assert isinstance(batch, MemoryBatch)
        if self._write_error is not None:
            raise self._write_error
        for op in batch.ops:
            self._visible[op.family].apply(op)
        self._unsynced.append(batch.ops)

    async def sync(self) -> None:
        """Makes durable everything that was written before the call."""
        self._check_open()
        self.syncs += 1
        written = self._durable_batches + len(self._unsynced)
        await asyncio.sleep(0)
        await self._released.wait()
        self._check_open()
        if self._sync_error is not None:
            raise StoreFailed("the database cannot be made durable") from self._sync_error
        self._make_durable(written - self._durable_batches)

    async def flush(self) -> None:
        """The same as `sync`, but never held: what was recovered is durable already."""
        self._make_durable(len(self._unsynced))

    async def reclaim(self, family: Family, first: bytes, end: bytes) -> None:
        """Nothing: what is removed takes no space."""

    def disk_bytes(self) -> int:
        """Bytes of all keys and values."""
        return sum(
            len(key) + len(value)
            for table in self._visible.values()
            for key, value in table.values.items()
        )

    async def close(self) -> None:
        """Ends this opening; `copy` opens what was made durable again."""
        self._closed = True

    def hold_syncs(self) -> None:
        """From now on no `sync` returns."""
        self._released.clear()

    def release_syncs(self) -> None:
        """Ends `hold_syncs`."""
        self._released.set()

    def fail_syncs(self, error: Exception) -> None:
        """From now on every `sync` fails with `StoreFailed` because of `error`."""
        self._sync_error = error

    def fail_writes(self) -> None:
        """From now on every `write` fails as on a full disk."""
        self._write_error = StoreFailed("the database refused a batch")

    def busy_writes(self, busy: bool) -> None:  # noqa: FBT001 - the state itself
        """Whether every `write` is refused as one of a database that is behind."""
        self._write_error = StoreBusy("the database is behind") if busy else None

    def power_cut(self, *, unsynced_kept: int = 0) -> MemoryKeyValue:
        """The database after a power cut: what was synced, and the next `unsynced_kept` batches.

        This object is dead afterwards: everything that waits for it fails.
        """
        self._make_durable(min(unsynced_kept, len(self._unsynced)))
        self._closed = True
        self._released.set()
        return self.copy()

    def copy(self) -> MemoryKeyValue:
        """Another database with what is durable here."""
        return MemoryKeyValue(self._durable)

    def _make_durable(self, batches: int) -> None:
        ready, self._unsynced = self._unsynced[: max(batches, 0)], self._unsynced[max(batches, 0) :]
        for ops in ready:
            for op in ops:
                self._durable[op.family].apply(op)
        self._durable_batches += len(ready)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreFailed("the database is closed")


def _copied(image: _Image) -> _Image:
    return {
        family: _Table(dict(image[family].values) if family in image else None) for family in Family
    }
