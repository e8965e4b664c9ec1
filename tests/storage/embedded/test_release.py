"""What went comes back into question: as much as fits, and no more until that had its time."""

from __future__ import annotations

from meshbox.core.room import RELEASE_INTERVAL_MS, Allocation
from meshbox.storage.embedded.store import EmbeddedStore
from tests.contract.harness import MemoryHarness
from tests.contract.material import DAY_MS, PEER, blob, log_of, put
from tests.storage.embedded.recount import assert_exact

SIZE = 10_000
LOGS = [log_of(f"{at:02}") for at in range(20)]
SMALL, LARGE = Allocation(60_000), Allocation(130_000)


async def keep_room(store: EmbeddedStore) -> None:
    while await store.keep_room():
        assert_exact(store)


async def evicted_seqs(store: EmbeddedStore) -> int:
    records = await store.logs(LOGS)
    return sum(record.evicted.all.count for record in records if record is not None)


async def full(harness: MemoryHarness) -> EmbeddedStore:
    """A store that holds four of its twenty logs, opened again with room for eleven."""
    store = await harness.open(allocation=SMALL)
    for log in LOGS:
        await put(store, blob(store, 0, bytes(SIZE), log=log))
    assert 14 <= await evicted_seqs(store) <= 17
    return await harness.reopen(allocation=LARGE)


async def test_no_more_leaves_seen_than_there_is_room_for() -> None:
    harness = MemoryHarness()
    store = await full(harness)
    before = await evicted_seqs(store)
    await keep_room(store)
    left = before - await evicted_seqs(store)
    used_bytes = store._database.counts.used_bytes
    assert 0 < left < before
    assert left * SIZE <= 130_000 - used_bytes
    assert len((await store.refill(PEER, logs_max=99)).logs) == left
    await harness.close()


async def test_more_leaves_only_when_nothing_of_it_came_for_a_while() -> None:
    harness = MemoryHarness()
    store = await full(harness)
    await keep_room(store)
    left = await evicted_seqs(store)
    await keep_room(store)
    harness.clock.advance(RELEASE_INTERVAL_MS - 1)
    await keep_room(store)
    assert await evicted_seqs(store) == left, "that has its time"
    harness.clock.advance(1)
    await keep_room(store)
    assert await evicted_seqs(store) < left
    await harness.close()


async def test_what_came_back_leaves_no_room_for_more() -> None:
    harness = MemoryHarness()
    store = await full(harness)
    await keep_room(store)
    records = await store.logs(LOGS)
    asked = [r.log for r in records if r is not None and not r.seen]
    await put(store, *(blob(store, 0, bytes(SIZE), log=log) for log in asked), whole=False)
    left = await evicted_seqs(store)
    harness.clock.advance(RELEASE_INTERVAL_MS)
    await keep_room(store)
    assert await evicted_seqs(store) == left
    harness.clock.advance(8 * DAY_MS)
    while (await store.sweep_slice()).more:
        pass
    await keep_room(store)
    assert await evicted_seqs(store) == 0, "what nobody gave back has expired"
    assert_exact(store)
    await harness.close()
