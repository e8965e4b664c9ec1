"""Data folders that are not what they seem: refused by the real command, in one line that helps."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from rocksdict import Options, Rdict

from meshbox.identity import key_file
from meshbox.node.data_folder import STORE_NAME
from meshbox.storage.embedded.schema import META_SCHEMA, SCHEMA_VERSION
from meshbox.storage.keyvalue import Family
from meshbox.storage.rocksdb import open_rocksdb
from tests.node.processes import Finished, meshbox, start_node

pytestmark = pytest.mark.slow


def newer_schema(folder: Path) -> None:
    async def change() -> None:
        key_value = open_rocksdb(folder / STORE_NAME)
        batch = key_value.new_batch()
        batch.put(Family.META, META_SCHEMA, (SCHEMA_VERSION + 1).to_bytes(4, "big"))
        key_value.write(batch)
        await key_value.sync()
        await key_value.close()

    asyncio.run(change())


def key_of_another(folder: Path) -> None:
    other = folder.with_name("other")
    assert meshbox("id", "--data-dir", str(other)).status == 0
    shutil.copy(other / key_file.KEY_NAME, folder / key_file.KEY_NAME)


def key_lost(folder: Path) -> None:
    (folder / key_file.KEY_NAME).unlink()


def database_of_others(folder: Path) -> None:
    shutil.rmtree(folder / STORE_NAME)
    database = Rdict(str(folder / STORE_NAME), Options(raw_mode=True))
    database.create_column_family("theirs", Options(raw_mode=True))
    database.close()


def key_of_others(folder: Path) -> None:
    (folder / key_file.KEY_NAME).write_text("no key")


@pytest.mark.parametrize(
    ("damage", "code", "says"),
    [
        (newer_schema, "store.foreign", "use the release that wrote it"),
        (key_of_another, "store.foreign", "restore both, or neither"),
        (key_lost, "store.foreign", "put back the identity.key"),
        (database_of_others, "store.foreign", "none of ours"),
        (key_of_others, "data_dir.failed", "put identity.key back from a backup"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_folder_that_does_not_fit(
    tmp_path: Path, damage: Callable[[Path], None], code: str, says: str
) -> None:
    folder = tmp_path / "data"
    assert meshbox("id", "--data-dir", str(folder)).status == 0
    damage(folder)
    before = files(folder)
    finished = run(folder)
    assert finished.status == 1
    last = finished.err.splitlines()[-1]
    assert last.startswith(f"meshbox: error[{code}]: ")
    assert says in last
    assert finished.out == ""
    assert files(folder) == before, "nothing was made or removed"


def test_a_key_without_its_database_begins_a_new_node(tmp_path: Path) -> None:
    """Nothing is refused: what the former acknowledged is gone, and it may not go on as that."""
    folder = tmp_path / "a" / "data"
    former = meshbox("id", "--data-dir", str(folder)).out.strip()
    shutil.rmtree(folder / STORE_NAME)
    node = start_node(tmp_path / "a")
    assert node.node_id != former
    assert "identity.archived" in node.log()
    assert (folder / f"{key_file.KEY_NAME}.lost-1").exists()
    assert node.stop() == 0


def run(folder: Path) -> Finished:
    off = ("--http", "off", "--https", "off", "--sync", "off", "--admin", "off", "--no-mdns")
    return meshbox("run", "--data-dir", str(folder), *off)


def files(folder: Path) -> list[str]:
    """Names in the folder itself; the database's own files come and go when it is looked at."""
    return sorted(path.name for path in folder.iterdir())
