"""Repairing a database of RocksDB: what is damaged is given up, what can be read is kept.

RocksDB's own repair drops every table file in which a single bit is wrong, and makes a database of
the others. So what can be read in such a file, as one reads it among all the others, is written
aside first, and written again on top afterwards:

    look through all families ─▶ salvage/FAMILY, then salvage/complete ─▶ damaged files deleted
    ─▶ RocksDB's repair ─▶ salvage written ─▶ salvage/ deleted

A crash anywhere is followed by the whole again, from `salvage/complete` on when it is there.

What comes out holds no damage, but is not what went in: keys that could not be read are gone, or
have an older value again, or one that was deleted. Whoever opens it has to make sense of that
(storage/embedded/rebuilding.py). When not even the list of files can be read there is no salvage:
then damaged table files are lost whole; so are those of a family in which there is damage that
RocksDB gives no file's name for.

Everything here blocks, and reads the whole database: call it from a thread.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from struct import Struct
from typing import Any, Final

from rocksdict import AccessType, Cache, Rdict, ReadOptions

from meshbox.core.errors import StoreFailed
from meshbox.storage.keyvalue import Family
from meshbox.storage.rocksdb.faults import faults
from meshbox.storage.rocksdb.options import CACHE_BYTES, database_options, family_options

_SALVAGE: Final = "salvage"
_COMPLETE: Final = "complete"
_LOST: Final = "lost"
"""Where RocksDB's repair puts what it gave up."""
_TABLE: Final = re.compile(r"(\d{6,}\.sst)")
_LENGTHS: Final = Struct(">II")
_DAMAGED_MAX: Final = 10_000
"""Damaged places of a family that are walked around; beyond them the rest is lost."""


class _Table:
    """A table file's name and its keys, first and last."""

    def __init__(self, live: dict[str, Any]) -> None:
        self.name = str(live["name"]).lstrip("/")
        self.first: bytes = live["start_key"]
        self.last: bytes = live["end_key"]


@dataclass
class _Walk:
    """A look through one family, around what is damaged."""

    database: Rdict
    tables: dict[str, _Table]
    damaged: set[str] = field(default_factory=set)
    is_blind: bool = False
    """Something is damaged of which RocksDB does not name the file, such as a table's properties:
    the family cannot be looked through."""

    def entries(self, first: bytes, last: bytes | None) -> Iterator[tuple[bytes, bytes]]:
        """What can be read from `first` to `last`, ascending; notes the damaged files."""
        position = first
        for _ in range(_DAMAGED_MAX):
            iterator = self.database.iter(ReadOptions())
            iterator.seek(position)
            while iterator.valid():
                key = iterator.key()
                if last is not None and key > last:
                    return
                yield key, iterator.value()
                position = key + b"\0"
                iterator.next()
            try:
                iterator.status()
            except Exception as error:  # noqa: BLE001 - the binding raises nothing more precise
                table = self._damaged_table(error)
            else:
                return
            if table is None:
                self.is_blind = True
                return
            beyond = self._first_readable(position, table.last + b"\0")
            if beyond is None:
                return
            position = beyond

    def _damaged_table(self, error: Exception) -> _Table | None:
        named = [name for name in _TABLE.findall(str(error)) if name in self.tables]
        if not named:
            return None
        self.damaged.add(named[-1])
        return self.tables[named[-1]]

    def _first_readable(self, bad: bytes, end: bytes) -> bytes | None:
        """A key after the damage at `bad` from which reading goes on; None when there is none.

        By halving what lies between: between two damaged blocks of one file it may pass over some
        that are whole.
        """
        width = max(len(bad), len(end))
        low, high = (int.from_bytes(key.ljust(width, b"\0")) for key in (bad, end))
        if not self._readable(end):
            return None
        while high - low > 1:
            middle = (low + high) // 2
            if self._readable(middle.to_bytes(width)):
                high = middle
            else:
                low = middle
        return high.to_bytes(width)

    def _readable(self, key: bytes) -> bool:
        iterator = self.database.iter(ReadOptions())
        iterator.seek(key)
        if iterator.valid():
            return True
        try:
            iterator.status()
        except Exception:  # noqa: BLE001 - the binding raises nothing more precise
            return False
        return True


