"""Where the control socket is: a unix socket in the data folder, whatever the folder's name.

The address of a unix socket has room for about 107 bytes (103 on macOS), and a path may be longer.
Linux then takes a short one through the process's own descriptor of the folder.

Used by the node that listens and by the commands that call it. Access is by the file's mode, 0600.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from meshbox.core.errors import ListenFailed

ADDRESS_BYTES_MAX: Final = 103
"""Bytes of a socket's path: sun_path less its NUL, on the narrowest system (macOS)."""

_DESCRIPTORS: Final = Path("/proc/self/fd")
_MODE: Final = 0o600
_BACKLOG: Final = 16


def listen(path: Path) -> socket.socket:
    """A listening socket at `path`, in place of one that nobody answers at. `ListenFailed`."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with address_of(path) as address:
            _remove_stale(path, address)
            _bind_private(listening, address)
        listening.listen(_BACKLOG)
        listening.setblocking(False)  # noqa: FBT003 - its only form
    except OSError as error:
        listening.close()
        raise ListenFailed(
            f"cannot make the control socket {path}: {error.strerror or error}",
            hint="the data folder's file system must allow sockets",
        ) from error
    return listening


def connect(path: Path, timeout_s: float) -> socket.socket:
    """A connection to the node that listens at `path`; `OSError` when none does."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        with address_of(path) as address:
            connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


@contextmanager
def address_of(path: Path) -> Iterator[str]:
    """The address to bind or connect while the context lasts; `OSError` where there is none."""
    if len(os.fsencode(path)) <= ADDRESS_BYTES_MAX:
        yield str(path)
        return
    if not _DESCRIPTORS.is_dir():
        raise OSError(f"the path is longer than {ADDRESS_BYTES_MAX} bytes")
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield str(_DESCRIPTORS / str(folder) / path.name)
    finally:
        os.close(folder)


def _remove_stale(path: Path, address: str) -> None:
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        raise OSError("something else has this name")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # noqa: FBT003 - its only form
        with contextlib.suppress(ConnectionRefusedError, FileNotFoundError):
            probe.connect(address)
            raise OSError("another process answers there")
    path.unlink(missing_ok=True)


def _bind_private(listening: socket.socket, address: str) -> None:
    """Binds with no moment at which others could connect."""
    mask = os.umask(~_MODE & 0o777)
    try:
        listening.bind(address)
    finally:
        os.umask(mask)
