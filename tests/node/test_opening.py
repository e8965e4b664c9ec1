"""Key and database together: each state that a folder can be in, also after a crash between."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from meshbox.core.errors import DataFolderFailed, StoreForeign
from meshbox.core.ids import Author, BlobClass, LogId, Namespace, NodeId, Origin, Topic, node_key_of
from meshbox.core.ranges import SeqRanges
from meshbox.core.retention import RETENTION_MAX_MS
from meshbox.identity import key_file
from meshbox.node import opening
from meshbox.node.data_folder import STORE_NAME, store_exists
from meshbox.node.opening import ADOPT_NAME, Opened, give_up, node_id_of, open_folder
from meshbox.storage.interface import Deposit, NewBlob
from tests.clocks import ManualClock

LOG = LogId(Namespace.LOGS, Topic("topic"), Author("author"))


def told(event: str, **fields: object) -> None:
    """Nothing in these tests lets a store fail."""
    raise AssertionError((event, fields))


async def opened_once(folder: Path) -> Opened:
    """Opened and closed again."""
    folder.mkdir(exist_ok=True)
    opened = await open_folder(
        folder, system_clock=ManualClock(), retention_ms=RETENTION_MAX_MS, log=told
    )
    await opened.store.close()
    return opened


async def deposit(folder: Path) -> NodeId:
    opened = await open_folder(
        folder, system_clock=ManualClock(), retention_ms=RETENTION_MAX_MS, log=told
    )
    node_id = opened.identity.node_id
    origin = Origin(node_key_of(node_id), bytes(4))
    now_ms = opened.store.now_ms()
    blob = NewBlob(LOG, 0, BlobClass.OPAQUE, now_ms, origin, b"kept")
    await opened.store.commit(Deposit([blob]))
    await opened.store.close()
    return node_id


async def held(folder: Path) -> SeqRanges:
    opened = await open_folder(
        folder, system_clock=ManualClock(), retention_ms=RETENTION_MAX_MS, log=told
    )
    (record,) = await opened.store.logs([LOG])
    await opened.store.close()
    return record.held if record else SeqRanges()


async def test_a_new_folder_gets_a_key_and_a_store(tmp_path: Path) -> None:
    first = await opened_once(tmp_path)
    assert (first.minted, first.archived, first.adopted) == (True, None, None)
    assert store_exists(tmp_path)
    second = await opened_once(tmp_path)
    assert second.identity == first.identity
    assert not second.minted


async def test_a_key_whose_database_is_gone_is_archived(tmp_path: Path) -> None:
    first = await opened_once(tmp_path)
    shutil.rmtree(tmp_path / STORE_NAME)
    second = await opened_once(tmp_path)
    assert second.identity != first.identity
    assert second.archived is not None
    assert second.archived.exists()


async def test_a_database_without_its_key_is_refused(tmp_path: Path) -> None:
    await opened_once(tmp_path)
    (tmp_path / key_file.KEY_NAME).unlink()
    with pytest.raises(StoreForeign, match=r"no identity\.key"):
        await opened_once(tmp_path)


async def test_a_database_of_another_key_is_refused(tmp_path: Path) -> None:
    await opened_once(tmp_path / "a")
    await opened_once(tmp_path / "b")
    shutil.copy(tmp_path / "a" / key_file.KEY_NAME, tmp_path / "b" / key_file.KEY_NAME)
    with pytest.raises(StoreForeign, match="another node's key"):
        await opened_once(tmp_path / "b")


async def test_after_a_loss_a_new_identity_takes_over_what_is_held(tmp_path: Path) -> None:
    former = await deposit(tmp_path)
    archived = give_up(tmp_path, former, "a test says so")
    assert archived.exists()
    assert not (tmp_path / key_file.KEY_NAME).exists()
    opened = await opened_once(tmp_path)
    assert opened.identity.node_id != former
    assert (opened.minted, opened.adopted) == (True, former)
    assert await held(tmp_path) == SeqRanges.single(0)
    again = await opened_once(tmp_path)
    assert again.identity == opened.identity
    assert (again.minted, again.adopted) == (False, None)


async def test_a_crash_before_the_key_was_archived(tmp_path: Path) -> None:
    former = await deposit(tmp_path)
    opening._write_marker(tmp_path, former)
    opened = await opened_once(tmp_path)
    assert opened.identity.node_id != former
    assert list(tmp_path.glob("identity.key.lost-1"))
    assert await held(tmp_path) == SeqRanges.single(0)


async def test_a_crash_after_the_new_key_was_made(tmp_path: Path) -> None:
    former = await deposit(tmp_path)
    give_up(tmp_path, former, "a test says so")
    claim = opening._replace_key(tmp_path, former)
    opened = await opened_once(tmp_path)
    assert opened.identity == claim.identity
    assert (opened.minted, opened.adopted) == (False, former)
    assert await held(tmp_path) == SeqRanges.single(0)


async def test_a_crash_after_the_store_was_taken_over(tmp_path: Path) -> None:
    former = await deposit(tmp_path)
    give_up(tmp_path, former, "a test says so")
    first = await opened_once(tmp_path)
    opening._write_marker(tmp_path, former)
    second = await opened_once(tmp_path)
    assert second.identity == first.identity
    assert not (tmp_path / ADOPT_NAME).exists()
    assert await held(tmp_path) == SeqRanges.single(0)


async def test_only_the_store_of_the_lost_identity_is_taken_over(tmp_path: Path) -> None:
    await opened_once(tmp_path / "a")
    other = await opened_once(tmp_path / "b")
    give_up(tmp_path / "a", other.identity.node_id, "a test says so")
    with pytest.raises(StoreForeign, match="another node's key"):
        await opened_once(tmp_path / "a")


async def test_a_marker_that_names_nobody_is_told(tmp_path: Path) -> None:
    (tmp_path / ADOPT_NAME).write_text("me\n")
    with pytest.raises(DataFolderFailed, match="names no node"):
        await opened_once(tmp_path)


async def test_asking_whose_a_folder_is_makes_it_once(tmp_path: Path) -> None:
    node_id = await node_id_of(tmp_path)
    opened = await opened_once(tmp_path)
    assert opened.identity.node_id == node_id
    assert not opened.minted
    assert await node_id_of(tmp_path) == node_id
    # Asking began no epoch: the next opening is only the third.
    third = await open_folder(
        tmp_path, system_clock=ManualClock(), retention_ms=RETENTION_MAX_MS, log=told
    )
    assert third.store.epoch.number == 3
    await third.store.close()


def test_the_marker_is_written_whole(tmp_path: Path) -> None:
    node_id = asyncio.run(node_id_of(tmp_path))
    opening._write_marker(tmp_path, node_id)
    assert (tmp_path / ADOPT_NAME).read_text() == f"{node_id}\n"
    assert not (tmp_path / f"{ADOPT_NAME}.new").exists()
