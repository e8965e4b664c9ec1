"""The journal of preload/journal.c, read: what a process did to the files below one folder."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Final, NamedTuple

_HEAD: Final = struct.Struct("=IIQII")


class Kind(Enum):
    """What was done."""

    START = ord("S")
    """A process began: none of the former one's descriptors is open."""
    OPEN = ord("O")
    CLOSE = ord("C")
    WRITE = ord("W")
    RESIZE = ord("T")
    SYNC_BEGUN = ord("F")
    SYNCED = ord("f")
    RENAME = ord("R")
    LINK = ord("L")
    REMOVE = ord("U")
    MAKE_FOLDER = ord("M")


class Record(NamedTuple):
    """One operation that succeeded."""

    kind: Kind
    descriptor: int
    at: int
    """Offset, size, number of a sync, or how a file was opened."""
    first: bytes
    """A path below the folder."""
    second: bytes
    """Another path, or what was written."""


CREATES: Final = 1
EMPTIES: Final = 2
"""Bits of `at` when a file is opened."""


def read(path: Path) -> Iterator[Record]:
    """The records in order; one that a kill cut short is left out."""
    data = memoryview(path.read_bytes())
    at = 0
    while at + _HEAD.size <= len(data):
        kind, descriptor, number, first_bytes, second_bytes = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        end = at + first_bytes + second_bytes
        if end > len(data):
            return
        first, second = data[at : at + first_bytes], data[at + first_bytes : end]
        yield Record(Kind(kind), descriptor, number, bytes(first), bytes(second))
        at = end
