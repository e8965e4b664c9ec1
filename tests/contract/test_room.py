"""Room: what goes first, what is refused, and that it comes back when there is room again."""

from __future__ import annotations

import asyncio
import random

import pytest

from meshbox.core.errors import StoreFailed, StoreFull
from meshbox.core.ids import LogId
from meshbox.core.ranges import SeqRanges
from meshbox.core.room import BLOB_OVERHEAD_BYTES, Allocation, footprint_bytes, metadata_bytes
from meshbox.storage.interface import (
    Deposit,
    MailboxStore,
    NewBlob,
    Outcome,
    PeerCursor,
    PeerRefill,
    Statistics,
)
from tests.contract.harness import FolderHarness, Harness, PowerHarness
from tests.contract.material import (
    DAY_MS,
    HOUR_MS,
    PEER,
    VERIFIED,
    blob,
    contents,
    held,
    log_of,
    put,
    put_cursor,
    put_one,
    record,
    sweep,
    turns,
)

SIZE = 10_000
EPOCH = b"e" * 16
X, Y, Z = log_of("x"), log_of("y"), log_of("z")


def for_blobs(count: int) -> Allocation:
    """Room for about `count` blobs of `SIZE`, and for some logs."""
    return Allocation(count * (SIZE + BLOB_OVERHEAD_BYTES) + 4_000)


def large(store: MailboxStore, seq: int, log: LogId = X, *, age_ms: int = 0) -> NewBlob:
    return blob(
        store, seq, b"%d %s" % (seq, log.author.encode()) + b"." * (SIZE - 10), log=log
    )._replace(stamp_ms=store.now_ms() - age_ms)


async def audit(store: MailboxStore, bound_bytes: int | None = None) -> Statistics:
    """Everything that the records list is there, and the counts are what the records say."""
    records = (await store.all_logs(None, logs_max=10_000)).values()
    blobs = await held(store, *(found.log for found in records))
    assert len(blobs) == sum(found.blobs for found in records)
    counted = await store.statistics()
    size_bytes = sum(stored.size_bytes for stored in blobs)
    assert (counted.blobs, counted.bytes) == (len(blobs), size_bytes)
    assert counted.logs == sum(bool(found.runs) for found in records)
    assert counted.footprint_bytes == footprint_bytes(
        blobs=len(blobs), size_bytes=size_bytes, logs_bytes=sum(map(metadata_bytes, records))
    )
    assert bound_bytes is None or counted.footprint_bytes <= bound_bytes
    return counted


async def keep_room(store: MailboxStore) -> None:
    while await store.keep_room():
        pass


async def test_what_is_nearest_its_end_goes_first(folder: FolderHarness) -> None:
    store = await folder.open(allocation=for_blobs(10))
    await put(store, *(large(store, seq, X) for seq in range(5)))
    folder.clock.advance(7 * HOUR_MS)
    await put(store, *(large(store, seq, Y) for seq in range(5)))
    folder.clock.advance(7 * HOUR_MS)
    await put(store, *(large(store, seq, Z) for seq in range(3)))
    counted = await audit(store, for_blobs(10).capacity_bytes)
    assert sorted(await contents(store, Z)) == [0, 1, 2]
    assert sorted(await contents(store, Y)) == [0, 1, 2, 3, 4]
    left = await record(store, X)
    assert left.held.pairs == ((counted.evicted, 5),)
    assert left.evicted.all.pairs == ((0, counted.evicted),)
    assert left.watermark == 4
    assert not left.missing(4)


async def test_one_flooding_log_keeps_its_newest(folder: FolderHarness) -> None:
    store = await folder.open(allocation=for_blobs(10))
    for seq in range(100):
        assert await put_one(store, large(store, seq)) is Outcome.STORED
    counted = await audit(store, for_blobs(10).capacity_bytes)
    assert counted.evicted == 100 - counted.blobs
    assert sorted(await contents(store, X)) == list(range(counted.evicted, 100))
    assert counted.blobs >= 9


