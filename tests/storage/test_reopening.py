"""A store that opens again: what failed is refused, what is durable is shown, and it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from meshbox.core.errors import MeshboxError, StoreDamaged, StoreFailed, StoreForeign
from meshbox.storage.interface import MailboxStore, Outcome
from meshbox.storage.reopening import ReopeningStore
from tests.contract.harness import MemoryHarness
from tests.contract.material import (
    PEER,
    blob,
    contents,
    put,
    put_one,
    turns,
    whole_feed,
)


class ManualDisk:
    """A disk that takes writes when the test says so."""

    def __init__(self) -> None:
        self.takes_writes = True
        self.reserve_made = 0

    def make(self) -> bool:
        self.reserve_made += 1
        return True

    def make_way(self) -> bool:
        return self.takes_writes


class Scene:
    """A store on a disk in memory, and what was told of it."""

    def __init__(self) -> None:
        self.harness = MemoryHarness()
        self.disk = ManualDisk()
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.failures: list[StoreFailed] = []
        self.refusals: list[MeshboxError] = []

    async def begin(self) -> ReopeningStore:
        first = await self.harness.open()
        self.store = ReopeningStore(
            first, reopen=self._reopen, disk=self.disk, log=lambda e, **f: self.told.append((e, f))
        )
        return self.store

    async def _reopen(self, failure: StoreFailed) -> MailboxStore:
        self.failures.append(failure)
        if self.refusals:
            raise self.refusals.pop(0)
        self.harness._store = None
        return await self.harness.open()

    def events(self) -> list[str]:
        return [event for event, _ in self.told]

    async def whole_again(self) -> None:
        async with asyncio.timeout(10):
            while self.store.trouble is not None:
                await asyncio.sleep(0.005)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    made = Scene()
    await made.begin()
    yield made
    await made.store.close()


async def test_a_failed_write_costs_only_what_it_was(scene: Scene) -> None:
    store = scene.store
    await put(store, blob(store, 0))
    epoch = store.epoch
    scene.harness.fail_writes()
    with pytest.raises(StoreFailed):
        await put(store, blob(store, 1))
    await scene.whole_again()
    assert await contents(store) == {0: b"blob 0"}
    assert await put_one(store, blob(store, 1)) is Outcome.STORED
    assert store.epoch.number == epoch.number + 1
    assert scene.events() == ["store.failed", "store.reopened"]


async def test_reads_go_on_while_the_disk_takes_nothing(scene: Scene) -> None:
    store = scene.store
    await put(store, blob(store, 0))
    scene.disk.takes_writes = False
    scene.harness.fail_writes()
    with pytest.raises(StoreFailed):
        await put(store, blob(store, 1))
    assert store.trouble is not None
    assert await contents(store) == {0: b"blob 0"}
    assert len((await whole_feed(store))[0]) == 1
    assert (await store.statistics()).blobs == 1
    with pytest.raises(StoreFailed):
        await put(store, blob(store, 1))
    waiting = asyncio.create_task(store.wait_beyond(store.change))
    await turns()
    assert not waiting.done()
    scene.disk.takes_writes = True
    await scene.whole_again()
    with pytest.raises(StoreFailed):
        await waiting
    assert await contents(store) == {0: b"blob 0"}


async def test_what_may_not_be_durable_is_not_shown(scene: Scene) -> None:
    store = scene.store
    await put(store, blob(store, 0))
    scene.disk.takes_writes = False
    scene.harness.fail_syncs()
    with pytest.raises(StoreFailed):
        await put(store, blob(store, 1))
    with pytest.raises(StoreFailed):
        await contents(store)
    with pytest.raises(StoreFailed):
        await whole_feed(store)
    scene.disk.takes_writes = True
    await scene.whole_again()
    assert await contents(store) == {0: b"blob 0"}


async def test_a_cursor_of_before_is_not_given_out_or_taken_blindly(scene: Scene) -> None:
    store = scene.store
    await put(store, blob(store, 0))
    page = await store.feed(None, logs_max=1)
    scene.harness.fail_writes()
    with pytest.raises(StoreFailed):
        await put(store, blob(store, 1))
    await scene.whole_again()
    assert store.honours(page.cursor)
    assert (await store.feed(page.cursor, logs_max=1)).records == ()
    with pytest.raises(StoreFailed, match="opened anew"):
        await store.feed(b"another store's", logs_max=1)


async def test_it_tries_until_it_opens_and_says_what_is_in_the_way(scene: Scene) -> None:
    store = scene.store
    await put(store, blob(store, 0))
    scene.refusals = [StoreForeign("another disk is mounted"), StoreFailed("no"), StoreFailed("no")]
    assert (await store.statistics()).blobs == 1
    scene.harness.fail_writes()
    with pytest.raises(StoreFailed):
        await store.flush_reading()
    async with asyncio.timeout(10):
        while len(scene.told) < 3:
            await asyncio.sleep(0.005)
    assert (await store.statistics()).blobs == 1
    with pytest.raises(StoreFailed, match="opened again"):
        await store.cursors(PEER)
    await scene.whole_again()
    assert [fields.get("detail") for event, fields in scene.told if event == "store.failed"][
        1:
    ] == [
        "another disk is mounted",
        "no",
    ]
    assert await contents(store) == {0: b"blob 0"}


async def test_damage_is_mended_at_once_and_not_without_end(scene: Scene) -> None:
    store = scene.store
    damage = StoreDamaged("a block is damaged")
    await put(store, blob(store, 0))
    with pytest.raises(StoreDamaged), store._present():
        raise damage
    assert store.trouble is damage
    await scene.whole_again()
    assert scene.failures == [damage]
    with pytest.raises(StoreDamaged), store._present():
        raise damage
    await asyncio.sleep(0.05)
    assert scene.failures == [damage]
    assert await contents(store) == {0: b"blob 0"}, "reads that meet no damage go on"


async def test_the_reserve_is_looked_after(scene: Scene) -> None:
    async with asyncio.timeout(5):
        while not scene.disk.reserve_made:
            await asyncio.sleep(0.005)


async def test_closing_while_it_is_down(scene: Scene) -> None:
    store = scene.store
    scene.refusals = [StoreFailed("no")] * 50
    scene.harness.fail_syncs()
    with pytest.raises(StoreFailed):
        await put(store, blob(store, 0))
    async with asyncio.timeout(5):
        while not scene.failures:
            await asyncio.sleep(0.005)
    await store.close()
    with pytest.raises(StoreFailed):
        await contents(store)
