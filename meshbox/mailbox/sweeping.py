"""The mailbox's housekeeping: freeing what is due, and saving the clock's reading.

Knows when, not how: the store frees a slice at a time, so that a large sweep never holds the loop.
A sweep that finds the store busy or failing leaves the rest to the next one: what opens a failed
store again is elsewhere (storage/openings.py).
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


ROOM_INTERVAL_MS: Final = 5_000
"""Milliseconds between two looks at the room: deposits make theirs, the disk may fill by others."""


class Swept(NamedTuple):
    """What one sweep freed and forgot."""

    blobs: int
    bytes: int
    forgotten: int
    """Empty logs."""


async def sweep(store: MailboxStore) -> Swept:
    """Frees everything that is due, and forgets logs that are empty for too long; others get their
    turn between two slices."""
    blobs = size = forgotten = 0
    while True:
        freed = await store.sweep_slice()
        blobs += freed.blobs
        size += freed.bytes
        forgotten += freed.forgotten
        if not freed.more:
            return Swept(blobs, size, forgotten)
        await asyncio.sleep(0)


async def keep_room(store: MailboxStore) -> None:
    """Does all that room asks for now; others get their turn between two slices."""
    more = True
    while more:
        more = await store.keep_room()
        await asyncio.sleep(0)


async def run_sweeper(
    store: MailboxStore,
    *,
    interval_ms: int = SWEEP_INTERVAL_MS,
    reading_interval_ms: int = READING_INTERVAL_MS,
    room_interval_ms: int = ROOM_INTERVAL_MS,
) -> None:
    """Sweeps now and every `interval_ms`, keeps room every `room_interval_ms`, and saves a reading
    every `reading_interval_ms`.

    Runs until it is cancelled.
    """
    loop = asyncio.get_running_loop()
    sweep_at = room_at = loop.time()
    reading_at = sweep_at + reading_interval_ms / 1000
    while True:
        await asyncio.sleep(min(sweep_at, room_at, reading_at) - loop.time())
        now = loop.time()
        if now >= sweep_at:
            with suppress(StoreBusy, StoreFailed):
                await sweep(store)
            sweep_at = now + interval_ms / 1000
        if now >= room_at:
            with suppress(StoreBusy, StoreFailed):
                await keep_room(store)
            room_at = now + room_interval_ms / 1000
        if now >= reading_at:
            with suppress(StoreBusy, StoreFailed):
                await store.flush_reading()
            reading_at = now + reading_interval_ms / 1000