async def test_no_log_of_a_bucket_is_always_the_first(folder: FolderHarness) -> None:
    store = await folder.open(allocation=for_blobs(20))
    logs = [log_of(f"log {at}") for at in range(40)]
    for log in logs * 3:
        seq = (await store.logs([log]))[0]
        assert await put_one(store, large(store, 0 if seq is None else seq.seen.count, log))
    await audit(store, for_blobs(20).capacity_bytes)
    assert all(
        found.seen.count == 3 for found in (await store.all_logs(None, logs_max=99)).values()
    )


async def test_what_would_itself_go_first_is_refused(folder: FolderHarness) -> None:
    store = await folder.open(allocation=for_blobs(10))
    await put(store, *(large(store, seq, X) for seq in range(10)))
    old = large(store, 0, Y, age_ms=DAY_MS)
    assert await put(store, old, whole=False) == (Outcome.NO_ROOM,)
    with pytest.raises(StoreFull):
        await put(store, old)
    assert await store.logs([Y]) == (None,)
    assert (await audit(store)).evicted == 0
    assert await put(store, large(store, 10, X), old, whole=False) == (
        Outcome.STORED,
        Outcome.NO_ROOM,
    )
    assert store.floor is not None


async def test_lower_numbers_of_the_only_log_are_refused_and_known_ones_are_known(
    folder: FolderHarness,
) -> None:
    store = await folder.open(allocation=for_blobs(10))
    for seq in range(5, 30):
        await put_one(store, large(store, seq))
    lowest = min(await contents(store, X))
    assert await put(store, large(store, 2), whole=False) == (Outcome.NO_ROOM,)
    assert await put_one(store, large(store, lowest)) is Outcome.KNOWN


async def test_nothing_is_too_large_to_be_refused(folder: FolderHarness) -> None:
    store = await folder.open(allocation=for_blobs(10))
    await put(store, *(large(store, seq) for seq in range(4)))
    with pytest.raises(StoreFull):
        await put(store, blob(store, 0, b"x" * 11 * SIZE, log=Y))
    with pytest.raises(StoreFull):
        await put(store, blob(store, 0, b"x" * 2**21, log=Y))
    await audit(store, for_blobs(10).capacity_bytes)


async def test_a_chunked_blob_finds_room_and_goes_for_room(folder: FolderHarness) -> None:
    store = await folder.open(allocation=Allocation(5 * 2**20))
    for seq in range(6):
        assert await put_one(store, blob(store, seq, bytes([seq]) * 2**21)) is Outcome.STORED
    await audit(store, 5 * 2**20)
    assert sorted(await contents(store)) == [4, 5]


async def test_evicted_logs_of_many_slices(folder: FolderHarness) -> None:
    store = await folder.open(allocation=Allocation(600_000))
    logs = [log_of(f"log {at}") for at in range(600)]
    await put(store, *(blob(store, 0, b"x" * 300, log=log) for log in logs), whole=False)
    folder.clock.advance(7 * HOUR_MS)
    await put(store, blob(store, 0, b"x" * 200_000))
    counted = await audit(store, 600_000)
    assert counted.evicted > 200


async def test_when_there_is_room_the_newest_comes_back_first(folder: FolderHarness) -> None:
    store = await folder.open(allocation=for_blobs(10))
    await put(store, *(large(store, seq, X) for seq in range(6)))
    folder.clock.advance(DAY_MS)
    await put(store, *(large(store, seq, Y) for seq in range(6)))
    folder.clock.advance(DAY_MS)
    await put(store, *(large(store, seq, Z) for seq in range(10)))
    await keep_room(store)
    assert (await record(store, Y)).evicted.all
    assert store.floor is not None
    folder.clock.advance(5 * DAY_MS)
    await sweep(store)  # X is due: it counts as expired.
    assert (await record(store, X)).expired.all.pairs == ((0, 6),)
    assert not (await record(store, X)).evicted.all
    assert not (await record(store, Y)).missing(5)
    folder.clock.advance(DAY_MS - HOUR_MS)
    await put(store, *(large(store, seq, Z) for seq in range(10, 12)))
    assert store.floor is not None


