"""`Reserve`: space on the disk that is given up when it is full, so that the database can open.

A database that failed on a full disk must be opened again, and opening writes: what was in its
write-ahead log goes into files. So a file keeps as much space as that takes. It is given up first,
and made again when there is room. Where space cannot be set aside (a file system without
fallocate) there is none, and a full disk has to be freed by somebody.

Blocking calls: use them from a thread.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from meshbox.core.limits import MIB

PROBE_BYTES: Final = 1 * MIB
"""Written to see whether the disk takes anything."""
_ROOM_FACTOR: Final = 4
"""The reserve is made when so many times its size is free: it must not be what fills the disk."""
_MODE: Final = 0o600


class Reserve:
    """The file `path`, in the file system of the database."""

    def __init__(self, path: Path, *, size_bytes: int) -> None:
        self._path = path
        self._probe = path.with_name(f"{path.name}.probe")
        self._size_bytes = size_bytes

    def make(self) -> bool:
        """Sets the space aside, if there is plenty; whether it is."""
        try:
            if self._is_made():
                return True
            # A crash may have left a shorter one: its size is on disk later than its name. Or the
            # operator set another limit.
            self._path.unlink(missing_ok=True)
            if _free_bytes(self._path.parent) < _ROOM_FACTOR * self._size_bytes:
                return False
            self._allocate()
        except (OSError, AttributeError):
            # AttributeError: macOS has no posix_fallocate.
            self._remove(self._path)
            return False
        return True

    def make_way(self) -> bool:
        """Whether the disk takes writes, with the reserve given up if it is short of space."""
        if self._takes_writes() and not self._is_short():
            return True
        self._remove(self._path)
        return self._takes_writes()

    def _is_made(self) -> bool:
        return self._path.exists() and self._path.stat().st_size == self._size_bytes

    def _is_short(self) -> bool:
        try:
            return _free_bytes(self._path.parent) < self._size_bytes
        except OSError:
            return True

    def _takes_writes(self) -> bool:
        try:
            descriptor = os.open(self._probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _MODE)
            try:
                written = os.write(descriptor, bytes(PROBE_BYTES))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError:
            return False
        finally:
            self._remove(self._probe)
        return written == PROBE_BYTES

    def _allocate(self) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
        try:
            os.posix_fallocate(descriptor, 0, self._size_bytes)
        finally:
            os.close(descriptor)

    def _remove(self, path: Path) -> None:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _free_bytes(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize
