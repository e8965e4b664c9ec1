"""Real damage in a real database: what can be read is kept, and it opens again."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from rocksdict import Rdict

from meshbox.core.errors import StoreDamaged
from meshbox.storage.keyvalue import Family
from meshbox.storage.rocksdb import RocksKeyValue, open_rocksdb, repair_rocksdb
from tests.storage.damage import biggest, flip, tables

COUNT = 20_000
CACHE_BYTES = 8 * 1024 * 1024
END = b"\xff" * 40
Entries = dict[bytes, bytes]


async def filled(folder: Path) -> Entries:
    """A database whose families have several table files each; what its largest family holds."""
    chance = random.Random(7)
    entries: Entries = {}
    key_value = open_rocksdb(folder, cache_bytes=CACHE_BYTES)
    for part in range(3):
        batch = key_value.new_batch()
        for at in range(part, COUNT, 3):
            key, value = b"%06d" % at, chance.randbytes(300)
            entries[key] = value
            batch.put(Family.BLOB, key, value)
            batch.put(Family.LOG, key, b"log %d" % at)
        batch.put(Family.META, b"state", b"%d" % part)
        key_value.write(batch)
        await key_value.sync()
        await key_value.flush()
    await key_value.close()
    return entries


def everything(key_value: RocksKeyValue, family: Family = Family.BLOB) -> Entries:
    return dict(key_value.scan(family, b"", END, limit=COUNT * 2))


async def contents(folder: Path, family: Family = Family.BLOB) -> Entries:
    key_value = open_rocksdb(folder, cache_bytes=CACHE_BYTES)
    try:
        return everything(key_value, family)
    finally:
        await key_value.close()


async def test_a_flipped_byte_costs_its_block_alone(tmp_path: Path) -> None:
    entries = await filled(tmp_path)
    damaged = biggest(tmp_path)
    flip(damaged, at=0.5)
    key_value = open_rocksdb(tmp_path, cache_bytes=CACHE_BYTES)
    with pytest.raises(StoreDamaged, match=damaged.name):
        everything(key_value)
    with pytest.raises(StoreDamaged, match=damaged.name):
        key_value.get_many(Family.BLOB, sorted(entries))
    await key_value.close()
    assert repair_rocksdb(tmp_path, cache_bytes=CACHE_BYTES) == (damaged.name,)
    found = await contents(tmp_path)
    assert found.items() <= entries.items()
    assert 0 < len(entries) - len(found) < 100
    assert len(await contents(tmp_path, Family.LOG)) == COUNT
    assert not (tmp_path / "salvage").exists()
    assert not (tmp_path / "lost").exists()
    assert repair_rocksdb(tmp_path, cache_bytes=CACHE_BYTES) == ()
    assert await contents(tmp_path) == found


async def test_a_family_that_only_a_newer_release_knows_costs_nothing(tmp_path: Path) -> None:
    """A database of the release before may be damaged before this one opens it."""
    entries = await filled(tmp_path)
    database = Rdict(str(tmp_path))
    database.drop_column_family(Family.EMPTY.value)
    database.close()
    damaged = biggest(tmp_path)
    flip(damaged, at=0.5)
    assert repair_rocksdb(tmp_path, cache_bytes=CACHE_BYTES) == (damaged.name,)
    found = await contents(tmp_path)
    assert found.items() <= entries.items()
    assert 0 < len(entries) - len(found) < 100


async def test_many_flipped_bytes(tmp_path: Path) -> None:
    entries = await filled(tmp_path)
    for table in tables(tmp_path):
        if table.stat().st_size > 1_000_000:
            flip(table, at=0.2)
            flip(table, at=0.8)
    assert len(repair_rocksdb(tmp_path, cache_bytes=CACHE_BYTES)) == 3
    found = await contents(tmp_path)
    assert found.items() <= entries.items()
    assert len(found) >= len(entries) // 4


@pytest.mark.slow
async def test_damage_in_every_file_is_found_and_given_up(tmp_path: Path) -> None:
    entries = await filled(tmp_path / "whole")
    for number, table in enumerate(tables(tmp_path / "whole")):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "whole", folder)
        flip(folder / table.name, at=0.3)
        repair_rocksdb(folder, cache_bytes=CACHE_BYTES)
        assert (await contents(folder)).items() <= entries.items()
        shutil.rmtree(folder)


async def test_damage_of_which_no_file_is_named_costs_that_file_alone(tmp_path: Path) -> None:
    """RocksDB says of a table's properties that they are unsorted, and not which table it is."""
    entries = await filled(tmp_path)
    damaged = tables(tmp_path)[-1]
    assert b"namemeta" in damaged.read_bytes()
    place = damaged.read_bytes().index(b"column.family.id") + 2  # `comumn` follows `comparator`.
    flip(damaged, at=(place + 0.5) / damaged.stat().st_size)
    with pytest.raises(StoreDamaged, match="unsorted") as told:
        await contents(tmp_path, Family.META)
    assert ".sst" not in str(told.value)
    assert repair_rocksdb(tmp_path, cache_bytes=CACHE_BYTES) == (damaged.name,)
    assert await contents(tmp_path) == entries


