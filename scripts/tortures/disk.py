"""A disk that forgets: from a journal, what a power cut would have left of a folder.

POSIX promises little. What `fsync` returned for is there: the bytes of a file, or the names in a
folder. All else is the disk's choice, and `Disk.cut` chooses in one of these ways:

    STRICT      nothing but what was synced
    ORDERED     names as of some moment since (journalling file systems keep their order), and of
                each file's bytes as much as was written until some moment, the last write torn
    SCATTERED   names as of some moment since, and any pages of the bytes, zeros where one is
                missing, in a file as long as its last page that is there

`Disk.kill` is what the death of a process leaves: everything, with the page cache.

Knows nothing of nodes. Invariant: what was synced before the journal's end is in every outcome.
"""

from __future__ import annotations

import os
import random
import shutil
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

from scripts.tortures import journal
from scripts.tortures.journal import Kind, Record

_PAGE_BYTES: Final = 4_096
_FILE_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700


class Choice(Enum):
    """What a disk keeps of what was not synced."""

    STRICT = "strict"
    ORDERED = "ordered"
    SCATTERED = "scattered"


@dataclass(slots=True, eq=False)
class File:
    """A file's durable bytes, and what was done since: (offset, bytes), or (size, None)."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    settled: int = 0
    """Operations that became durable, ever."""

    def settle(self, through: int) -> None:
        """Makes durable what was done until there were `through` operations."""
        count = through - self.settled
        if count > 0:
            for at, data in self.pending[:count]:
                _apply(self.durable, at, data)
            del self.pending[:count]
            self.settled = through

    @property
    def operations(self) -> int:
        """How many were done, ever."""
        return self.settled + len(self.pending)


@dataclass(slots=True, eq=False)
class Folder:
    """The names in a folder as the processes see them, and those that are durable."""

    names: dict[bytes, Node] = field(default_factory=dict)
    durable: dict[bytes, Node] = field(default_factory=dict)


Node = File | Folder


@dataclass(slots=True, eq=False)
class _Renaming:
    """Names that changed at one moment, which a disk keeps or forgets together."""

    number: int
    changes: list[tuple[Folder, bytes, Node | None]]


class Disk:
    """The folder `root` and its history."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._top = Folder()
        self._pending: list[_Renaming] = []
        self._number = 0
        self._descriptors: dict[int, Node] = {}
        self._syncs: dict[int, tuple[Node, int]] = {}

    def replay(self, path: Path) -> None:
        """Takes in a journal that goes on where the last one ended, and removes it."""
        for record in journal.read(path):
            self._take(record)
        path.unlink()

    def kill(self) -> None:
        """The folder as a killed process left it, exactly: its last act may not be journaled."""
        self._descriptors.clear()
        self._syncs.clear()
        self._write()

    def cut(self, choice: Choice, chance: random.Random) -> None:
        """The power goes: the folder becomes what the disk kept, and that is durable."""
        self._descriptors.clear()
        self._syncs.clear()
        kept = 0 if choice is Choice.STRICT else chance.randint(0, len(self._pending))
        for renaming in self._pending[:kept]:
            _settle(renaming)
        self._pending.clear()
        self._settle_folder(self._top, choice, chance)
        self._write()

    def _settle_folder(self, folder: Folder, choice: Choice, chance: random.Random) -> None:
        folder.names = dict(folder.durable)
        for name in sorted(folder.names):
            node = folder.names[name]
            if isinstance(node, Folder):
                self._settle_folder(node, choice, chance)
            else:
                _settle_file(node, choice, chance)

    def _write(self) -> None:
        """Makes the real folder what the processes now see."""
        if self._root.exists():
            shutil.rmtree(self._root)
        _write_folder(self._root, self._top)

    def _take(self, record: Record) -> None:
        kind = record.kind
        if kind is Kind.START:
            self._descriptors.clear()
            self._syncs.clear()
        elif kind is Kind.OPEN:
            self._open(record)
        elif kind in (Kind.RENAME, Kind.LINK, Kind.REMOVE, Kind.MAKE_FOLDER):
            self._rename(record)
        elif kind is Kind.SYNCED:
            self._synced(record.at)
        else:
            self._touch(record)

    def _open(self, record: Record) -> None:
        if not _parts(record.first):
            self._descriptors[record.descriptor] = self._top
            return
        folder, name = self._place(record.first)
        node = folder.names.get(name)
        if node is None and record.at & journal.CREATES:
            node = File()
            self._change((folder, name, node))
        if isinstance(node, File) and record.at & journal.EMPTIES:
            node.pending.append((0, None))
        if node is not None:
            self._descriptors[record.descriptor] = node

    def _touch(self, record: Record) -> None:
        node = self._descriptors.get(record.descriptor)
        if record.kind is Kind.CLOSE:
            self._descriptors.pop(record.descriptor, None)
        elif record.kind is Kind.SYNC_BEGUN and node is not None:
            done = node.operations if isinstance(node, File) else self._number
            self._syncs[record.at] = node, done
        elif isinstance(node, File):
            data = record.second if record.kind is Kind.WRITE else None
            node.pending.append((record.at, data))

    def _synced(self, ticket: int) -> None:
        node, through = self._syncs.pop(ticket, (None, 0))
        if isinstance(node, File):
            node.settle(through)
        elif node is not None:
            mine = [r for r in self._pending if r.number <= through and _concerns(r, node)]
            for renaming in mine:
                _settle(renaming)
                self._pending.remove(renaming)

    def _rename(self, record: Record) -> None:
        folder, name = self._place(record.first)
        if record.kind is Kind.MAKE_FOLDER:
            self._change((folder, name, Folder()))
            return
        node = folder.names.get(name)
        if record.kind is Kind.REMOVE:
            self._change((folder, name, None))
            return
        target, new_name = self._place(record.second)
        leaving = [(folder, name, None)] if record.kind is Kind.RENAME else []
        self._change((target, new_name, node), *leaving)

    def _change(self, *changes: tuple[Folder, bytes, Node | None]) -> None:
        self._number += 1
        for change in changes:
            _name(change[0].names, change)
        self._pending.append(_Renaming(self._number, list(changes)))

    def _place(self, path: bytes) -> tuple[Folder, bytes]:
        """The folder that a path ends in, and the name there."""
        *above, name = _parts(path)
        folder = self._top
        for part in above:
            below = folder.names[part]
            assert isinstance(below, Folder), path
            folder = below
        return folder, name


