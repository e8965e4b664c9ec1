"""Large blobs: as whole as small ones, and the loop is not held while they are stored."""

from __future__ import annotations

import asyncio
import hashlib
import time

import pytest

from meshbox.core.errors import TooLarge, TooManyRanges
from meshbox.core.limits import BLOB_BYTES_MAX, BLOB_CHUNK_BYTES, LOG_RANGES_MAX
from meshbox.storage.interface import MailboxStore, Outcome, StoredBlob
from tests.contract.harness import FolderHarness, Harness, PowerHarness
from tests.contract.material import (
    DAY_MS,
    EVERYTHING,
    LOG,
    NO_BOUND,
    VERIFIED,
    blob,
    contents,
    held,
    put,
    put_one,
    sweep,
    turns,
)

SMALL_BYTES = 1_000
CHUNK = BLOB_CHUNK_BYTES


def large(size_bytes: int, mark: bytes = b"x") -> bytes:
    """Bytes whose every chunk is another."""
    pieces = (mark + b"%09d" % at for at in range(size_bytes // 65_536 + 1))
    return b"".join(piece.ljust(64, b".") * 1_024 for piece in pieces)[:size_bytes]


async def header(store: MailboxStore, seq: int = 0) -> StoredBlob:
    page = await store.read(
        [(LOG, EVERYTHING)], blobs_max=NO_BOUND, bytes_max=NO_BOUND, whole_bytes_max=SMALL_BYTES
    )
    return next(stored for stored in page.blobs if stored.seq == seq)


@pytest.mark.parametrize("size_bytes", [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 17])
async def test_any_size_is_read_as_it_was_stored(harness: Harness, size_bytes: int) -> None:
    store = await harness.open()
    data = large(size_bytes)
    await put(store, blob(store, 0, data), blob(store, 1))
    store = await harness.reopen()
    first, second = await held(store)
    assert first.size_bytes == size_bytes
    assert first.data == data
    assert first.content_hash == hashlib.blake2b(data, digest_size=32).digest()
    assert second.data == b"blob 1"
    statistics = await store.statistics()
    assert (statistics.blobs, statistics.bytes) == (2, size_bytes + 6)
    stored = await header(store)
    assert stored.data is None
    for offset, size in [
        (0, 1),
        (0, size_bytes),
        (CHUNK - 5, 10),
        (CHUNK, 10),
        (size_bytes - 3, 100),
        (size_bytes, 5),
        (2 * CHUNK - 1, 2),
    ]:
        part = await store.read_part(stored, offset=offset, size=size)
        assert part == data[offset : offset + size]


async def test_the_largest_blob(harness: Harness) -> None:
    store = await harness.open()
    data = large(BLOB_BYTES_MAX)
    assert await put_one(store, blob(store, 0, data)) is Outcome.STORED
    assert await put_one(store, blob(store, 0, data)) is Outcome.KNOWN
    store = await harness.reopen()
    assert await contents(store) == {0: data}
    with pytest.raises(TooLarge):
        await put_one(store, blob(store, 1, data + b"x"))


async def test_the_loop_is_not_held(harness: Harness) -> None:
    """Thread CPU time of one turn, since the machines are shared: far below that of one hash."""
    store = await harness.open()
    loop = asyncio.get_running_loop()
    data = large(16 * CHUNK)
    started = time.thread_time()
    hashlib.blake2b(data, digest_size=32).digest()
    at_once = time.thread_time() - started
    storing = asyncio.create_task(put_one(store, blob(store, 0, data)))
    longest, turn_count = 0.0, 0
    while not storing.done():
        before = time.thread_time()
        await asyncio.sleep(0)
        longest, turn_count = max(longest, time.thread_time() - before), turn_count + 1
    assert await storing is Outcome.STORED
    assert turn_count > 32, "a turn for each chunk, to hash and to write it"
    assert longest < max(at_once, 0.05)
    assert loop.is_running()


async def test_small_deposits_go_on_beside_large_ones(harness: Harness) -> None:
    store = await harness.open()
    storing = asyncio.create_task(put_one(store, blob(store, 0, large(24 * CHUNK))))
    small = 0
    while not storing.done():
        small += 1
        assert await put_one(store, blob(store, small)) is Outcome.STORED
    assert await storing is Outcome.STORED
    assert small > 3


async def test_a_large_blob_can_be_known_conflict_and_replaced(harness: Harness) -> None:
    store = await harness.open()
    first, other = large(2 * CHUNK), large(3 * CHUNK, b"y")
    assert await put_one(store, blob(store, 0, first)) is Outcome.STORED
    harness.clock.advance(DAY_MS)
    assert await put_one(store, blob(store, 0, first)) is Outcome.KNOWN
    assert await put_one(store, blob(store, 0, other)) is Outcome.CONFLICT
    assert await contents(store) == {0: first}
    before = await header(store)
    assert await put_one(store, blob(store, 0, first, blob_class=VERIFIED)) is Outcome.REPLACED
    assert await store.read_part(before, offset=0, size=10) is None
    store = await harness.reopen()
    assert await contents(store) == {0: first}
    assert await put_one(store, blob(store, 0, b"small", blob_class=VERIFIED)) is Outcome.CONFLICT


async def test_the_same_large_bytes_verified_at_once(harness: Harness) -> None:
    """The chunks of both are the same keys: replacing must not remove what it needs."""
    store = await harness.open()
    data = large(2 * CHUNK)
    await put_one(store, blob(store, 0, data))
    assert await put_one(store, blob(store, 0, data, blob_class=VERIFIED)) is Outcome.REPLACED
    assert await contents(store) == {0: data}


async def test_a_large_blob_is_replaced_by_a_small_one_and_back(harness: Harness) -> None:
    store = await harness.open()
    await put(store, blob(store, 0, large(2 * CHUNK)), blob(store, 1))
    assert await put_one(store, blob(store, 0, b"signed", blob_class=VERIFIED)) is Outcome.REPLACED
    data = large(2 * CHUNK, b"z")
    assert await put_one(store, blob(store, 1, data, blob_class=VERIFIED)) is Outcome.REPLACED
    assert await contents(store) == {0: b"signed", 1: data}
    assert (await store.statistics()).bytes == 6 + 2 * CHUNK


async def test_contenders_at_once_never_mix(harness: Harness) -> None:
    store = await harness.open()
    candidates = [large(2 * CHUNK + 10 * at, b"%d" % at) for at in range(4)]
    outcomes = await asyncio.gather(
        *(put_one(store, blob(store, 0, data)) for data in [*candidates, *candidates])
    )
    assert outcomes.count(Outcome.STORED) == 1
    winner = candidates[outcomes.index(Outcome.STORED) % 4]
    assert outcomes.count(Outcome.KNOWN) == 1
    assert await contents(store) == {0: winner}
    store = await harness.reopen()
    assert await contents(store) == {0: winner}


async def test_one_that_is_refused_does_not_take_a_twins_chunks(folder: FolderHarness) -> None:
    store = await folder.open()
    await put(store, *(blob(store, 2 * at) for at in range(LOG_RANGES_MAX)))
    top, data = 2 * LOG_RANGES_MAX, large(2 * CHUNK)
    tasks = [
        put(store, blob(store, top, data)),
        put(store, *(blob(store, seq) for seq in range(1, 21, 2)), blob(store, top, data)),
        put(store, blob(store, top, data)),
    ]
    refused, stored, later = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(refused, TooManyRanges)
    assert isinstance(stored, tuple)
    assert stored[-1] is Outcome.STORED
    assert later == (Outcome.KNOWN,)
    assert (await contents(store))[top] == data


async def test_a_deposit_that_is_given_up_leaves_nothing(harness: Harness) -> None:
    store = await harness.open()
    await put(store, blob(store, 1))
    before = (await store.statistics()).blobs
    for given_up_after in (3, 12, 20):
        storing = asyncio.create_task(put_one(store, blob(store, 0, large(16 * CHUNK))))
        await turns(given_up_after)
        storing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await storing
    assert (await store.statistics()).blobs == before
    data = large(16 * CHUNK)
    assert await put_one(store, blob(store, 0, data)) is Outcome.STORED
    assert (await contents(store))[0] == data


async def test_what_is_due_is_not_stored_in_chunks_either(harness: Harness) -> None:
    store = await harness.open()
    due = blob(store, 0, large(2 * CHUNK), age_ms=7 * DAY_MS)
    assert await put_one(store, due) is Outcome.EXPIRED
    assert await store.logs([LOG]) == (None,)


async def test_chunks_go_with_their_bucket(harness: Harness) -> None:
    store = await harness.open()
    await put(store, blob(store, 0, large(8 * CHUNK)), blob(store, 1, large(2 * CHUNK)))
    (stored, _) = await held(store)
    harness.clock.advance(7 * DAY_MS)
    assert await store.read_part(stored, offset=CHUNK, size=10) is None
    done = await sweep(store)
    assert (done.blobs, done.bytes) == (2, 10 * CHUNK)
    assert await contents(store) == {}
    assert (await store.statistics()).used_bytes < 6 * CHUNK


async def test_a_power_cut_between_chunks_and_header_leaves_no_blob(power: PowerHarness) -> None:
    data = large(4 * CHUNK)
    store = await power.open()
    for kept in range(6):
        power.hold_syncs()
        lost = asyncio.create_task(put_one(store, blob(store, kept, data)))
        await turns()
        store = await power.power_cut(unsynced_kept=kept)
        await asyncio.gather(lost, return_exceptions=True)
        assert sorted(await contents(store)) == ([kept] if kept == 5 else [])
    assert (await contents(store))[5] == data
