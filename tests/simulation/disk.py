"""A disk in memory that takes its time, fails, and can lose its power."""

from __future__ import annotations

import asyncio
import random

from meshbox.storage.keyvalue import Family
from meshbox.storage.memory import MemoryKeyValue
from tests.simulation.loop import looked_at_s


class SlowKeyValue(MemoryKeyValue):
    """A database whose syncs take as long as its disk says."""

    disk: Disk

    async def sync(self) -> None:
        await asyncio.sleep(self.disk.sync_s())
        await super().sync()

    def is_at_risk(self, key: bytes) -> bool:
        """Whether a power cut now would take this blob, which can be read."""
        there, safe = self._visible[Family.BLOB].values, self._durable[Family.BLOB].values
        return key in there and key not in safe


SYNC_MS = (0.1, 4.0)


class Disk:
    """What outlives a process."""

    def __init__(self, rng: random.Random, start: MemoryKeyValue | None = None) -> None:
        self.sync_ms = SYNC_MS
        self.looks_s = 0.0
        """Seconds between the moments at which it is noticed that a sync is done; 0: always."""
        self._rng = rng
        self._image = start or MemoryKeyValue()
        self._failed = False
        self.opened: SlowKeyValue | None = None

    def open(self) -> SlowKeyValue:
        """The database as it is now."""
        self.opened = SlowKeyValue(self._image.copy()._durable)
        self.opened.disk = self
        self._failed = False
        self._image = self.opened
        return self.opened

    def copy(self, rng: random.Random) -> Disk:
        """A backup of what is durable, or a cloned folder."""
        return Disk(rng, self._image.copy())

    def power_cut(self, *, unsynced_kept: int) -> None:
        """What was not synced is lost, but for the next `unsynced_kept` batches."""
        self._image = self._image.power_cut(unsynced_kept=unsynced_kept)

    def fail(self) -> None:
        """From now on it confirms nothing."""
        assert self.opened is not None, "only a running machine notices"
        self.opened.fail_syncs(OSError("the disk failed"))
        self._failed = True

    def heal(self) -> bool:
        """It is as good as new; whether it had failed, and must be opened anew."""
        self.sync_ms = SYNC_MS
        self.looks_s = 0.0
        return self._failed

    def sync_s(self) -> float:
        now_s = asyncio.get_running_loop().time()
        done_s = now_s + self._rng.uniform(*self.sync_ms) / 1_000
        return looked_at_s(done_s, every_s=self.looks_s) - now_s
