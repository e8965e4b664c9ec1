"""Notes: kept with their deposit, each the last of its keeper and log, for the retention."""

from __future__ import annotations

import asyncio

import pytest

from meshbox.core.errors import StoreFailed, TooLarge
from meshbox.core.limits import NOTE_BYTES_MAX, SWEEP_LOGS_MAX
from meshbox.core.retention import BUCKET_MS, RETENTION_MAX_MS
from meshbox.storage.interface import Deposit, MailboxStore, Note, Outcome
from tests.contract.harness import Harness, PowerHarness
from tests.contract.material import LOG, blob, contents, log_of, put, sweep, turns

KEEPER, OTHER = b"k" * 16, b"o" * 16


async def note(store: MailboxStore, *texts: tuple[bytes, str, bytes]) -> None:
    notes = [Note(keeper, log_of(author).key, text) for keeper, author, text in texts]
    await store.commit(Deposit(notes=notes))


async def test_the_last_of_a_keeper_and_log_is_kept(harness: Harness) -> None:
    store = await harness.open()
    change = store.change
    await note(store, (KEEPER, "a", b"1"), (KEEPER, "b", b"2"), (OTHER, "a", b"3"))
    await note(store, (KEEPER, "a", b"4"), (KEEPER, "c", b""))
    assert store.change == change
    keys = [log_of(author).key for author in "abcd"]
    kept = (b"4", b"2", b"", None)
    assert await store.notes(KEEPER, keys) == kept
    store = await harness.reopen()
    assert await store.notes(KEEPER, keys) == kept
    assert await store.notes(OTHER, keys) == (b"3", None, None, None)


@pytest.mark.parametrize("kept", [0, 1])
async def test_it_comes_with_its_deposit_or_not_at_all(power: PowerHarness, kept: int) -> None:
    store = await power.open()
    await put(store, blob(store, 0))
    power.hold_syncs()
    both = Deposit([blob(store, 1)], notes=[Note(KEEPER, LOG.key, b"1 was sent")])
    writing = asyncio.create_task(store.commit(both))
    await turns()
    store = await power.power_cut(unsynced_kept=kept)
    with pytest.raises(StoreFailed):
        await writing
    assert await store.notes(KEEPER, [LOG.key]) == ((None,), (b"1 was sent",))[kept]
    assert (1 in await contents(store)) == bool(kept)


async def test_one_too_long_is_refused_with_its_deposit(harness: Harness) -> None:
    store = await harness.open()
    for bad in (Note(KEEPER, LOG.key, b"x" * (NOTE_BYTES_MAX + 1)), Note(b"k", LOG.key, b"")):
        with pytest.raises(TooLarge):
            await store.commit(Deposit([blob(store, 0)], notes=[bad]))
    assert await contents(store) == {}
    good = Note(KEEPER, LOG.key, b"x" * NOTE_BYTES_MAX)
    assert await store.commit(Deposit([blob(store, 0)], notes=[good])) == (Outcome.STORED,)


async def test_it_goes_after_the_retention(harness: Harness) -> None:
    store = await harness.open()
    count = SWEEP_LOGS_MAX + 3
    await note(store, *((KEEPER, f"{n}", b"old") for n in range(count)))
    keys = [log_of(f"{n}").key for n in range(count)]
    harness.clock.advance(RETENTION_MAX_MS - BUCKET_MS)
    await note(store, (KEEPER, "0", b"new"))
    await sweep(store)
    assert await store.notes(KEEPER, keys) == (b"new", *[b"old"] * (count - 1))
    harness.clock.advance(BUCKET_MS)
    await sweep(store)
    assert await store.notes(KEEPER, keys) == (b"new", *[None] * (count - 1))