def repair_rocksdb(folder: Path, *, cache_bytes: int = CACHE_BYTES) -> tuple[str, ...]:
    """Repairs the database in `folder`, which nobody may have open; the files that were damaged.

    `StoreFailed` when the disk takes no writes; `StoreDamaged` when nothing can be made of it.
    """
    salvage = folder / _SALVAGE
    with faults(f"cannot repair the database in {folder}", reads=True):
        damaged: tuple[str, ...] = ()
        if not (salvage / _COMPLETE).exists():
            shutil.rmtree(salvage, ignore_errors=True)
            salvage.mkdir()
            damaged = _salvage(folder, salvage, cache_bytes)
            _note_complete(salvage)
            for name in damaged:
                (folder / name).unlink(missing_ok=True)
        Rdict.repair(str(folder), database_options(Cache(cache_bytes), cache_bytes=cache_bytes))
        lost = {path.name for path in (folder / _LOST).glob("*.sst")}
        _add(folder, salvage, cache_bytes)
        shutil.rmtree(salvage)
        shutil.rmtree(folder / _LOST, ignore_errors=True)
        return tuple(sorted({*damaged, *lost}))


def _salvage(folder: Path, salvage: Path, cache_bytes: int) -> tuple[str, ...]:
    """Writes what can be read where something cannot; the damaged files."""
    try:
        families = _families(folder)
        database = _opened(folder, cache_bytes, families, AccessType.read_only())
    except StoreFailed:
        return ()
    damaged: set[str] = set()
    tables = {table.name: table for table in map(_Table, database.live_files())}
    for family in families:
        walk = _Walk(database.get_column_family(family.value), tables)
        for _ in walk.entries(b"", None):
            pass
        if walk.is_blind:
            continue  # RocksDB's repair finds the file, and drops it.
        if walk.damaged:
            spans = _spans([tables[name] for name in walk.damaged])
            _write(walk, spans, salvage / family.value)
        damaged |= walk.damaged
        del walk
    database.close()
    return tuple(sorted(damaged))


def _spans(tables: list[_Table]) -> list[tuple[bytes, bytes]]:
    """The keys of some tables, those that overlap taken together."""
    spans: list[tuple[bytes, bytes]] = []
    for table in sorted(tables, key=lambda table: table.first):
        if spans and table.first <= spans[-1][1]:
            spans[-1] = spans[-1][0], max(spans[-1][1], table.last)
        else:
            spans.append((table.first, table.last))
    return spans


def _write(walk: _Walk, spans: list[tuple[bytes, bytes]], path: Path) -> None:
    """Every entry of some spans: the lengths of key and value, then these."""
    with path.open("wb") as file:
        for first, last in spans:
            for key, value in walk.entries(first, last):
                file.write(_LENGTHS.pack(len(key), len(value)) + key + value)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> Iterator[tuple[bytes, bytes]]:
    with path.open("rb") as file:
        while lengths := file.read(_LENGTHS.size):
            key_length, value_length = _LENGTHS.unpack(lengths)
            yield file.read(key_length), file.read(value_length)


def _add(folder: Path, salvage: Path, cache_bytes: int) -> None:
    """Opens what RocksDB's repair made, which proves it, and writes the salvage on top.

    By ordinary writes: a table file that was added whole would be lost in the next repair, since
    its age is known by the list of files alone.
    """
    database = _opened(folder, cache_bytes, list(Family), None)
    try:
        for family in Family:
            path = salvage / family.value
            if path.exists():
                target = database.get_column_family(family.value)
                for key, value in _read(path):
                    target.put(key, value)
                target.flush()
    finally:
        database.close()


def _families(folder: Path) -> list[Family]:
    """Those that the database has: one of the release before may lack some."""
    with faults(f"cannot open the database in {folder}"):
        names = set(Rdict.list_cf(str(folder)))
    return [family for family in Family if family.value in names]


def _opened(
    folder: Path, cache_bytes: int, families: list[Family], access: AccessType | None
) -> Rdict:
    with faults(f"cannot open the database in {folder}"):
        cache = Cache(cache_bytes)
        by_name = {family.value: family_options(family, cache) for family in families}
        options = database_options(cache, cache_bytes=cache_bytes)
        if access is None:
            return Rdict(str(folder), options, by_name)
        return Rdict(str(folder), options, by_name, access_type=access)


def _note_complete(salvage: Path) -> None:
    """After everything that was salvaged is on disk."""
    (salvage / _COMPLETE).touch()
    descriptor = os.open(salvage, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
