"""A store that opens again: what failed is refused, what is durable is shown, and it goes on."""

from __future__ import annotations

import asyncio

import pytest

from meshbox.core.errors import StoreFailed
from meshbox.storage.interface import Outcome
from tests.contract.material import blob, contents, put, put_one, turns, whole_feed
from tests.storage.reopened import Scene


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
