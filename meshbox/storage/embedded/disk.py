"""What the disk has for the store: its allocation, what is free, and what comes back when removed.

A removal gives no space back by itself: RocksDB must rewrite what is left beside it. That is done
in the background, one stretch at a time, and until it is done the footprint that went is counted
as returning, so that nothing more goes for the same need. So is all else that the database's files
take beyond the footprint, its log and what it is writing anew: that is what the reserve is for, and
nothing has to go for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from meshbox.core.errors import StoreBusy, StoreFailed
from meshbox.core.limits import MIB
from meshbox.core.room import Allocation, DiskSpace
from meshbox.storage.keyvalue import Family, KeyValue

BEHIND_SHARE: Final = 16
"""One part of so many of the bound may be on its way back before deposits wait for it."""

LOOK_BYTES: Final = 1 * MIB
"""Bytes that what is free may change by before the database's files are looked at again, which
takes a tenth of a millisecond."""

FreeBytes = Callable[[], int]
"""Bytes free on the store's disk: a system call of a microsecond."""


class Disk:
    """The space of one store. One owner and one event loop."""

    def __init__(
        self, key_value: KeyValue, allocation: Allocation, free_bytes: FreeBytes | None
    ) -> None:
        """`free_bytes` None: the disk is taken for endless."""
        self._key_value = key_value
        self._allocation = allocation
        self._free_bytes = free_bytes
        self._returning_bytes = 0
        self._looked: tuple[int, int] | None = None
        """At the last look: what was free, and that with what the database's files take."""
        self._stretch: tuple[bytes, bytes, int] | None = None
        self._task: asyncio.Task[None] | None = None

    def bound_bytes(self, used_bytes: int) -> int | None:
        """What the footprint may be now, of which `used_bytes` are taken; None: no bound."""
        if self._free_bytes is None:
            return self._allocation.bound_bytes(used_bytes, None)
        free_bytes = self._free_bytes()
        surplus_bytes = self._look(free_bytes) - free_bytes - used_bytes
        space = DiskSpace(free_bytes, max(self._returning_bytes, surplus_bytes))
        return self._allocation.bound_bytes(used_bytes, space)

    @property
    def capacity_bytes(self) -> int | None:
        """The footprint that the operator's limit leaves; None: there is none."""
        return self._allocation.capacity_bytes

    @property
    def is_exhausted(self) -> bool:
        """Whether nothing may be written until some space came back."""
        if self._free_bytes is None:
            return False
        return self._allocation.is_exhausted(DiskSpace(self._free_bytes()))

    def note_removed(self, first: bytes, end: bytes, *, size_bytes: int) -> None:
        """Blobs of [first, end) were removed: from the next `tidy` on their space is given back."""
        self._returning_bytes += size_bytes
        if self._stretch is not None:
            before_first, before_end, before_bytes = self._stretch
            first, end = min(first, before_first), max(end, before_end)
            size_bytes += before_bytes
        self._stretch = first, end, size_bytes

    def tidy(self) -> None:
        """Gives back, in the background, the space of what was removed; that is durable now."""
        if self._stretch is not None and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def caught_up(self, bound_bytes: int) -> None:
        """Waits while too much of `bound_bytes` was removed and is still on the disk, or what is
        being written anew beside it leaves too little."""
        while self._task is not None and (
            self._returning_bytes > bound_bytes // BEHIND_SHARE or self.is_exhausted
        ):
            await asyncio.wait([self._task])

    async def settled(self) -> None:
        """Returns when everything that was removed is given back."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _work(self) -> None:
        try:
            while self._stretch is not None:
                (first, end, size_bytes), self._stretch = self._stretch, None
                try:
                    await self._key_value.reclaim(Family.BLOB, first, end)
                except (StoreBusy, StoreFailed):
                    # Nothing is lost: RocksDB gives the space back when it next tidies there, and
                    # a disk that fails shows at the next write.
                    return
                finally:
                    self._returning_bytes -= size_bytes
        finally:
            self._task = None

    def _look(self, free_bytes: int) -> int:
        """Bytes that are free or taken by the database's files, as of a moment ago: what it writes
        meanwhile changes the one as much as the other."""
        if self._looked is None or abs(free_bytes - self._looked[0]) >= LOOK_BYTES:
            self._looked = free_bytes, free_bytes + self._key_value.disk_bytes()
        return self._looked[1]
