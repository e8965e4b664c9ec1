"""Which processes hold a port, as /proc tells it. A user sees only its own; root sees all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

_PROC: Final = Path("/proc")
_LISTENING: Final = "0A"
_SOCKET: Final = "socket:["


class Holder(NamedTuple):
    """A process by its id and name."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid})"


def holders(protocol: str, port: int) -> list[Holder]:
    """Who holds `port` of `protocol`, tcp (listening) or udp; without those who cannot be seen."""
    inodes = {f"{_SOCKET}{inode}]" for inode in _inodes(protocol, port)}
    if not inodes:
        return []
    return [holder for holder, sockets in _processes() if not inodes.isdisjoint(sockets)]


def _inodes(protocol: str, port: int) -> Iterator[str]:
    for table in (protocol, f"{protocol}6"):
        try:
            lines = (_PROC / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            is_at_port = int(fields[1].rpartition(":")[2], 16) == port
            if is_at_port and (protocol == "udp" or fields[3] == _LISTENING):
                yield fields[9]


def _processes() -> Iterator[tuple[Holder, set[str]]]:
    for folder in _PROC.glob("[0-9]*"):
        try:
            name = (folder / "comm").read_text().strip()
            sockets = set(_targets(folder / "fd"))
        except OSError:
            continue  # Another user's, or it ended.
        yield Holder(int(folder.name), name), sockets


def _targets(folder: Path) -> Iterator[str]:
    """Where its links lead; one may be closed meanwhile, such as that of this very listing."""
    for link in folder.iterdir():
        with suppress(FileNotFoundError):
            yield str(link.readlink())
