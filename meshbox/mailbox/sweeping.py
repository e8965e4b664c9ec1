"""The mailbox's housekeeping: freeing what is due, and saving the clock's reading.

Knows when, not how: the store frees a slice at a time, so that a large sweep never holds the loop.
A sweep that finds the store busy or failing leaves the rest to the next one: what opens a failed
store again is elsewhere (storage/reopening.py).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final, NamedTuple

from meshbox.core.errors import StoreBusy, StoreFailed
from meshbox.storage.interface import MailboxStore

READING_INTERVAL_MS: Final = 60_000
"""Milliseconds between two readings of the clock that are saved (design.md 4.5)."""

SWEEP_INTERVAL_MS: Final = 5 * 60_000
"""Milliseconds between two sweeps, as in the apps' own server; a bucket lasts 6 hours."""


class Swept(NamedTuple):
    """What one sweep freed."""

    blobs: int
    bytes: int


async def sweep(store: MailboxStore) -> Swept:
    """Frees everything that is due; others get their turn between two slices."""
    blobs = size = 0
    while True:
        freed = await store.sweep_slice()
        blobs += freed.blobs
        size += freed.bytes
        if not freed.more:
            return Swept(blobs, size)
        await asyncio.sleep(0)


async def run_sweeper(
    store: MailboxStore,
    *,
    interval_ms: int = SWEEP_INTERVAL_MS,
    reading_interval_ms: int = READING_INTERVAL_MS,
) -> None:
    """Sweeps now and every `interval_ms`, and saves a reading every `reading_interval_ms`.

    Runs until it is cancelled.
    """
    loop = asyncio.get_running_loop()
    sweep_at = loop.time()
    reading_at = sweep_at + reading_interval_ms / 1000
    while True:
        await asyncio.sleep(min(sweep_at, reading_at) - loop.time())
        now = loop.time()
        if now >= sweep_at:
            with suppress(StoreBusy, StoreFailed):
                await sweep(store)
            sweep_at = now + interval_ms / 1000
        if now >= reading_at:
            with suppress(StoreBusy, StoreFailed):
                await store.flush_reading()
            reading_at = now + reading_interval_ms / 1000
