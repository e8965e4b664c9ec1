"""Whose cursors are honoured, and which prove that acknowledged changes were lost."""

from __future__ import annotations

import pytest

from meshbox.core.errors import IdentityLost, StoreForeign
from meshbox.core.ids import node_id_of
from meshbox.core.limits import CURSOR_BYTES_MAX, EPOCHS_KEPT
from meshbox.storage.interface import MailboxStore
from tests.contract.harness import FolderHarness, Harness
from tests.contract.material import blob, contents, log_of, put, whole_feed


async def grow(store: MailboxStore, author: str = "a") -> bytes:
    """One more change; a cursor behind it."""
    await put(store, blob(store, store.change, log=log_of(author)))
    _, cursor = await whole_feed(store)
    assert len(cursor) <= CURSOR_BYTES_MAX
    return cursor


async def test_garbage_and_foreign_macs_are_not_honoured(harness: Harness) -> None:
    store = await harness.open()
    cursor = await grow(store)
    assert store.honours(cursor)
    changed = [
        cursor[:at] + bytes([cursor[at] ^ 1]) + cursor[at + 1 :] for at in range(len(cursor))
    ]
    longer_shorter = [
        b"",
        b"x",
        cursor[:-1],
        cursor + b"\0",
        b"\xff" * CURSOR_BYTES_MAX,
        b"x" * 9999,
    ]
    for bad in [*changed, *longer_shorter]:
        assert not store.honours(bad)
    await harness.close()
    store = await harness.open(cursor_key=b"another secret key of this node.")
    assert not store.honours(cursor)


async def test_epochs_are_kept_and_then_forgotten(folder: FolderHarness) -> None:
    store = await folder.open()
    numbers, ids = {store.epoch.number}, {store.epoch.id}
    oldest = await grow(store)
    for _ in range(EPOCHS_KEPT):
        store = await folder.reopen()
        numbers.add(store.epoch.number)
        ids.add(store.epoch.id)
        assert store.honours(oldest)
    assert len(numbers) == len(ids) == EPOCHS_KEPT + 1
    store = await folder.reopen()
    assert not store.honours(oldest)


async def test_a_restored_backup_is_found_out_by_its_former_self(folder: FolderHarness) -> None:
    store = await folder.open()
    before = await grow(store)
    await folder.close()
    backup = folder.copy()
    store = await folder.open()
    after = await grow(store, "b")
    restored = await backup.open()
    assert restored.honours(before)
    with pytest.raises(IdentityLost):  # The same number, another id.
        restored.honours(after)
    await backup.close()


async def test_a_backup_of_several_openings_ago_is_found_out(folder: FolderHarness) -> None:
    store = await folder.open()
    await grow(store)
    await folder.close()
    backup = folder.copy()
    for _ in range(3):
        store = await folder.open()
        after = await grow(store)
        await folder.close()
    restored = await backup.open()
    with pytest.raises(IdentityLost):  # A number above ours.
        restored.honours(after)
    for _ in range(3):
        restored = await backup.reopen()
    with pytest.raises(IdentityLost):  # By now a kept number, with another id.
        restored.honours(after)
    await backup.close()


async def test_a_cloned_folder_is_found_out_on_either_side(folder: FolderHarness) -> None:
    store = await folder.open()
    await grow(store)
    await folder.close()
    clone = folder.copy()
    store, twin = await folder.open(), await clone.open()
    with pytest.raises(IdentityLost):
        store.honours(await grow(twin))
    with pytest.raises(IdentityLost):
        twin.honours(await grow(store, "b"))
    await clone.close()


async def test_another_nodes_database_is_refused(harness: Harness) -> None:
    store = await harness.open()
    await put(store, blob(store, 0))
    await harness.close()
    other = node_id_of(b"m" * 32)
    with pytest.raises(StoreForeign):
        await harness.open(node_id=other)


async def test_a_new_identity_can_adopt_the_former_ones_database(harness: Harness) -> None:
    former = await harness.open()
    await put(former, blob(former, 0))
    name = node_id_of(b"n" * 32)
    await harness.close()
    third, other = node_id_of(b"l" * 32), node_id_of(b"m" * 32)
    with pytest.raises(StoreForeign):
        await harness.open(node_id=other, adopted_from=third)
    store = await harness.open(node_id=other, adopted_from=name)
    assert await contents(store) == {0: b"blob 0"}
    await harness.close()
    with pytest.raises(StoreForeign):
        await harness.open()
    store = await harness.open(node_id=other)
    assert await contents(store) == {0: b"blob 0"}
    await harness.close()
