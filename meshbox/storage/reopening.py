"""`ReopeningStore`: a `MailboxStore` that opens its database again, by itself, when it failed.

A database that refused one write takes none any more, even when the disk is well again, until it
is closed and opened (storage/rocksdb). And what is damaged must be mended before it is opened. So:

    whole ──write or sync failed──▶ failing ──the disk takes writes──▶ down ──opened──▶ whole
                                    reads go on                         nothing goes
    whole ──damage was met────────────────────────────────────────────▶ down ──mended──▶ whole

Invariants: a call is carried out by one opening from its first look to its answer, so nothing that
one opening saw is released by the barrier of another; what failed was answered with `StoreFailed`
and is never tried again here; a new opening is a new epoch, and knows only what the disk has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Protocol

from meshbox.core.errors import IdentityLost, MeshboxError, StoreDamaged, StoreFailed
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

FIRST_PAUSE_S: Final = 0.25
"""Seconds after the first try that failed; doubled with each."""
PAUSE_S_MAX: Final = 15.0
"""Seconds between two tries at most: a disk that was freed is noticed within these."""
DAMAGE_PAUSE_S: Final = 30.0
"""Seconds from one mending to the next, doubled with each that follows soon: mending reads the
whole database, and a defect of ours must not do so without end."""
RESERVE_INTERVAL_S: Final = 60.0
"""Seconds between two looks whether there is room for the reserve again."""

Reopen = Callable[[StoreFailed], Awaitable[MailboxStore]]
"""Opens the database after a failure, mended if it was damage. Raises a `MeshboxError`."""
Log = Callable[..., None]
"""Takes an event of docs/events.md and its fields."""


class Disk(Protocol):
    """What `storage.reserve.Reserve` does; both block."""

    def make(self) -> bool: ...
    def make_way(self) -> bool: ...


class _Present:
    """One opening for as long as a call on it lasts; tells of its `StoreFailed`.

    A class, since every call of the store passes here, and a generator's context costs four times
    as much.
    """

    __slots__ = ("_judge", "_store")

    def __init__(
        self, store: MailboxStore, judge: Callable[[MailboxStore, StoreFailed], None]
    ) -> None:
        self._store = store
        self._judge = judge

    def __enter__(self) -> MailboxStore:
        return self._store

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, StoreFailed):
            self._judge(self._store, error)


class ReopeningStore:
    """A `MailboxStore` over one opening after another. Made in its event loop; `close` ends it."""

    def __init__(self, store: MailboxStore, *, reopen: Reopen, disk: Disk, log: Log) -> None:
        self._store = store
        self._reopen = reopen
        self._disk = disk
        self._log = log
        self._failure: StoreFailed | None = None
        self._failed = asyncio.Event()
        self._down = False
        self._mended_s: float | None = None
        self._damage_pause_s = DAMAGE_PAUSE_S
        self._counts: Statistics | None = None
        self.lost: asyncio.Future[IdentityLost] = asyncio.get_running_loop().create_future()
        """Done when nothing can be made of the database any more: the node has to end."""
        self._keeping = asyncio.create_task(self._keep_open())

    @property
    def trouble(self) -> StoreFailed | None:
        """What failed, until the database is open again."""
        return self._failure

    @property
    def epoch(self) -> Epoch:
        """See `MailboxStore`; while nothing is open that of the last opening."""
        return self._store.epoch

    @property
    def writer_id(self) -> bytes:
        """See `MailboxStore`."""
        return self._store.writer_id

    @property
    def change(self) -> int:
        """See `MailboxStore`."""
        return self._store.change

    @property
    def durable_change(self) -> int:
        """See `MailboxStore`."""
        return self._store.durable_change

    @property
    def deposited_change(self) -> int:
        """See `MailboxStore`."""
        return self._store.deposited_change

    @property
    def retention(self) -> Retention:
        """See `MailboxStore`."""
        return self._store.retention

    def now_ms(self) -> int:
        """See `MailboxStore`."""
        return self._store.now_ms()

    async def commit(self, deposit: Deposit) -> tuple[Outcome, ...]:
        """See `MailboxStore`."""
        with self._present() as store:
            return await store.commit(deposit)

    async def logs(self, logs: Sequence[LogId]) -> tuple[LogRecord | None, ...]:
        """See `MailboxStore`."""
        with self._present() as store:
            return await store.logs(logs)

    async def by_key(self, keys: Sequence[LogKey]) -> tuple[LogRecord | None, ...]:
        """See `MailboxStore`."""
        with self._present() as store:
            return await store.by_key(keys)

    async def topic(self, namespace: Namespace, topic: Topic) -> tuple[LogRecord, ...]:
        """See `MailboxStore`."""
        with self._present() as store:
            return await store.topic(namespace, topic)

    async def all_logs(self, after: LogKey | None, *, logs_max: int) -> tuple[LogRecord, ...]:
        """See `MailboxStore`."""
        with self._present() as store:
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
        with self._present() as store:
            return await store.read(
                wanted,
                blobs_max=blobs_max,
                bytes_max=bytes_max,
                whole_bytes_max=whole_bytes_max,
            )

    async def read_part(self, blob: StoredBlob, *, offset: int, size: int) -> bytes | None:
        """See `MailboxStore`."""
        with self._present() as store:
            return await store.read_part(blob, offset=offset, size=size)

    async def feed(
        self, after: bytes | None, *, logs_max: int, runs_max: int = PAGE_RUNS_MAX
    ) -> FeedPage:
        """See `MailboxStore`. `StoreFailed` for a cursor that only a former opening honoured."""
        with self._present() as store:
            if after is not None and not store.honours(after):
                raise StoreFailed("the database was opened anew since the cursor was made")
            return await store.feed(after, logs_max=logs_max, runs_max=runs_max)

    def cursor_now(self) -> bytes:
        """See `MailboxStore`."""
        return self._store.cursor_now()

    def honours(self, cursor: bytes) -> bool:
        """See `MailboxStore`."""
        return self._store.honours(cursor)

    async def wait_beyond(self, change: int) -> int:
        """See `MailboxStore`; `StoreFailed` when the opening ends."""
        with self._present() as store:
            return await store.wait_beyond(change)

    async def cursors(self, peer: NodeId) -> tuple[PeerCursor, ...]:
        """See `MailboxStore`."""
        with self._present() as store:
            return await store.cursors(peer)

    async def notes(self, keeper: bytes, logs: Sequence[LogKey]) -> tuple[bytes | None, ...]:
        """See `MailboxStore`."""
        with self._present() as store:
            return await store.notes(keeper, logs)

    @property
    def floor(self) -> int | None:
        """See `MailboxStore`."""
        return self._store.floor

    @property
    def returns(self) -> int:
        """See `MailboxStore`."""
        return self._store.returns

    async def wait_returned(self, since: int) -> Returned:
        """See `MailboxStore`."""
        with self._present() as store:
            return await store.wait_returned(since)

    async def keep_room(self) -> bool:
        """See `MailboxStore`."""
        with self._present() as store:
            return await store.keep_room()

    async def ask_for(self, logs: Sequence[LogKey]) -> None:
        """See `MailboxStore`."""
        with self._present() as store:
            await store.ask_for(logs)

    async def refill(self, peer: NodeId, *, logs_max: int) -> RefillPage:
        """See `MailboxStore`."""
        with self._present() as store:
            return await store.refill(peer, logs_max=logs_max)

    async def sweep_slice(self) -> SweepSlice:
        """See `MailboxStore`."""
        with self._present() as store:
            return await store.sweep_slice()

    def count_relayed(self, blobs: int) -> None:
        """See `MailboxStore`."""
        self._store.count_relayed(blobs)

    async def statistics(self) -> Statistics:
        """See `MailboxStore`; what was counted last when nothing can be counted now."""
        try:
            with self._present() as store:
                self._counts = await store.statistics()
        except StoreFailed:
            if self._counts is None:
                raise
        return self._counts

    async def flush_reading(self) -> None:
        """See `MailboxStore`."""
        with self._present() as store:
            await store.flush_reading()

    async def close(self) -> None:
        """See `MailboxStore`. Nothing is opened any more."""
        self._keeping.cancel()
        await asyncio.wait([self._keeping])
        if self._down:
            return
        try:
            await self._store.close()
        except StoreFailed as error:
            # Nothing acknowledged is lost by it, and the next opening deals with it.
            if self._failure is None:
                self._log("store.failed", reason=error.code, detail=error.message)

    def _present(self) -> _Present:
        """The opening of now, watched for what ends it."""
        if self._down:
            why = "" if self._failure is None else f": {self._failure.message}"
            raise StoreFailed(
                f"the database failed and is being opened again{why}", hint="try again in a moment"
            ) from self._failure
        return _Present(self._store, self._judge)

    def _judge(self, store: MailboxStore, error: StoreFailed) -> None:
        """A call on an opening failed: is it the end of the opening that is used?"""
        failure = error if isinstance(error, StoreDamaged) else store.trouble
        if failure is not None and store is self._store and not self._down:
            self._note(failure)

    def _note(self, failure: StoreFailed) -> None:
        if self._failure is None:
            self._failure = failure
            self._log("store.failed", reason=failure.code, detail=failure.message)
            self._failed.set()

    async def _keep_open(self) -> None:
        """Opens the database again whenever it failed, until cancelled."""
        loop = asyncio.get_running_loop()
        with suppress(MeshboxError):
            await self.statistics()
        while True:
            await asyncio.to_thread(self._disk.make)
            with suppress(TimeoutError):
                async with asyncio.timeout(RESERVE_INTERVAL_S):
                    await self._failed.wait()
            if self._failure is None:
                continue
            began_s = loop.time()
            try:
                self._store = await self._open_again(self._failure)
            except IdentityLost as error:
                self.lost.set_result(error)
                return
            self._failed.clear()
            self._down, self._failure = False, None
            self._log("store.reopened", seconds=round(loop.time() - began_s, 3))

    async def _open_again(self, failure: StoreFailed) -> MailboxStore:
        """The database, open; until then tries with pauses. Reads go on until it can be closed."""
        await self._await_turn(failure)
        pause_s = FIRST_PAUSE_S
        told = failure.message
        while True:
            if await asyncio.to_thread(self._disk.make_way):
                try:
                    await self._let_go()
                    return await self._reopen(failure)
                except IdentityLost:
                    raise
                except MeshboxError as error:
                    if isinstance(error, StoreDamaged):
                        failure = error
                    if error.message != told:
                        told = error.message
                        self._log("store.failed", reason=error.code, detail=error.message)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_S_MAX)

    async def _await_turn(self, failure: StoreFailed) -> None:
        """Returns at once, unless there was damage before, shortly ago."""
        if not isinstance(failure, StoreDamaged):
            return
        now_s = asyncio.get_running_loop().time()
        since_s = None if self._mended_s is None else now_s - self._mended_s
        if since_s is not None and since_s < self._damage_pause_s:
            await asyncio.sleep(self._damage_pause_s - since_s)
            self._damage_pause_s *= 2
        else:
            self._damage_pause_s = DAMAGE_PAUSE_S
        self._mended_s = asyncio.get_running_loop().time()

    async def _let_go(self) -> None:
        """Closes the opening that failed; a second time does nothing."""
        if self._down:
            return
        self._down = True
        with suppress(StoreFailed):
            # A database that failed says so once more when it is closed, and lets go all the same.
            await self._store.close()