def remove_current(folder: Path) -> None:
    (folder / "CURRENT").unlink()


def empty_current(folder: Path) -> None:
    (folder / "CURRENT").write_bytes(b"")


def remove_manifest(folder: Path) -> None:
    for path in folder.glob("MANIFEST-*"):
        path.unlink()


def empty_manifest(folder: Path) -> None:
    for path in folder.glob("MANIFEST-*"):
        path.write_bytes(b"")


def garble_manifest(folder: Path) -> None:
    for path in folder.glob("MANIFEST-*"):
        flip(path, at=0.5)


def remove_options_and_logs(folder: Path) -> None:
    for path in (*folder.glob("OPTIONS-*"), *folder.glob("*.log"), folder / "CURRENT"):
        path.unlink()


@pytest.mark.parametrize(
    "damage",
    [
        remove_current,
        empty_current,
        remove_manifest,
        empty_manifest,
        garble_manifest,
        remove_options_and_logs,
    ],
    ids=lambda damage: damage.__name__,
)
async def test_lists_of_files_that_are_lost(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    entries = await filled(tmp_path)
    damage(tmp_path)
    with pytest.raises(StoreDamaged):
        open_rocksdb(tmp_path, cache_bytes=CACHE_BYTES)
    repair_rocksdb(tmp_path, cache_bytes=CACHE_BYTES)
    assert await contents(tmp_path) == entries


async def test_a_table_file_that_is_gone(tmp_path: Path) -> None:
    entries = await filled(tmp_path)
    biggest(tmp_path).unlink()
    with pytest.raises(StoreDamaged):
        open_rocksdb(tmp_path, cache_bytes=CACHE_BYTES)
    repair_rocksdb(tmp_path, cache_bytes=CACHE_BYTES)
    found = await contents(tmp_path)
    assert found.items() <= entries.items()
    assert len(found) >= COUNT // 2


async def test_a_crash_between_salvage_and_its_end(tmp_path: Path) -> None:
    """Whatever the repair had done by then, it is done again."""
    entries = await filled(tmp_path)
    damaged = biggest(tmp_path)
    flip(damaged, at=0.5)
    shutil.copytree(tmp_path, tmp_path / "other")
    repair_rocksdb(tmp_path / "other", cache_bytes=CACHE_BYTES)
    expected = await contents(tmp_path / "other")
    shutil.rmtree(tmp_path / "other")

    (tmp_path / "salvage").mkdir()
    (tmp_path / "salvage" / "blob").write_bytes(b"half of it")
    repair_rocksdb(tmp_path, cache_bytes=CACHE_BYTES)
    assert await contents(tmp_path) == expected
    assert expected.items() <= entries.items()


async def test_what_was_only_in_the_log_survives_a_lost_manifest(tmp_path: Path) -> None:
    """As a process leaves it that was killed in its first minute: nothing in table files."""
    key_value = open_rocksdb(tmp_path / "a", cache_bytes=CACHE_BYTES)
    batch = key_value.new_batch()
    for family in Family:
        batch.put(family, b"key", family.value.encode())
    key_value.write(batch)
    await key_value.sync()
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    await key_value.close()
    remove_manifest(tmp_path / "b")
    repair_rocksdb(tmp_path / "b", cache_bytes=CACHE_BYTES)
    for family in Family:
        assert await contents(tmp_path / "b", family) == {b"key": family.value.encode()}


@pytest.mark.parametrize("garbage", [b"", b"\0" * 4_096, os.urandom(3_000)], ids=["", "0", "rnd"])
async def test_a_torn_tail_of_the_log_is_no_damage(tmp_path: Path, garbage: bytes) -> None:
    key_value = open_rocksdb(tmp_path / "a", cache_bytes=CACHE_BYTES)
    for at in range(10):
        batch = key_value.new_batch()
        batch.put(Family.LOG, b"%d" % at, bytes(500))
        key_value.write(batch)
        await key_value.sync()
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    await key_value.close()
    log = max((tmp_path / "b").glob("*.log"))
    if garbage:
        with log.open("ab") as file:
            file.write(garbage)
    else:
        os.truncate(log, log.stat().st_size - 100)
    found = await contents(tmp_path / "b", Family.LOG)
    assert len(found) == (10 if garbage else 9)
