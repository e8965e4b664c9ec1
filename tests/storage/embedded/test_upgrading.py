"""A database of version 1 is opened, and from then on forgets as any other."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from rocksdict import Rdict

from meshbox.core.errors import StoreDamaged, StoreForeign
from meshbox.core.retention import bucket_of
from meshbox.storage.embedded.rebuilding import rebuild
from meshbox.storage.embedded.records import encode_record
from meshbox.storage.embedded.schema import META_SCHEMA, META_STATE, SCHEMA_VERSION
from meshbox.storage.embedded.state import Counts
from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.storage.embedded.upgrading import upgrade
from meshbox.storage.keyvalue import Family, KeyValue
from meshbox.storage.memory import MemoryKeyValue
from meshbox.storage.rocksdb import open_rocksdb
from tests.contract.harness import MemoryHarness, RocksHarness
from tests.contract.material import DAY_MS, LOG, blob, log_of, put, sweep
from tests.storage.embedded.recount import assert_exact, entries, records_in

EMPTY = [log_of(f"empty {at}") for at in range(1_100)]


async def lived_in(store: EmbeddedStore, harness: MemoryHarness | RocksHarness) -> None:
    """With logs that hold something, and more empty ones than one batch has."""
    await put(store, *(blob(store, 0, log=log) for log in EMPTY))
    harness.clock.advance(20 * DAY_MS)
    await sweep(store)
    await put(store, blob(store, 0), blob(store, 5, log=EMPTY[3]))


async def make_older(key_value: KeyValue) -> None:
    """As the release before left it: no family, a smaller state."""
    batch = key_value.new_batch()
    batch.delete_range(Family.EMPTY, b"\0", b"\xff" * 64)
    for family in (Family.META, Family.SPARE):
        counts, reading = msgspec.msgpack.decode(entries(key_value, family)[META_STATE])
        batch.put(family, META_STATE, msgspec.msgpack.encode([counts[:-1], reading]))
        batch.put(family, META_SCHEMA, (1).to_bytes(4, "big"))
    key_value.write(batch)
    await key_value.sync()


async def assert_forgets(store: EmbeddedStore, harness: MemoryHarness | RocksHarness) -> None:
    assert_exact(store)
    assert len(records_in(store._key_value)) == 1 + len(EMPTY)
    harness.clock.advance(75 * DAY_MS)
    assert (await sweep(store)).forgotten == len(EMPTY) - 1
    assert_exact(store)
    assert {record.log for record in (await store.all_logs(None, logs_max=9)).values()} == {
        LOG,
        EMPTY[3],
    }


async def older(harness: MemoryHarness) -> MemoryKeyValue:
    """A database of version 1 with what `lived_in` made; the store is closed."""
    await lived_in(await harness.open(), harness)
    await harness.close()
    database = harness._disk.copy()
    await make_older(database)
    harness._disk = database
    return database


async def change(database: MemoryKeyValue, family: Family, values: dict[bytes, bytes]) -> None:
    batch = database.new_batch()
    for key, value in values.items():
        batch.put(family, key, value)
    database.write(batch)
    await database.sync()


async def test_a_database_of_version_1_is_counted_when_it_is_opened() -> None:
    harness = MemoryHarness()
    await older(harness)
    store = await harness.open()
    schema = entries(store._key_value, Family.META)[META_SCHEMA]
    assert int.from_bytes(schema, "big") == SCHEMA_VERSION
    await assert_forgets(store, harness)
    await harness.close()


async def test_a_folder_of_version_1_gets_the_family_it_lacks(tmp_path: Path) -> None:
    """Also one that a repair can learn of: with a table file of its own."""
    harness = RocksHarness(tmp_path)
    await lived_in(await harness.open(), harness)
    await harness.close()
    key_value = open_rocksdb(tmp_path / "store")
    await make_older(key_value)
    await key_value.close()
    database = Rdict(str(tmp_path / "store"))
    database.drop_column_family(Family.EMPTY.value)
    database.close()
    assert Family.EMPTY.value not in Rdict.list_cf(str(tmp_path / "store"))
    key_value = open_rocksdb(tmp_path / "store")
    files = key_value._family(Family.EMPTY).property_value("rocksdb.num-files-at-level0")
    assert files == "1"
    await key_value.close()
    await assert_forgets(await harness.open(), harness)
    await harness.close()


@pytest.mark.parametrize("batches", range(3))
async def test_a_crash_in_the_middle_is_mended_by_opening_again(batches: int) -> None:
    harness = MemoryHarness()
    database = await older(harness)
    await upgrade(database, Counts(), bucket=1)
    assert len(database._unsynced) == 2
    harness._disk = database.power_cut(unsynced_kept=batches)
    filed = len(entries(harness._disk, Family.EMPTY))
    assert (filed > 0, filed == len(EMPTY) - 1) == (batches > 0, batches == 2)
    await assert_forgets(await harness.open(), harness)
    await harness.close()


async def test_logs_that_version_1_rebuilt_have_their_last_bucket_again() -> None:
    harness = MemoryHarness()
    database = await older(harness)
    records = records_in(database)
    lost = {k: encode_record(r._replace(last_bucket=0)) for k, r in records.items()}
    await change(database, Family.LOG, {bytes(key): value for key, value in lost.items()})
    store = await harness.open()
    assert_exact(store)
    bucket = bucket_of(store.now_ms())
    assert {r.last_bucket for r in records_in(store._key_value).values()} == {bucket}
    harness.clock.advance(90 * DAY_MS)
    assert (await sweep(store)).forgotten == 0
    harness.clock.advance(DAY_MS)
    assert (await sweep(store)).forgotten == 1 + len(EMPTY)
    await harness.close()


async def test_a_damaged_database_of_version_1_is_mended_and_then_upgraded() -> None:
    harness = MemoryHarness()
    database = await older(harness)
    await change(database, Family.LOG, {EMPTY[9].key: b"garbage"})
    with pytest.raises(StoreDamaged):
        await harness.open()
    await rebuild(database, epoch_id=b"mended".rjust(16, b"."))
    harness._disk = database
    assert_exact(await harness.open())
    await harness.close()


@pytest.mark.parametrize("version", [0, SCHEMA_VERSION + 1])
async def test_other_versions_are_refused(version: int) -> None:
    harness = MemoryHarness()
    database = await older(harness)
    await change(database, Family.META, {META_SCHEMA: version.to_bytes(4, "big")})
    with pytest.raises(StoreForeign):
        await harness.open()
