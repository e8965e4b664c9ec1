"""`CassandraStore`: a `MailboxStore` in one keyspace of a cluster, for any number of processes.

The read barrier of design.md 5 is the quorum here: what one quorum read saw, the next one sees.
What another process stored shows at once where this one knows nothing of the log, and else when the
feed told of it (known.py), which takes a fraction of a second.

There is no allocation: a cluster is given more servers when it gets full.

Over 300 lines: one contract, a few lines a method.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from meshbox.core.clock import SystemClock
from meshbox.core.errors import IdentityLost, MeshboxError, StoreFailed, StoreForeign
from meshbox.core.ids import LogId, LogKey, Namespace, NodeId, Topic
from meshbox.core.inventory import LogRecord
from meshbox.core.limits import PAGE_RUNS_MAX
from meshbox.core.ranges import SeqRanges
from meshbox.core.retention import Retention, bucket_of
from meshbox.storage.cassandra.address import Access
from meshbox.storage.cassandra.counting import RELAYED
from meshbox.storage.cassandra.feed import FeedReader
from meshbox.storage.cassandra.feed_counter import FeedCounter
from meshbox.storage.cassandra.following import Following
from meshbox.storage.cassandra.leasing import KeyspaceLeases
from meshbox.storage.cassandra.listing import ALL
from meshbox.storage.cassandra.lives import blob_s
from meshbox.storage.cassandra.opening import open_keyspace
from meshbox.storage.cassandra.ownership import Ownership
from meshbox.storage.cassandra.paging import BEGINNING, FeedPages, Place
from meshbox.storage.cassandra.parts import Parts
from meshbox.storage.cassandra.positions import position_of
from meshbox.storage.cassandra.preparing import prepare
from meshbox.storage.cassandra.refilling import Refills
from meshbox.storage.cassandra.shown import shown
from meshbox.storage.cassandra.spans import Bounds
from meshbox.storage.cassandra.watching import Watch
from meshbox.storage.cassandra.writer import Writer
from meshbox.storage.embedded.cursors import Cursor, CursorMint
from meshbox.storage.embedded.pending import Pending
from meshbox.storage.embedded.state import Epochs
from meshbox.storage.interface import (
    BlobPage,
    Deposit,
    Epoch,
    FeedPage,
    Outcome,
    PeerCursor,
    RefillPage,
    Returned,
    Statistics,
    StoredBlob,
    SweepSlice,
)
from meshbox.storage.leases import Leases
from meshbox.storage.openings import Log

FEED_LAG_MS: Final = 10_000
"""Milliseconds: what is older in the feed could be read by everybody (feed.py)."""

CLOSE_S_MAX: Final = 1.0
"""Seconds that closing waits for the servers: a clean stop takes 5 in all."""

_ANY_VIEW: Final = 2**64
"""Views prove no loss here: the counters of several processes are not compared."""


class CassandraStore:
    """One process's view of a keyspace. Made by `open`."""

    def __init__(
        self, parts: Parts, *, node_id: NodeId, epoch: Epoch, cursor_key: bytes, log: Log
    ) -> None:
        self._parts = parts
        self._log = log
        self._epoch = epoch
        self._mint = CursorMint(cursor_key, Epochs(epoch))
        self._counter = FeedCounter(parts.positions)
        self._writer = Writer(parts, on_written=self._counter.move)
        reader = FeedReader(parts.connection, parts.statements)
        self._pages = FeedPages(reader, parts.known, parts.time, lag_ms=parts.lag_ms)
        self._refills = Refills(parts.connection, parts.statements, parts.time, parts.positions)
        self._pending = Pending()
        self._closed = asyncio.Event()
        self._counted: Statistics | None = None
        self._watch = Watch(parts.connection, parts.statements, node_id=node_id, epoch=epoch)
        self._following = Following(
            parts, reader, self._watch, on_moved=self._counter.move, log=log
        )

    @classmethod
    async def open(
        cls,
        access: Access,
        *,
        system_clock: SystemClock,
        retention_ms: int,
        cursor_key: bytes,
        node_id: NodeId,
        adopted_from: NodeId | None = None,
        trust_clock: bool = False,
        lag_ms: int = FEED_LAG_MS,
        log: Log = lambda *_, **__: None,
    ) -> CassandraStore:
        """Opens a keyspace that has its tables; the first node to do so makes it its own.

        `lag_ms` 0 is right where no other process uses the keyspace. `StoreForeign` when the
        keyspace has a newer schema or is another node's; `StoreFailed` for what may pass: the
        servers do not answer, refuse the user (`StoreRefused`), have no such keyspace or an older
        schema (`StoreUnprepared`), or the clock is not to be trusted.
        """
        parts, epoch = await open_keyspace(
            access,
            system_clock=system_clock,
            retention_ms=retention_ms,
            node_id=node_id,
            adopted_from=adopted_from,
            trust_clock=trust_clock,
            lag_ms=lag_ms,
        )
        store = cls(parts, node_id=node_id, epoch=epoch, cursor_key=cursor_key, log=log)
        await store.statistics()
        return store

    @property
    def epoch(self) -> Epoch:
        """The keyspace's epoch: the same for all processes, until it is restored from a backup."""
        return self._epoch

    @property
    def writer_id(self) -> bytes:
        """This process's, since it opened the keyspace."""
        return self._parts.process

    @property
    def change(self) -> int:
        """The feed's counter, as far as this process knows: it moves whenever something more can be
        read, also where that is older than what could be read before."""
        return self._counter.value

    @property
    def durable_change(self) -> int:
        """The same: what is not written shows nowhere."""
        return self._counter.value

    @property
    def deposited_change(self) -> int:
        """`durable_change`: what clients deposited at other processes is not told apart."""
        return self.durable_change

    @property
    def retention(self) -> Retention:
        """The test for age, as of now."""
        return self._parts.time.retention

    @property
    def trouble(self) -> StoreFailed | None:
        """Why nothing can be stored just now."""
        return self._following.trouble

    @property
    def lost(self) -> asyncio.Future[StoreForeign]:
        """Done when the keyspace is another one than it was: nothing is stored there any more."""
        return self._following.lost

    @property
    def leases(self) -> Leases:
        """What one of the processes of this keyspace may have by itself."""
        parts = self._parts
        return KeyspaceLeases(parts.connection, parts.statements, process=parts.process)

    @property
    def statements(self) -> int:
        """How many statements were sent."""
        return self._parts.connection.statements

    def now_ms(self) -> int:
        """Node time."""
        return self._parts.time.now_ms()

    async def commit(self, deposit: Deposit) -> tuple[Outcome, ...]:
        """Stores a deposit; an outcome a blob, in order, once a quorum has all of it."""
        self._check_open()
        self._watch.check()
        self._parts.time.check()
        size_bytes = sum(len(blob.data) for blob in deposit.blobs)
        with self._pending.taken(blobs=len(deposit.blobs), size_bytes=size_bytes):
            prepared = await prepare(deposit, now_ms=self.now_ms())
            for blob in prepared.blobs:
                if blob.chunked and blob.bucket > self._parts.time.due_through():
                    ttl_s = blob_s(
                        blob.bucket,
                        retention_ms=self.retention.retention_ms,
                        now_ms=self.now_ms(),
                    )
                    await self._parts.blobs.write_chunks(blob, ttl_s=ttl_s)
            if not any((prepared.blobs, prepared.cursors, prepared.refills, prepared.notes)):
                return ()
            return await self._writer.commit(prepared)

    async def logs(self, logs: Sequence[LogId]) -> tuple[LogRecord | None, ...]:
        """The records of `logs`, in order; None for a log never seen."""
        return await self.by_key([log.key for log in logs])

    async def by_key(self, keys: Sequence[LogKey]) -> tuple[LogRecord | None, ...]:
        """The records of the logs of `keys`, in order; None for a log never seen."""
        self._check_open()
        known = await self._parts.known.logs(keys, now_ms=self.now_ms())
        due_through = self._parts.time.due_through()
        return tuple(
            None if log is None else shown(log.record, due_through=due_through)
            for log in (known[key] for key in keys)
        )

    async def topic(self, namespace: Namespace, topic: Topic) -> tuple[LogRecord, ...]:
        """The records of all logs of a topic, ordered by author (UTF-8 bytes)."""
        self._check_open()
        keys = await self._parts.topics.keys(namespace, topic, now_ms=self.now_ms())
        return tuple(record for record in await self.by_key(keys) if record is not None)

    async def all_logs(self, after: LogKey | None, *, logs_max: int) -> dict[LogKey, LogRecord]:
        """The records of all logs by their keys, ascending, a page after the key `after`."""
        self._check_open()
        keys: list[LogKey] = []
        async for log in self._parts.listing.logs(ALL, after):
            keys.append(log.key)
            if len(keys) == logs_max:
                break
        records = await self.by_key(keys)
        return {key: r for key, r in zip(keys, records, strict=True) if r is not None}

    async def read(
        self,
        wanted: Sequence[tuple[LogId, SeqRanges]],
        *,
        blobs_max: int,
        bytes_max: int,
        whole_bytes_max: int,
    ) -> BlobPage:
        """The blobs held among `wanted`, at least one when any is; what is not held is left out."""
        records = await self.logs([log for log, _ in wanted])
        held = [
            (record, ranges)
            for record, (_, ranges) in zip(records, wanted, strict=True)
            if record is not None
        ]
        return await self._parts.blobs.page(held, Bounds(blobs_max, bytes_max, whole_bytes_max))

    async def read_part(self, blob: StoredBlob, *, offset: int, size: int) -> bytes | None:
        """`size` bytes of a blob from `offset`; None when it is no longer held."""
        (record,) = await self.logs([blob.log])
        run = record.run_of(blob.seq) if record else None
        if run is None or (run.bucket, run.blob_class) != (
            bucket_of(blob.stamp_ms),
            blob.blob_class,
        ):
            return None
        return await self._parts.blobs.part(blob, offset=offset, size=size)

    async def feed(
        self, after: bytes | None, *, logs_max: int, runs_max: int = PAGE_RUNS_MAX
    ) -> FeedPage:
        """The logs changed since the cursor `after` (None: all), at most `logs_max`.

        What is newer than the lag is shown again by the next reading. `ValueError` for a cursor
        that this store does not honour.
        """
        self._check_open()
        place = BEGINNING
        if after is not None:
            cursor = self._cursor(after)
            if cursor is None:
                raise ValueError("not a cursor that this store honours")
            place = Place(cursor.change, cursor.view)
        view = self.change
        page = await self._pages.read(place, view=view, logs_max=logs_max, runs_max=runs_max)
        if page.is_behind:
            self._counter.move_soon()
        minted = self._mint.mint(change=page.place.settled, view=page.place.shown)
        return FeedPage(page.records, minted, view, page.more)

    def cursor_now(self) -> bytes:
        """A cursor for "everything durable so far is settled"."""
        settled = self.change - position_of(self._parts.lag_ms)
        return self._mint.mint(change=settled, view=settled)

    def honours(self, cursor: bytes) -> bool:
        """Whether `feed` can go on from `cursor`.

        Never `IdentityLost`: the node id is that of several processes, none of which may end it.
        Who restores a keyspace from a backup says so (`meshbox store init --restored`).
        """
        return self._cursor(cursor) is not None

    async def wait_beyond(self, change: int) -> int:
        """Returns `durable_change` as soon as it is above `change`."""
        while self.durable_change <= change:
            self._check_open()
            await self._counter.moved()
        self._check_open()
        return self.durable_change

    async def cursors(self, peer: NodeId) -> tuple[PeerCursor, ...]:
        """The newest cursor of each epoch of a peer that is kept, newest epoch first."""
        self._check_open()
        return (await self._parts.peers.read(peer)).newest(peer)

    async def notes(self, keeper: bytes, logs: Sequence[LogKey]) -> tuple[bytes | None, ...]:
        """What `keeper` last noted of `logs`, in order; None where nothing is kept."""
        self._check_open()
        return await self._parts.notes.read(keeper, logs)

    @property
    def floor(self) -> int | None:
        """None: there is always room."""
        return None

    @property
    def returns(self) -> int:
        """Nothing was passed for lack of room, so no cursor ever goes back."""
        return 0

    async def wait_returned(self, since: int) -> Returned:
        """No cursor goes back: waits until the store is closed. `StoreFailed` then."""
        assert since >= 0
        await self._closed.wait()
        raise _closed()

    async def keep_room(self) -> bool:
        """Nothing: there is always room."""
        return False

    async def ask_for(self, logs: Sequence[LogKey]) -> None:
        """Puts logs on the refill list: every peer is to be asked for them by name, once."""
        self._check_open()
        await self._refills.add(logs)

    async def refill(self, peer: NodeId, *, logs_max: int) -> RefillPage:
        """The logs of the refill list that `peer` was not asked for yet, a page; waits for one."""
        while True:
            self._check_open()
            kept = await self._parts.peers.read(peer)
            page = await self._refills.page(kept.refilled, logs_max=logs_max)
            if page is not None:
                return page
            await self._refills.wait()

    async def sweep_slice(self) -> SweepSlice:
        """Notes how far is due; the servers free the space by themselves (lives.py)."""
        self._check_open()
        time = self._parts.time
        through, swept = time.due_through(), time.retention.swept
        before = -1 if swept is None else swept
        if through <= before:
            return SweepSlice(0, 0, more=False)
        await self._parts.counts.add()
        gone = [
            held
            for bucket, held in (await self._parts.counts.held()).items()
            if before < bucket <= through
        ]
        ownership = Ownership(self._parts.connection, self._parts.statements)
        await ownership.note_swept(through)
        time.note_swept(through)
        self._parts.positions.next(self.now_ms())
        self._counter.move()
        return SweepSlice(sum(h.blobs for h in gone), sum(h.bytes for h in gone), more=False)

    def count_relayed(self, blobs: int) -> None:
        """Adds to `Statistics.relayed`."""
        self._parts.counts.note(RELAYED, blobs)

    async def statistics(self) -> Statistics:
        """Counts of all processes, as of now; those of before while the servers do not answer."""
        self._check_open()
        try:
            self._counted = await self._parts.counts.statistics(self._parts.time.due_through())
        except StoreFailed:
            if self._counted is None:
                raise
        return self._counted

    async def flush_reading(self) -> None:
        """Nothing: the clock is the wall clock."""

    async def close(self) -> None:
        """Waits for what is being committed, and lets go of the servers."""
        self._closed.set()
        self._counter.close()
        await self._following.close()
        try:
            async with asyncio.timeout(CLOSE_S_MAX):
                await self._writer.close()
                await self._parts.counts.add()
        except (MeshboxError, TimeoutError) as error:
            # What waited was not acknowledged, and nothing is decided by the counts.
            self._log("store.failed", reason=StoreFailed.code, detail=f"while closing: {error}")
        self._counter.move()
        self._refills.grown.set()
        await self._parts.connection.close()

    def _cursor(self, cursor: bytes) -> Cursor | None:
        """What a cursor says; None for one that is not honoured."""
        try:
            return self._mint.honoured(cursor, change=_ANY_VIEW)
        except IdentityLost:
            return None

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise _closed()


def _closed() -> StoreFailed:
    return StoreFailed("the store is closed")
