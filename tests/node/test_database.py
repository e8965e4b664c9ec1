"""The database of a data folder under damage: every file in turn, and what a mending leaves."""

from __future__ import annotations

import asyncio
import gc
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from meshbox.core.errors import DataFolderFailed, StoreFailed
from meshbox.core.ids import LogId, node_key_of
from meshbox.core.limits import BLOB_CHUNK_BYTES
from meshbox.core.retention import RETENTION_MAX_MS
from meshbox.node.data_folder import STORE_NAME
from meshbox.node.database import LOST_NAME, MEND_NAME
from meshbox.node.opening import Opened, open_folder
from meshbox.storage.interface import Deposit, Outcome
from meshbox.storage.keyvalue import Family
from meshbox.storage.reopening import ReopeningStore
from tests.clocks import ManualClock
from tests.contract.material import EVERYTHING, NO_BOUND, OPAQUE, PEER, blob, log_of, put_cursor
from tests.storage.damage import flip, tables
from tests.waiting import a_while, eventually

LOGS = [log_of(f"author {a}", f"topic {t}") for t in range(3) for a in range(20)]
BLOBS = 12
Place = tuple[LogId, int]
Contents = dict[Place, bytes]


class Told:
    """What was told of the store."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, event: str, **fields: Any) -> None:
        self.events.append((event, fields))

    @property
    def names(self) -> list[str]:
        return [event for event, _ in self.events]


async def opened(folder: Path, told: Told | None = None) -> Opened:
    return await open_folder(
        folder,
        system_clock=ManualClock(),
        retention_ms=RETENTION_MAX_MS,
        log=told or Told(),
    )


async def held(found: Opened) -> Contents:
    """Everything; a store that meets damage is waited for."""
    async with asyncio.timeout(20):
        while True:
            try:
                for topic in {log.topic for log in LOGS}:
                    await found.store.topic(LOGS[0].namespace, topic)
                page = await found.store.read(
                    [(log, EVERYTHING) for log in LOGS],
                    blobs_max=NO_BOUND,
                    bytes_max=NO_BOUND,
                    whole_bytes_max=NO_BOUND,
                )
                await found.store.feed(None, logs_max=1_000)
                return {(b.log, b.seq): b.data or b"" for b in page.blobs}
            except StoreFailed:
                await a_while(0.01)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Contents]:
    """A folder that was closed and opened some times, and what its store holds."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, asyncio.run(fill(folder))


async def fill(folder: Path) -> Contents:
    for part in range(3):
        now = await opened(folder)
        store, node_key = now.store, node_key_of(now.identity.node_id)
        for log in LOGS:
            new = [
                blob(store, 4 * part + at, node_key * 20, log=log, blob_class=OPAQUE)
                for at in range(4)
            ]
            await store.commit(Deposit(new))
        large = blob(store, 100 + part, bytes(BLOB_CHUNK_BYTES + 1), log=LOGS[0])
        await store.commit(Deposit([large]))
        await put_cursor(store, b"cursor", peer=PEER)
        await store.close()
    now = await opened(folder)
    contents = await held(now)
    await now.store.close()
    assert len(contents) == len(LOGS) * BLOBS + 3
    return contents


async def assert_goes_on(
    folder: Path, before: Contents, *, may_lose: Collection[Place] = ()
) -> Told:
    """It opens as the same node, mends itself, shows nothing that was not there, asks its peers
    for what it lost, takes that, and opens again."""
    told = Told()
    now = await opened(folder, told)
    assert now.archived is None
    assert not now.minted
    found = await held(now)
    assert_lost(before, found, may_lose)
    lost = [place for place in before if place not in found]
    assert {log for log, _ in lost} <= await asked_for(now)
    assert await put(now, before, lost) == [Outcome.STORED] * len(lost)
    assert await held(now) == before
    await now.store.close()
    # What no read met is met by a compaction, in this opening or a later one.
    for _ in range(4):
        again = Told()
        now = await opened(folder, again)
        kept = await held(now)
        await put(now, before, before.keys() - kept.keys())
        await now.store.close()
        if not again.events:
            break
        assert_lost(before, kept, may_lose)
    assert again.events == []
    assert kept == before
    assert not (folder / MEND_NAME).exists()
    return told


def assert_lost(before: Contents, found: Contents, may_lose: Collection[Place]) -> None:
    assert found.items() <= before.items()
    assert before.keys() - found.keys() <= set(may_lose)


async def asked_for(now: Opened) -> set[LogId]:
    """The logs that every peer is asked for by name."""
    try:
        async with asyncio.timeout(0):
            page = await now.store.refill(PEER, logs_max=NO_BOUND)
    except TimeoutError:
        return set()
    return {record.log for record in await now.store.by_key(page.logs) if record is not None}


async def put(now: Opened, before: Contents, lost: Iterable[Place]) -> list[Outcome]:
    """What was lost, as a peer brings it."""
    blobs = [
        blob(now.store, seq, before[log, seq], log=log, blob_class=OPAQUE) for log, seq in lost
    ]
    return list(await now.store.commit(Deposit(blobs))) if blobs else []


