"""`ReopeningStore`: a `MailboxStore` that opens its database again, by itself, when it failed.

Each call is carried out by the opening of its moment (openings.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from meshbox.core.errors import IdentityLost, StoreFailed
from meshbox.core.ids import LogId, LogKey, Namespace, NodeId, Topic
from meshbox.core.inventory import LogRecord
from meshbox.core.limits import PAGE_RUNS_MAX
from meshbox.core.ranges import SeqRanges
from meshbox.core.retention import Retention
from meshbox.storage.interface import (
    BlobPage,
    Deposit,
    Epoch,
    FeedPage,
    MailboxStore,
    Outcome,
    PeerCursor,
    RefillPage,
    Returned,
    Statistics,
    StoredBlob,
    SweepSlice,
)
from meshbox.storage.openings import Disk, Log, Openings, Reopen


class ReopeningStore:
    """A `MailboxStore` over one opening after another. Made in its event loop; `close` ends it."""

    def __init__(self, store: MailboxStore, *, reopen: Reopen, disk: Disk, log: Log) -> None:
        self._openings = Openings(store, reopen=reopen, disk=disk, log=log)

    @property
    def lost(self) -> asyncio.Future[IdentityLost]:
        """See `Openings`."""
        return self._openings.lost

    @property
    def trouble(self) -> StoreFailed | None:
        """See `Openings`."""
        return self._openings.trouble

    @property
    def epoch(self) -> Epoch:
        """See `MailboxStore`; while nothing is open that of the last opening."""
        return self._openings.store.epoch

    @property
    def writer_id(self) -> bytes:
        """See `MailboxStore`."""
        return self._openings.store.writer_id

    @property
    def change(self) -> int:
        """See `MailboxStore`."""
        return self._openings.store.change

    @property
    def durable_change(self) -> int:
        """See `MailboxStore`."""
        return self._openings.store.durable_change

    @property
    def deposited_change(self) -> int:
        """See `MailboxStore`."""
        return self._openings.store.deposited_change

    @property
    def retention(self) -> Retention:
        """See `MailboxStore`."""
        return self._openings.store.retention

    def now_ms(self) -> int:
        """See `MailboxStore`."""
        return self._openings.store.now_ms()

    async def commit(self, deposit: Deposit) -> tuple[Outcome, ...]:
        """See `MailboxStore`."""
        with self._openings.present() as store:
            return await store.commit(deposit)

    async def logs(self, logs: Sequence[LogId]) -> tuple[LogRecord | None, ...]:
        """See `MailboxStore`."""
        with self._openings.present() as store:
            return await store.logs(logs)

    async def by_key(self, keys: Sequence[LogKey]) -> tuple[LogRecord | None, ...]:
        """See `MailboxStore`."""
        with self._openings.present() as store:
            return await store.by_key(keys)

    async def topic(self, namespace: Namespace, topic: Topic) -> tuple[LogRecord, ...]:
        """See `MailboxStore`."""
        with self._openings.present() as store:
            return await store.topic(namespace, topic)

    async def all_logs(self, after: LogKey | None, *, logs_max: int) -> dict[LogKey, LogRecord]:
        """See `MailboxStore`."""
        with self._openings.present() as store:
            return await store.all_logs(after, logs_max=logs_max)

    async def read(
        self,
        wanted: Sequence[tuple[LogId, SeqRanges]],
        *,
        blobs_max: int,
        bytes_max: int,
        whole_bytes_max: int,
    ) -> BlobPage:
        """See `MailboxStore`."""
        with self._openings.present() as store:
            return await store.read(
                wanted,
                blobs_max=blobs_max,
                bytes_max=bytes_max,
                whole_bytes_max=whole_bytes_max,
            )

    async def read_part(self, blob: StoredBlob, *, offset: int, size: int) -> bytes | None:
        """See `MailboxStore`."""
        with self._openings.present() as store:
            return await store.read_part(blob, offset=offset, size=size)

    async def feed(
        self, after: bytes | None, *, logs_max: int, runs_max: int = PAGE_RUNS_MAX
    ) -> FeedPage:
        """See `MailboxStore`. `StoreFailed` for a cursor that only a former opening honoured."""
        with self._openings.present() as store:
            if after is not None and not store.honours(after):
                raise StoreFailed("the database was opened anew since the cursor was made")
            return await store.feed(after, logs_max=logs_max, runs_max=runs_max)

    def cursor_now(self) -> bytes:
        """See `MailboxStore`."""
        return self._openings.store.cursor_now()

    def honours(self, cursor: bytes) -> bool:
        """See `MailboxStore`."""
        return self._openings.store.honours(cursor)

    async def wait_beyond(self, change: int) -> int:
        """See `MailboxStore`; `StoreFailed` when the opening ends."""
        with self._openings.present() as store:
            return await store.wait_beyond(change)

    async def cursors(self, peer: NodeId) -> tuple[PeerCursor, ...]:
        """See `MailboxStore`."""
        with self._openings.present() as store:
            return await store.cursors(peer)

    async def notes(self, keeper: bytes, logs: Sequence[LogKey]) -> tuple[bytes | None, ...]:
        """See `MailboxStore`."""
        with self._openings.present() as store:
            return await store.notes(keeper, logs)

    @property
    def floor(self) -> int | None:
        """See `MailboxStore`."""
        return self._openings.store.floor

    @property
    def returns(self) -> int:
        """See `MailboxStore`."""
        return self._openings.store.returns

    async def wait_returned(self, since: int) -> Returned:
        """See `MailboxStore`."""
        with self._openings.present() as store:
            return await store.wait_returned(since)

    async def keep_room(self) -> bool:
        """See `MailboxStore`."""
        with self._openings.present() as store:
            return await store.keep_room()

    async def ask_for(self, logs: Sequence[LogKey]) -> None:
        """See `MailboxStore`."""
        with self._openings.present() as store:
            await store.ask_for(logs)

    async def refill(self, peer: NodeId, *, logs_max: int) -> RefillPage:
        """See `MailboxStore`."""
        with self._openings.present() as store:
            return await store.refill(peer, logs_max=logs_max)

    async def sweep_slice(self) -> SweepSlice:
        """See `MailboxStore`."""
        with self._openings.present() as store:
            return await store.sweep_slice()

    def count_relayed(self, blobs: int) -> None:
        """See `MailboxStore`."""
        self._openings.store.count_relayed(blobs)

    async def statistics(self) -> Statistics:
        """See `MailboxStore`; what was counted last when nothing can be counted now."""
        return await self._openings.statistics()

    async def flush_reading(self) -> None:
        """See `MailboxStore`."""
        with self._openings.present() as store:
            await store.flush_reading()

    async def close(self) -> None:
        """See `MailboxStore`. Nothing is opened any more."""
        await self._openings.close()