async def test_what_left_seen_is_missing_and_asked_for_and_stays(folder: FolderHarness) -> None:
    store = await folder.open(allocation=for_blobs(20))
    old = [large(store, seq, X) for seq in range(10)]
    await put(store, *old)
    folder.clock.advance(DAY_MS)
    newer = [large(store, seq, Y) for seq in range(10)]
    await put(store, *newer)
    folder.clock.advance(DAY_MS)
    await put(store, *(large(store, seq, Z) for seq in range(15)))
    evicted = {log: (await record(store, log)).evicted.all for log in (X, Y)}
    assert evicted[X].count + evicted[Y].count >= 15
    store = await folder.reopen(allocation=for_blobs(27))
    await keep_room(store)
    assert not (await record(store, Y)).evicted.all
    assert (await record(store, Y)).missing(9) == evicted[Y]
    back = await put(store, *newer, whole=False)
    assert back.count(Outcome.STORED) == evicted[Y].count
    listed = await store.refill(PEER, logs_max=9)
    assert Y.key in listed.logs
    counted = await audit(store, for_blobs(27).capacity_bytes)
    await keep_room(store)
    assert (await store.statistics()).evicted == counted.evicted


@pytest.mark.parametrize("seed", range(3))
async def test_clients_that_upload_all_that_is_missing_do_not_go_round(
    folder: FolderHarness, seed: int
) -> None:
    """evict → missing → upload → evict ends: without time there is nothing to go round with."""
    chance = random.Random(seed)
    store = await folder.open(allocation=for_blobs(15))
    logs = [log_of(f"log {at}") for at in range(6)]
    heights = {log: chance.randrange(8) for log in logs}
    for _ in range(5):
        for log, height in heights.items():
            found = (await store.logs([log]))[0]
            gaps = found.missing(height) if found else None
            seqs = range(height + 1) if gaps is None else gaps.numbers()
            await put(store, *(large(store, seq, log) for seq in seqs), whole=False)
        await keep_room(store)
        folder.clock.advance(7 * HOUR_MS)
    evicted = (await audit(store, for_blobs(15).capacity_bytes)).evicted
    uploads = 0
    for _ in range(10):
        await keep_room(store)
        for log, height in heights.items():
            missing = (await record(store, log)).missing(height)
            uploads += missing.count
            await put(store, *(large(store, seq, log) for seq in missing.numbers()), whole=False)
    assert uploads <= 4
    assert (await store.statistics()).evicted - evicted <= 4


async def test_numbers_between_those_that_went_were_never_here(folder: FolderHarness) -> None:
    """A log with nothing held closes its gaps; what lies in them is lacked as soon as it may be."""
    store = await folder.open(allocation=for_blobs(10))
    await put(store, *(large(store, seq, X) for seq in range(0, 20, 2)))
    folder.clock.advance(7 * HOUR_MS)
    for seq in range(10):
        await put(store, large(store, seq, Y))
    gone = await record(store, X)
    assert not gone.runs
    assert gone.evicted.range_count <= 4
    assert gone.evicted.all.meets(1, 2)
    await put(store, large(store, 30, X))
    store = await folder.reopen(allocation=for_blobs(40))
    await keep_room(store)
    assert (await record(store, X)).missing(30) == SeqRanges.of(0, 30)


async def test_a_blob_that_never_has_room_lets_nothing_go(folder: FolderHarness) -> None:
    store = await folder.open(allocation=for_blobs(4))
    await put(store, *(large(store, seq, X) for seq in range(4)))
    huge = large(store, 9, Y)._replace(data=b"." * 5 * SIZE)
    with pytest.raises(StoreFull):
        await put(store, huge)
    with pytest.raises(StoreFull):
        await put(store, *(large(store, seq, Y) for seq in range(5)))
    assert await store.commit(Deposit((huge,), whole=False)) == (Outcome.NO_ROOM,)
    assert sorted(await contents(store, X)) == [0, 1, 2, 3]
    assert store.floor is None


