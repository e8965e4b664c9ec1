"""The disk space of a data folder: what the operator allows, and what is free.

A data folder that is not there yet, or just cannot be asked, has nothing free: nothing is written
to a disk of which nobody knows how full it is.
"""

from __future__ import annotations

import os
from pathlib import Path

from meshbox.core.room import Allocation, aside_bytes, capacity_bytes, reserve_bytes


class Space:
    """The space of `folder`; `limit_bytes` None: as much as the disk takes."""

    def __init__(self, folder: Path, *, limit_bytes: int | None) -> None:
        self.limit_bytes = limit_bytes
        self._folder = folder

    @property
    def allocation(self) -> Allocation:
        """How much may be stored."""
        capacity = None if self.limit_bytes is None else capacity_bytes(self.limit_bytes)
        return Allocation(capacity, reserve_bytes(self._disk()[0]))

    @property
    def aside_bytes(self) -> int:
        """Bytes of the file that is given up when the disk is full."""
        return aside_bytes(self.limit_bytes)

    def free_bytes(self) -> int:
        """Bytes that may still be written. A system call of a microsecond."""
        return self._disk()[1]

    def _disk(self) -> tuple[int, int]:
        """Bytes in all, and free for us."""
        try:
            status = os.statvfs(self._folder)
        except OSError:
            return 0, 0
        return status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize
