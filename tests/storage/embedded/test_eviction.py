"""One step of making room: bounded, side by side, and no more than is needed."""

from __future__ import annotations

from meshbox.core.limits import EVICT_READ_BLOBS_MAX, SWEEP_LOGS_MAX
from meshbox.core.retention import bucket_of
from meshbox.core.room import BLOB_OVERHEAD_BYTES, Allocation
from meshbox.storage.embedded.changes import Changes, Remove
from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.storage.keyvalue import Family
from tests.contract.harness import MemoryHarness
from tests.contract.material import DAY_MS, HOUR_MS, LOG, blob, log_of, put
from tests.storage.embedded.recount import assert_exact

SIZE = 1_000
EACH = SIZE + BLOB_OVERHEAD_BYTES


def step(store: EmbeddedStore, needed_bytes: int) -> Changes | None:
    """What goes when so much more comes than there is room for."""
    room_bytes = store._eviction.room_left().left_bytes
    assert room_bytes is not None
    return store._eviction.step({bucket_of(store.now_ms()): room_bytes + needed_bytes})


def evicted(store: EmbeddedStore, changes: Changes) -> int:
    return changes.counts.evicted - store._database.counts.evicted


async def filled(harness: MemoryHarness, *, logs: int, blobs: int) -> EmbeddedStore:
    """As many blobs in each log, all of one bucket; the present one is another."""
    store = await harness.open(allocation=Allocation(10**9))
    for at in range(logs):
        log = log_of(f"{at:04}")
        await put(store, *(blob(store, seq, bytes(SIZE), log=log) for seq in range(blobs)))
    harness.clock.advance(7 * HOUR_MS)
    return store


async def test_nothing_goes_for_what_fits() -> None:
    harness = MemoryHarness()
    store = await filled(harness, logs=2, blobs=2)
    assert step(store, 0) is None
    assert not store._eviction.full
    await harness.close()


async def test_what_goes_of_many_logs_lies_side_by_side_and_is_bounded() -> None:
    harness = MemoryHarness()
    store = await filled(harness, logs=SWEEP_LOGS_MAX + 20, blobs=1)
    gone = []
    while True:
        changes = step(store, 500_000_000)
        if changes is None:
            break
        (removal,) = (op for op in changes.ops if op.family is Family.BLOB)
        assert isinstance(removal, Remove)
        assert removal.end is not None
        gone.append(evicted(store, changes))
        store._database.apply(changes)
        assert_exact(store)
    assert gone == [SWEEP_LOGS_MAX, 20]
    await harness.close()


async def test_of_a_long_run_a_step_reads_a_bounded_part() -> None:
    harness = MemoryHarness()
    store = await filled(harness, logs=1, blobs=2 * EVICT_READ_BLOBS_MAX)
    used_bytes = store._database.counts.used_bytes
    store._disk._allocation = Allocation(used_bytes)
    changes = step(store, (EVICT_READ_BLOBS_MAX + 5) * EACH)
    assert changes is not None
    assert evicted(store, changes) == EVICT_READ_BLOBS_MAX
    store._database.apply(changes)
    assert_exact(store)
    await harness.close()


async def test_where_a_range_more_would_be_too_many_the_whole_run_goes() -> None:
    """A part of it would leave a run and a range where there was a run."""
    harness = MemoryHarness()
    store = await harness.open(allocation=Allocation(10**9))
    await put(store, *(blob(store, seq, bytes(10 * SIZE)) for seq in (0, 1)))
    await put(store, *(blob(store, 3 + 2 * at, b"") for at in range(1_023)))
    harness.clock.advance(7 * HOUR_MS)
    store._disk._allocation = Allocation(store._database.counts.used_bytes)
    changes = step(store, 1)
    assert changes is not None
    record = changes.records[LOG.key]
    assert (record.evicted.all.pairs[0], record.range_count) == ((0, 2), 1_024)
    await harness.close()


async def test_what_is_due_is_left_to_the_sweep() -> None:
    harness = MemoryHarness()
    store = await filled(harness, logs=3, blobs=1)
    harness.clock.advance(8 * DAY_MS)
    assert step(store, 500_000_000) is None
    assert store._eviction.first_to_go() is None
    await harness.close()