def _parts(path: bytes) -> list[bytes]:
    return [part for part in path.split(b"/") if part not in (b"", b".")]


def _concerns(renaming: _Renaming, folder: Folder) -> bool:
    return any(changed is folder for changed, _, _ in renaming.changes)


def _settle(renaming: _Renaming) -> None:
    for change in renaming.changes:
        _name(change[0].durable, change)


def _name(names: dict[bytes, Node], change: tuple[Folder, bytes, Node | None]) -> None:
    _, name, node = change
    if node is None:
        names.pop(name, None)
    else:
        names[name] = node


def _settle_file(file: File, choice: Choice, chance: random.Random) -> None:
    if choice is Choice.ORDERED:
        kept = chance.randint(0, len(file.pending))
        for at, data in file.pending[:kept]:
            _apply(file.durable, at, data)
        if kept < len(file.pending):
            at, data = file.pending[kept]
            if data is not None:
                _apply(file.durable, at, data[: chance.randint(0, len(data))] or None, keep=True)
    elif choice is Choice.SCATTERED:
        for at, data in file.pending:
            if data is None:
                _apply(file.durable, at, data)
            else:
                _apply_pages(file.durable, at, data, chance)
    file.settled += len(file.pending)
    file.pending.clear()


def _apply_pages(content: bytearray, at: int, data: bytes, chance: random.Random) -> None:
    """Writes any of the pages that `data` lies on."""
    end = at + len(data)
    while at < end:
        next_page = min(end, (at // _PAGE_BYTES + 1) * _PAGE_BYTES)
        part, data = data[: next_page - at], data[next_page - at :]
        if chance.random() < 0.5:
            _apply(content, at, part)
        at = next_page


def _apply(content: bytearray, at: int, data: bytes | None, *, keep: bool = False) -> None:
    """Writes `data` at an offset; without data, makes the content `at` bytes long."""
    if data is None:
        if keep:
            return
        del content[at:]
        content.extend(bytes(at - len(content)))
        return
    if at > len(content):
        content.extend(bytes(at - len(content)))
    content[at : at + len(data)] = data


def _write_folder(path: Path, folder: Folder) -> None:
    path.mkdir(mode=_FOLDER_MODE)
    for name, node in folder.names.items():
        below = path / name.decode()
        if isinstance(node, Folder):
            _write_folder(below, node)
        else:
            content = bytearray(node.durable)
            for at, data in node.pending:
                _apply(content, at, data)
            below.touch(mode=_FILE_MODE)
            below.write_bytes(content.rstrip(b"\0"))
            os.truncate(below, len(content))  # What was only set aside takes no time and no room.