def newest(store: Path, family: Family) -> Path:
    """A family's last table file with more in it than its anchor; by its properties."""
    named = b"name" + family.value.encode()
    return [path for path in tables(store) if named in path.read_bytes()][-1]


def place_in(table: Path, part: str) -> int:
    """A byte of one of a table file's parts: data, index, properties and metaindex, footer."""
    content = table.read_bytes()
    properties = content.index(b"rocksdb.block.based.table")
    return {
        "data": 5,
        "index": properties - 16,
        "properties": properties + 40,
        "footer": len(content) - 4,
    }[part]


STORED_IN = [f for f in Family if f not in (Family.REFILL, Family.EVICTED)]
"""The families that the store of these tests has something in."""
SOME = [Family.BLOB, Family.TOPIC, Family.META]
"""Without its index or footer no file can be read, whatever is in it."""


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Cycles stay: a fault that was part of one would hold the database open, and locked."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.slow
@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize(
    ("part", "families"),
    [("data", STORED_IN), ("index", SOME), ("properties", SOME), ("footer", SOME)],
    ids=["data", "index", "properties", "footer"],
)
async def test_a_bit_of_any_table_file(
    whole: tuple[Path, Contents], tmp_path: Path, part: str, families: Sequence[Family]
) -> None:
    """Costs the blobs in the file, if it is one of blobs, and nothing else: no other blob, nor who
    the node is."""
    source, before = whole
    in_last_file = {(log, seq) for log, seq in before if 8 <= seq < BLOBS or seq == 102}
    mended = 0
    for family in families:
        folder = tmp_path / family.value
        shutil.copytree(source, folder)
        table = newest(folder / STORE_NAME, family)
        flip(table, at=(place_in(table, part) + 0.5) / table.stat().st_size)
        may_lose = in_last_file if family is Family.BLOB else ()
        told = await assert_goes_on(folder, before, may_lose=may_lose)
        mended += "store.mended" in told.names
        shutil.rmtree(folder)
    assert mended, "no damage was met"


def lose(*patterns: str) -> Callable[[Path], None]:
    def damage(store: Path) -> None:
        for pattern in patterns:
            for path in store.glob(pattern):
                path.unlink()

    return damage


@pytest.mark.parametrize(
    "damage",
    [lose("MANIFEST-*"), lose("CURRENT"), lose("CURRENT", "*.log"), lose("OPTIONS-*", "*.json")],
    ids=["manifest", "current", "current and log", "options"],
)
async def test_files_that_are_gone(
    whole: tuple[Path, Contents], tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    source, before = whole
    folder = tmp_path / "a"
    shutil.copytree(source, folder)
    damage(folder / STORE_NAME)
    await assert_goes_on(folder, before)


async def test_a_mending_that_was_cut_short_is_done_again(
    whole: tuple[Path, Contents], tmp_path: Path
) -> None:
    source, before = whole
    folder = tmp_path / "a"
    shutil.copytree(source, folder)
    (folder / MEND_NAME).touch()
    told = await assert_goes_on(folder, before)
    assert told.names == ["store.mended"]


async def test_garbage_begins_a_new_node(whole: tuple[Path, Contents], tmp_path: Path) -> None:
    source, _ = whole
    folder = tmp_path / "a"
    shutil.copytree(source, folder)
    node_id = (await closed(folder)).identity.node_id
    for path in (folder / STORE_NAME).iterdir():
        path.write_bytes(b"garbage")
    told = Told()
    now = await opened(folder, told)
    assert now.identity.node_id != node_id
    assert now.archived is not None
    assert "store.lost" in told.names
    assert (folder / LOST_NAME).is_dir()
    assert await held(now) == {}
    await now.store.close()


async def closed(folder: Path) -> Opened:
    now = await opened(folder)
    await now.store.close()
    return now


async def test_a_database_that_vanished_is_not_made_anew(
    whole: tuple[Path, Contents], tmp_path: Path
) -> None:
    """As when the disk is pulled out: an empty one in its place would know of no loss."""
    source, before = whole
    folder = tmp_path / "a"
    shutil.copytree(source, folder)
    told = Told()
    now = await opened(folder, told)
    (folder / STORE_NAME).rename(tmp_path / "pulled out")
    assert isinstance(now.store, ReopeningStore)
    now.store._openings._note(StoreFailed("the test says so"))
    await eventually(
        lambda: any("is gone" in str(fields.get("detail")) for _, fields in told.events)
    )
    shutil.rmtree(folder / STORE_NAME, ignore_errors=True)
    (tmp_path / "pulled out").rename(folder / STORE_NAME)
    assert await held(now) == before
    await now.store.close()


async def test_a_folder_that_takes_no_writes_is_not_mended(
    whole: tuple[Path, Contents], tmp_path: Path
) -> None:
    """Nothing is repaired before it is on disk that it has to be finished."""
    source, _ = whole
    folder = tmp_path / "a"
    shutil.copytree(source, folder)
    (folder / STORE_NAME / "CURRENT").unlink()
    (folder / MEND_NAME).symlink_to(tmp_path / "gone" / "nowhere")
    with pytest.raises(DataFolderFailed):
        await opened(folder)
    assert not (folder / STORE_NAME / "CURRENT").exists()