async def test_a_cursor_goes_back_once_there_is_room_for_what_it_passed(
    folder: FolderHarness,
) -> None:
    """Else what it passed would come again and again, and be passed each time."""
    store = await folder.open(allocation=for_blobs(4))
    await put_cursor(store, b"1")
    huge = large(store, 9, Y)._replace(data=b"." * 5 * SIZE)
    await store.commit(Deposit((huge,), (PeerCursor(PEER, EPOCH, b"2"),), whole=False))
    await keep_room(store)
    assert [kept.cursor for kept in await store.cursors(PEER)] == [b"2"]
    store = await folder.reopen(allocation=for_blobs(5))
    await put(store, large(store, 0, X))
    await keep_room(store)
    assert [kept.cursor for kept in await store.cursors(PEER)] == [b"2"]
    store = await folder.reopen(allocation=for_blobs(20))
    await keep_room(store)
    assert [kept.cursor for kept in await store.cursors(PEER)] == [b"1"]


async def test_a_cursor_that_passed_something_goes_back_when_there_is_room(
    folder: FolderHarness,
) -> None:
    store = await folder.open(allocation=for_blobs(10))
    await put_cursor(store, b"1")
    await put(store, *(large(store, seq) for seq in range(10)))
    old = large(store, 0, Y, age_ms=DAY_MS)
    await store.commit(Deposit((old,), (PeerCursor(PEER, EPOCH, b"2"),), whole=False))
    await put_cursor(store, b"3")
    assert [kept.cursor for kept in await store.cursors(PEER)] == [b"3"]
    waiting = asyncio.ensure_future(store.wait_returned(store.returns))
    await keep_room(store)
    assert not waiting.done()
    store = await folder.reopen(allocation=for_blobs(20))
    waiting.cancel()
    waiting = asyncio.ensure_future(store.wait_returned(store.returns))
    await keep_room(store)
    assert (await waiting).peers == {PEER}
    assert [kept.cursor for kept in await store.cursors(PEER)] == [b"1"]
    await put_cursor(store, b"4")  # A session that began before.
    assert [kept.cursor for kept in await store.cursors(PEER)] == [b"1"]
    after = PeerCursor(PEER, EPOCH, b"5", returns=store.returns)
    await store.commit(Deposit((), (after,)))
    assert [kept.cursor for kept in await store.cursors(PEER)] == [b"5"]


async def test_a_peer_that_never_had_a_cursor_begins_anew(folder: FolderHarness) -> None:
    store = await folder.open(allocation=for_blobs(10))
    await store.commit(Deposit((), (PeerCursor(PEER, EPOCH, b"1", passed=True),)))
    await keep_room(store)
    assert await store.cursors(PEER) == ()


async def test_what_was_asked_for_by_name_and_found_no_room_is_compared_again(
    folder: FolderHarness,
) -> None:
    store = await folder.open(allocation=for_blobs(2))
    await put(store, *(large(store, seq, X) for seq in range(2)))
    await put_cursor(store, b"1")
    old = large(store, 0, Y, age_ms=DAY_MS)
    refill = PeerRefill(PEER, EPOCH, b"1")
    assert await store.commit(Deposit([old], refills=[refill], whole=False)) == (Outcome.NO_ROOM,)
    await keep_room(store)
    assert [kept.cursor for kept in await store.cursors(PEER)] == [b"1"]
    store = await folder.reopen(allocation=for_blobs(20))
    waiting = asyncio.ensure_future(store.wait_returned(store.returns))
    await keep_room(store)
    assert (await waiting).peers == {PEER}
    assert await store.cursors(PEER) == ()


