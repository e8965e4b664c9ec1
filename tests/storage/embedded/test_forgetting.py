"""The index of empty logs, and the counts, are exact whatever happens."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from meshbox.core.errors import StoreDamaged
from meshbox.core.ids import LogId
from meshbox.core.room import Allocation
from meshbox.storage.embedded.schema import due_key
from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.storage.keyvalue import Family
from meshbox.storage.rocksdb import RocksKeyValue
from tests.contract.conftest import made
from tests.contract.harness import MemoryHarness, RocksHarness
from tests.contract.material import (
    DAY_MS,
    HOUR_MS,
    LOG,
    OPAQUE,
    VERIFIED,
    blob,
    log_of,
    put,
    sweep,
    turns,
)
from tests.storage.embedded.recount import assert_exact, records_in

CAPACITY = Allocation(60_000)
LOGS = [log_of(f"author {at}", f"topic {at % 3}") for at in range(14)]


async def act(store: EmbeddedStore, chance: random.Random, log: LogId) -> None:
    """Something that a client or a peer does."""
    blobs = [
        blob(
            store,
            chance.choice([*range(20), 2**60]),
            chance.randbytes(chance.choice([0, 50, 4_000])),
            log=chance.choice([log, *LOGS]),
            blob_class=chance.choice([OPAQUE, OPAQUE, VERIFIED]),
            age_ms=chance.randrange(8 * DAY_MS),
        )
        for _ in range(chance.randrange(1, 15))
    ]
    await put(store, *blobs, whole=False)


@pytest.mark.parametrize("engine", ["memory", "rocksdb"])
@pytest.mark.parametrize("seed", range(4))
async def test_counts_and_indexes_are_those_of_a_recount(
    engine: str, seed: int, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    harness = made(engine, tmp_path)
    store = await harness.open(allocation=CAPACITY)
    known = forgotten = 0
    for _ in range(60):
        match chance.randrange(8):
            case 0 | 1 | 2:
                await act(store, chance, chance.choice(LOGS))
            case 3:
                harness.clock.advance(chance.choice([7 * HOUR_MS, 3 * DAY_MS]))
            case 4:
                harness.clock.advance(chance.choice([8, 15, 95]) * DAY_MS)
            case 5:
                forgotten += (await store.sweep_slice()).forgotten
            case 6:
                forgotten += (await sweep(store)).forgotten
                await store.keep_room()
            case 7:
                store = await harness.reopen(allocation=CAPACITY)
        assert_exact(store)
        known = max(known, len(records_in(store._key_value)))
    assert known == len(LOGS)
    assert forgotten > 0
    await harness.close()


@pytest.mark.parametrize("seed", range(6))
async def test_also_after_power_cuts(seed: int) -> None:
    chance = random.Random(seed)
    harness = MemoryHarness()
    store = await harness.open()
    for _ in range(25):
        await act(store, chance, chance.choice(LOGS))
        harness.clock.advance(chance.choice([7 * HOUR_MS, 8 * DAY_MS, 95 * DAY_MS]))
        harness.hold_syncs()
        doing = [
            asyncio.ensure_future(act(store, chance, LOGS[0]) if acts else sweep(store))
            for acts in chance.sample([True, False, False], 2)
        ]
        await turns(chance.randrange(30))
        store = await harness.power_cut(unsynced_kept=chance.randrange(2))
        await asyncio.gather(*doing, return_exceptions=True)
        assert_exact(store)
    await harness.close()


async def test_an_entry_that_contradicts_its_log_is_damage() -> None:
    harness = MemoryHarness()
    store = await harness.open()
    await put(store, blob(store, 0))
    batch = store._key_value.new_batch()
    batch.put(Family.EMPTY, due_key(1, LOG.key), b"")
    store._key_value.write(batch)
    with pytest.raises(StoreDamaged):
        await store.sweep_slice()
    await harness.close()


async def test_what_is_forgotten_gives_its_space_back(tmp_path: Path) -> None:
    """Removed one by one, the logs would stay in the files until RocksDB comes by."""
    harness = RocksHarness(tmp_path)
    store = await harness.open()
    await put(store, *(blob(store, 0, log=log_of(f"{at}", f"topic {at}")) for at in range(3_000)))
    harness.clock.advance(8 * DAY_MS)
    await sweep(store)
    store = await harness.reopen()

    def file_bytes(family: Family) -> int:
        assert harness.gate is not None
        assert isinstance(harness.gate.inner, RocksKeyValue)
        size = harness.gate.inner._family(family).property_value("rocksdb.total-sst-files-size")
        return int(size or 0)

    families = (Family.LOG, Family.TOPIC, Family.EMPTY)
    before = [file_bytes(family) for family in families]
    harness.clock.advance(90 * DAY_MS)
    assert (await sweep(store)).forgotten == 3_000
    for family, size in zip(families, before, strict=True):
        assert file_bytes(family) < 2_000 < size
    await harness.close()
