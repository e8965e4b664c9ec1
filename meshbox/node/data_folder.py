"""The data folder: made private, and held by one process at a time.

    DATA/lock             held (flock) by whoever works on the folder; names that process
    DATA/identity.key     see identity/key_file.py
    DATA/store/           the database
    DATA/reserve          space that is given up when the disk is full (storage/reserve.py)
    DATA/adopt-store      only after a loss, see node/opening.py
    DATA/control.sock     while a node runs

The database has a lock of its own. This one comes before it, because the key and the database
belong together: `meshbox id` and `meshbox run` on a new folder must not both make them.

Invariants: a folder that is made here has mode 0700, and a power cut does not take it back; one
that was there keeps its mode, and what is put into it is private by the process's umask. The lock
goes with the process, however it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from meshbox.core.errors import DataFolderFailed, StoreLocked

LOCK_NAME: Final = "lock"
STORE_NAME: Final = "store"
SHARED_NAME: Final = "cassandra"
RESERVE_NAME: Final = "reserve"
CONTROL_SOCKET_NAME: Final = "control.sock"

_FOLDER_MODE: Final = 0o700
_FILE_MODE: Final = 0o600
_HOLDER_LENGTH_MAX: Final = 32


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Holds `folder`, made when it is not there, for as long as the context lasts.

    Raises `StoreLocked` when another process holds it, `DataFolderFailed` when it cannot be used.
    """
    descriptor = _open_lock(folder)
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def store_exists(folder: Path) -> bool:
    """Whether a database was ever begun in `folder`: in doubt (a half-made one) it was."""
    try:
        return any((folder / STORE_NAME).iterdir())
    except FileNotFoundError:
        return False
    except OSError as error:
        raise DataFolderFailed(f"cannot read {folder / STORE_NAME}: {error.strerror}") from error


def shared_keyspace(folder: Path) -> str | None:
    """The keyspace of a Cassandra that has the messages of `folder`; None when they are here."""
    try:
        return (folder / SHARED_NAME).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise DataFolderFailed(f"cannot read {folder / SHARED_NAME}: {error}") from error


def sync_folder(folder: Path) -> None:
    """Makes the names in `folder` durable. `OSError`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_lock(folder: Path) -> int:
    try:
        _make(folder)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(folder / LOCK_NAME, flags, _FILE_MODE)
    except OSError as error:
        raise DataFolderFailed(
            f"cannot use {folder} as data folder: {error.strerror}",
            hint="check its owner, mode and free space, or name another with --data-dir",
        ) from error


def _make(folder: Path) -> None:
    """Makes `folder` and what is above it, durably: whoever made it may have been killed before
    its name was on disk, so that is seen to each time."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    # One that others made for us may lie in one that we cannot read.
    with contextlib.suppress(PermissionError):
        for path in made or [folder]:
            sync_folder(path.parent)


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(descriptor, _HOLDER_LENGTH_MAX).decode(errors="replace").strip()
        raise StoreLocked(
            f"{folder} is in use by another meshbox process",
            hint=f"process {holder}" if holder.isdecimal() else "stop it first",
        ) from error
    except OSError as error:
        raise DataFolderFailed(f"cannot lock {folder}: {error.strerror}") from error
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:
        raise DataFolderFailed(f"cannot write to {folder}: {error.strerror}") from error