async def test_a_disk_below_its_reserve_is_as_a_full_allocation(folder: FolderHarness) -> None:
    others_bytes = 0
    stores: list[MailboxStore] = []

    def free_bytes() -> int:
        used_bytes = sum(store._key_value.disk_bytes() for store in stores)  # type: ignore[attr-defined]
        return 1_000 * SIZE - used_bytes - others_bytes

    store = await folder.open(allocation=Allocation(None, 200 * SIZE), free_bytes=free_bytes)
    stores.append(store)
    await put(store, *(large(store, seq, X) for seq in range(10)))
    folder.clock.advance(7 * HOUR_MS)
    others_bytes = 791 * SIZE
    assert await put_one(store, large(store, 0, Y)) is Outcome.STORED
    assert 1 <= (await audit(store)).evicted <= 3
    others_bytes = 905 * SIZE  # More than half of the reserve is gone.
    with pytest.raises(StoreFull):
        await put(store, large(store, 1, Y))
    others_bytes = 0
    assert await put_one(store, large(store, 1, Y)) is Outcome.STORED
    await keep_room(store)
    assert not (await record(store, X)).evicted.all


@pytest.mark.parametrize("kept", [0, 1, 2])
async def test_a_power_cut_while_room_is_made(power: PowerHarness, kept: int) -> None:
    store = await power.open(allocation=for_blobs(10))
    await put(store, *(large(store, seq, X) for seq in range(10)))
    power.clock.advance(7 * HOUR_MS)
    power.hold_syncs()
    lost = asyncio.ensure_future(put(store, *(large(store, seq, Y) for seq in range(6))))
    reading = asyncio.ensure_future(record(store, X))
    await turns()
    assert not lost.done()
    store = await power.power_cut(unsynced_kept=kept)
    await asyncio.gather(lost, reading, return_exceptions=True)
    await audit(store)
    assert (await record(store, X)).seen.pairs == ((0, 10),)


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_the_counts_are_exact_and_what_is_held_is_there(
    folder: FolderHarness, seed: int
) -> None:
    chance = random.Random(seed)
    bound_bytes = 150_000
    store = await folder.open(allocation=Allocation(bound_bytes))
    logs = [log_of(f"log {at}") for at in range(12)]
    for _ in range(40):
        action = chance.random()
        if action < 0.75:
            blobs = [
                blob(
                    store,
                    chance.randrange(40),
                    chance.randbytes(chance.choice([10, 300, 3_000])),
                    log=chance.choice(logs),
                    blob_class=chance.choice([VERIFIED, *[blob(store, 0).blob_class] * 3]),
                    age_ms=chance.randrange(8) * 12 * HOUR_MS,
                )
                for _ in range(chance.randrange(1, 30))
            ]
            await put(store, *blobs, whole=False)
        elif action < 0.9:
            folder.clock.advance(chance.randrange(12) * HOUR_MS)
            await sweep(store)
        elif action < 0.95:
            store = await folder.reopen(allocation=Allocation(bound_bytes))
        await keep_room(store)
        await audit(store, bound_bytes)


async def test_an_engine_without_an_allocation_lets_nothing_go_for_room(unbounded: Harness) -> None:
    """Its whole contract about room: nothing goes, nothing is refused, no cursor goes back."""
    store = await unbounded.open()
    returned = asyncio.ensure_future(store.wait_returned(store.returns))
    await put_cursor(store, b"1")
    for log in (X, Y, Z):
        await put(store, *(large(store, seq, log) for seq in range(10)))
        unbounded.clock.advance(DAY_MS)
    await put(store, large(store, 0, log_of("old"), age_ms=3 * DAY_MS))
    assert await store.keep_room() is False
    assert (await audit(store)).evicted == 0
    assert (store.floor, store.returns) == (None, 0)
    assert [kept.cursor for kept in await store.cursors(PEER)] == [b"1"]
    assert not returned.done()
    await unbounded.close()
    with pytest.raises(StoreFailed):
        await returned
