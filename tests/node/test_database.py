"""The database of a data folder under damage: every file in turn, and what a mending leaves."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from itertools import cycle
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
from meshbox.storage.interface import Deposit
from tests.clocks import ManualClock
from tests.contract.material import EVERYTHING, NO_BOUND, OPAQUE, PEER, blob, log_of, put_cursor
from tests.storage.damage import flip, tables

LOGS = [log_of(f"author {a}", f"topic {t}") for t in range(3) for a in range(20)]
BLOBS = 12
Contents = dict[tuple[LogId, int], bytes]


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
                await asyncio.sleep(0.01)


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


async def assert_goes_on(folder: Path, before: Contents, *, lost_max: int) -> Told:
    """It opens, mends itself, shows nothing that was not there, stores, and opens again."""
    told = Told()
    now = await opened(folder, told)
    found = await held(now)
    assert found.items() <= before.items()
    assert len(before) - len(found) <= lost_max
    new = {(LOGS[1], 500): b"new"}
    await now.store.commit(Deposit([blob(now.store, 500, b"new", log=LOGS[1])]))
    await now.store.close()
    # What no read met is met by a compaction, in this opening or a later one.
    for _ in range(4):
        again = Told()
        now = await opened(folder, again)
        kept = await held(now)
        await now.store.close()
        if not again.events:
            break
    assert again.events == []
    assert (found | new).items() >= kept.items() >= new.items()
    assert len(before) + 1 - len(kept) <= lost_max
    assert not (folder / MEND_NAME).exists()
    return told


async def test_a_bit_of_any_table_file(whole: tuple[Path, Contents], tmp_path: Path) -> None:
    """In its first blocks, in the middle, and in what it says of itself at its end."""
    source, before = whole
    mended = 0
    for table, at in zip(tables(source / STORE_NAME), cycle([0.02, 0.5, 0.98]), strict=False):
        folder = tmp_path / table.name
        shutil.copytree(source, folder)
        flip(folder / STORE_NAME / table.name, at=at)
        told = await assert_goes_on(folder, before, lost_max=len(before) // 2)
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
    await assert_goes_on(folder, before, lost_max=0)


async def test_a_mending_that_was_cut_short_is_done_again(
    whole: tuple[Path, Contents], tmp_path: Path
) -> None:
    source, before = whole
    folder = tmp_path / "a"
    shutil.copytree(source, folder)
    (folder / MEND_NAME).touch()
    told = await assert_goes_on(folder, before, lost_max=0)
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
    now.store._note(StoreFailed("the test says so"))
    async with asyncio.timeout(10):
        while not any("is gone" in str(fields.get("detail")) for _, fields in told.events):
            await asyncio.sleep(0.01)
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
