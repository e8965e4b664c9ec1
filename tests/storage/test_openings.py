"""When a failed database is opened again, and what is told meanwhile."""

from __future__ import annotations

import pytest

from meshbox.core.errors import StoreDamaged, StoreFailed, StoreForeign
from tests.contract.material import PEER, blob, contents, put
from tests.storage.reopened import Scene
from tests.waiting import a_while, eventually


async def test_it_tries_until_it_opens_and_says_what_is_in_the_way(scene: Scene) -> None:
    store = scene.store
    await put(store, blob(store, 0))
    scene.refusals = [StoreForeign("another disk is mounted"), StoreFailed("no"), StoreFailed("no")]
    assert (await store.statistics()).blobs == 1
    scene.harness.fail_writes()
    with pytest.raises(StoreFailed):
        await store.flush_reading()
    await eventually(lambda: len(scene.told) >= 3)
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
    with pytest.raises(StoreDamaged), store._openings.present():
        raise damage
    assert store.trouble is damage
    await scene.whole_again()
    assert scene.failures == [damage]
    with pytest.raises(StoreDamaged), store._openings.present():
        raise damage
    await a_while(0.05)
    assert scene.failures == [damage]
    assert await contents(store) == {0: b"blob 0"}, "reads that meet no damage go on"


async def test_the_reserve_is_looked_after(scene: Scene) -> None:
    await eventually(lambda: scene.disk.reserve_made)


async def test_closing_while_it_is_down(scene: Scene) -> None:
    store = scene.store
    scene.refusals = [StoreFailed("no")] * 50
    scene.harness.fail_syncs()
    with pytest.raises(StoreFailed):
        await put(store, blob(store, 0))
    await eventually(lambda: scene.failures)
    await store.close()
    with pytest.raises(StoreFailed):
        await contents(store)
