"""`EmbeddedStore`: a `MailboxStore` over the key-value seam; the parts put together.

Every read looks once, in one turn of the loop where it can, and then waits at the barrier before
its answer leaves. That order is the whole rule: what was seen is what is returned.

Over 300 lines: one contract, a few lines a method; the work is done beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from meshbox.core.clock import SystemClock
from meshbox.core.errors import StoreBusy, StoreFailed, StoreFull
from meshbox.core.ids import LogId, LogKey, Namespace, NodeId, Topic
from meshbox.core.inventory import LogRecord
from meshbox.core.limits import PAGE_RUNS_MAX
from meshbox.core.ranges import SeqRanges
from meshbox.core.retention import Retention
from meshbox.core.room import UNLIMITED, Allocation
from meshbox.storage.embedded.changes import Changes, Put
from meshbox.storage.embedded.commit import Writer
from meshbox.storage.embedded.cursors import CursorMint
from meshbox.storage.embedded.disk import Disk, FreeBytes
from meshbox.storage.embedded.eviction import Eviction
from meshbox.storage.embedded.feed import Feed
from meshbox.storage.embedded.forgetting import Forgetting
from meshbox.storage.embedded.listing import all_records, topic_records
from meshbox.storage.embedded.notes import read_notes
from meshbox.storage.embedded.opening import Opened, open_database
from meshbox.storage.embedded.pending import Pending
from meshbox.storage.embedded.planning import PreparedDeposit
from meshbox.storage.embedded.preparing import planned_at, prepare
from meshbox.storage.embedded.reads import Bounds, read_page, read_part
from meshbox.storage.embedded.refill import put_on_list, read_list
from meshbox.storage.embedded.release import Release
from meshbox.storage.embedded.schema import META_STATE
from meshbox.storage.embedded.staging import chunk_removals, write_chunks
from meshbox.storage.embedded.state import State, encode_state
from meshbox.storage.embedded.sweep import Sweep, SweepStep
from meshbox.storage.embedded.trial import ChunksMissing
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
from meshbox.storage.keyvalue import Family, KeyValue

_STAGINGS_MAX = 8
"""How often chunks are written for one deposit while others keep removing them."""
_LISTED_AT_ONCE = 2_048
"""Logs put on the refill list in one batch: about 5 ms of the loop."""


class EmbeddedStore:
    """A `MailboxStore` in one database of this process. Made by `open`."""

    def __init__(
        self, key_value: KeyValue, opened: Opened, disk: Disk, *, cursor_key: bytes
    ) -> None:
        self._key_value = key_value
        self._database = opened.database
        self._epochs = opened.epochs
        self._disk = disk
        self._eviction = Eviction(opened.database, disk)
        self._release = Release(opened.database, disk, self._eviction)
        self._writer = Writer(opened.database, self._eviction, disk)
        self._mint = CursorMint(cursor_key, opened.epochs)
        self._feed = Feed(opened.database)
        self._sweep = Sweep(opened.database, Forgetting(opened.database, disk))
        self._pending = Pending()

    @classmethod
    async def open(
        cls,
        key_value: KeyValue,
        *,
        system_clock: SystemClock,
        retention_ms: int,
        cursor_key: bytes,
        node_id: NodeId,
        epoch_id: bytes,
        build_date_ms: int,
        adopted_from: NodeId | None = None,
        allocation: Allocation = UNLIMITED,
        free_bytes: FreeBytes | None = None,
    ) -> EmbeddedStore:
        """Opens a database, a new one or one that `node_id` filled before.

        `cursor_key`: 16 to 64 secret bytes, the same at each opening. `epoch_id`: 16 fresh random
        bytes. `build_date_ms`: wall clock of this release. `adopted_from`: the identity before
        this one, whose database becomes this one's (design.md 4.11). `allocation` and `free_bytes`
        (of the disk; None: endless) say how much may be stored. The store owns `key_value`
        from now on, also when this fails: `StoreForeign`, `StoreFailed`.
        """
        try:
            opened = await open_database(
                key_value,
                system_clock=system_clock,
                retention_ms=retention_ms,
                node_id=node_id,
                adopted_from=adopted_from,
                epoch_id=epoch_id,
                build_date_ms=build_date_ms,
            )
        except BaseException:
            await key_value.close()
            raise
        disk = Disk(key_value, allocation, free_bytes)
        return cls(key_value, opened, disk, cursor_key=cursor_key)

    @property
    def epoch(self) -> Epoch:
        """The current opening."""
        return self._epochs.current

    @property
    def writer_id(self) -> bytes:
        """One process has the database: the epoch's."""
        return self._epochs.current.id

    @property
    def change(self) -> int:
        """The feed's counter, including changes that are not durable yet."""
        return self._database.counts.change

    @property
    def durable_change(self) -> int:
        """The feed's counter as the disk confirmed it."""
        return self._writer.durable_change

    @property
    def deposited_change(self) -> int:
        """The feed's counter when a client's deposit changed something last."""
        return self._writer.deposited_change

    @property
    def retention(self) -> Retention:
        """The test for age, as of now."""
        return self._database.time.retention

    @property
    def trouble(self) -> StoreFailed | None:
        """Why nothing can be stored any more."""
        return self._writer.failure

    def now_ms(self) -> int:
        """Node time."""
        return self._database.time.now_ms()

    async def commit(self, deposit: Deposit) -> tuple[Outcome, ...]:
        """Stores a deposit; an outcome a blob, in order, once all of it is durable.

        Deposits take effect in the order of the calls, except that one of more than a MiB or 512
        blobs takes its place when its bytes were hashed, and its chunks written.
        """
        self._writer.check()
        size_bytes = sum(len(blob.data) for blob in deposit.blobs)
        with self._pending.taken(blobs=len(deposit.blobs), size_bytes=size_bytes):
            prepared = await prepare(deposit, now_ms=self.now_ms())
            if not any(blob.header.chunked for blob in prepared.blobs):
                return await self._writer.commit(prepared)
            return await self._commit_chunked(prepared, deposit)

    async def logs(self, logs: Sequence[LogId]) -> tuple[LogRecord | None, ...]:
        """The records of `logs`, in order; None for a log never seen, or forgotten."""
        return await self.by_key([log.key for log in logs])

    async def by_key(self, keys: Sequence[LogKey]) -> tuple[LogRecord | None, ...]:
        """The records of the logs of `keys`, in order; None for a log never seen, or forgotten."""
        self._writer.check_reads()
        due_through = self._database.time.due_through()
        records = self._database.records(keys)
        shown = tuple(
            None if record is None else self._database.shown(record, due_through=due_through)
            for record in records
        )
        await self._barrier()
        return shown

    async def topic(self, namespace: Namespace, topic: Topic) -> tuple[LogRecord, ...]:
        """The records of all logs of a topic, ordered by author (UTF-8 bytes)."""
        self._writer.check_reads()
        records = await topic_records(self._database, namespace, topic)
        await self._barrier()
        return records

    async def all_logs(self, after: LogKey | None, *, logs_max: int) -> dict[LogKey, LogRecord]:
        """The records of all logs by their keys, ascending, a page after the key `after`."""
        self._writer.check_reads()
        records = all_records(self._database, after, logs_max=logs_max)
        await self._barrier()
        return records

    async def read(
        self,
        wanted: Sequence[tuple[LogId, SeqRanges]],
        *,
        blobs_max: int,
        bytes_max: int,
        whole_bytes_max: int,
    ) -> BlobPage:
        """The blobs held among `wanted`, at least one when any is; what is not held is left out."""
        self._writer.check_reads()
        bounds = Bounds(blobs_max, bytes_max, whole_bytes_max)
        page = await read_page(self._database, wanted, bounds)
        await self._barrier()
        return page

    async def read_part(self, blob: StoredBlob, *, offset: int, size: int) -> bytes | None:
        """`size` bytes of a blob from `offset`; None when it is no longer held."""
        self._writer.check_reads()
        part = await read_part(self._database, blob, offset=offset, size=size)
        await self._barrier()
        return part

    async def feed(
        self, after: bytes | None, *, logs_max: int, runs_max: int = PAGE_RUNS_MAX
    ) -> FeedPage:
        """The logs changed since the cursor `after` (None: all), at most `logs_max`.

        `ValueError` for a cursor that this store does not honour.
        """
        self._writer.check_reads()
        change = 0
        if after is not None:
            cursor = self._mint.honoured(after, change=self.change)
            if cursor is None:
                raise ValueError("not a cursor that this store honours")
            change = cursor.change
        view = self.change
        slice_ = self._feed.read(change, logs_max=logs_max, runs_max=runs_max)
        await self._barrier()
        minted = self._mint.mint(change=slice_.through, view=view)
        return FeedPage(slice_.records, minted, view, slice_.more)

    def cursor_now(self) -> bytes:
        """A cursor for "everything durable so far is settled"."""
        return self._mint.mint(change=self.durable_change, view=self.durable_change)

    def honours(self, cursor: bytes) -> bool:
        """Whether `feed` can go on from `cursor`; `IdentityLost` when it proves a loss."""
        return self._mint.honoured(cursor, change=self.change) is not None

    async def wait_beyond(self, change: int) -> int:
        """Returns `durable_change` as soon as it is above `change`."""
        return await self._writer.wait_beyond(change)

    async def cursors(self, peer: NodeId) -> tuple[PeerCursor, ...]:
        """The newest cursor of each epoch of a peer that is kept, newest epoch first."""
        self._writer.check_reads()
        kept = self._database.peers([peer])[peer]
        await self._barrier()
        return () if kept is None else kept.newest(peer)

    async def notes(self, keeper: bytes, logs: Sequence[LogKey]) -> tuple[bytes | None, ...]:
        """What `keeper` last noted of `logs`, in order; None where nothing is kept."""
        self._writer.check_reads()
        kept = read_notes(self._database, keeper, logs)
        await self._barrier()
        return kept

    @property
    def floor(self) -> int | None:
        """When there is no room: the lowest bucket of which anything would be stored and stay."""
        return self._eviction.floor

    @property
    def returns(self) -> int:
        """How often cursors went back in this opening."""
        return self._database.peer_order.returns

    async def wait_returned(self, since: int) -> Returned:
        """Waits until `returns` is above `since`; the peers whose cursors went back after that."""
        database = self._database
        while database.peer_order.returns <= since:
            self._writer.check()
            await database.cursors_returned.wait()
        await self._barrier()
        returned_at = database.peer_order.returned_at
        peers = frozenset(peer for peer, at in returned_at.items() if at > since)
        return Returned(database.peer_order.returns, peers)

    async def keep_room(self) -> bool:
        """A slice of what room asks for; whether to call again."""
        more = False

        def work() -> Changes | None:
            nonlocal more
            changes = self._eviction.step() or self._release.step()
            more = changes is not None
            return changes

        await self._writer.alone(work)
        return more

    async def ask_for(self, logs: Sequence[LogKey]) -> None:
        """Puts logs on the refill list: every peer is to be asked for them by name, once."""
        for at in range(0, len(logs), _LISTED_AT_ONCE):
            part = logs[at : at + _LISTED_AT_ONCE]
            await self._writer.alone(partial(put_on_list, self._database, part))

    async def refill(self, peer: NodeId, *, logs_max: int) -> RefillPage:
        """The logs of the refill list that `peer` was not asked for yet, a page; waits for one."""
        while True:
            self._writer.check_reads()
            grown = self._database.refill_grown
            page = read_list(self._database, peer, logs_max=logs_max)
            if page is not None:
                await self._barrier()
                return page
            await grown.wait()

    async def sweep_slice(self) -> SweepSlice:
        """Frees a bounded part of what is due; call again while `more`."""
        steps: list[SweepStep] = []

        def work() -> Changes | None:
            steps.append(self._sweep.step())
            return steps[-1].changes

        await self._writer.alone(work)
        for freed in steps[-1].freed:
            assert freed.end is not None, "a range"
            await self._key_value.reclaim(freed.family, freed.first, freed.end)
        return steps[-1].done

    def count_relayed(self, blobs: int) -> None:
        """Adds to `Statistics.relayed`; durable with the next commit."""
        counts = self._database.counts
        self._database.counts = counts._replace(relayed=counts.relayed + blobs)

    async def statistics(self) -> Statistics:
        """Counts as of now."""
        self._writer.check_reads()
        counts = self._database.counts
        used_bytes = self._key_value.disk_bytes()
        await self._barrier()
        return Statistics(
            logs=counts.logs,
            blobs=counts.blobs,
            bytes=counts.bytes,
            used_bytes=used_bytes,
            footprint_bytes=counts.used_bytes,
            conflicts=counts.conflicts,
            expired=counts.expired,
            evicted=counts.evicted,
            relayed=counts.relayed,
        )

    async def flush_reading(self) -> None:
        """Makes the clock's reading durable, and what `count_relayed` added; and the spare copy of
        both, for when the table file that they are in is damaged (rebuilding.py)."""
        await self._writer.alone(self._spared)

    def _spared(self) -> Changes:
        state = encode_state(State(self._database.counts, self._database.time.reading()))
        return Changes(self._database.counts, [Put(Family.SPARE, META_STATE, state)])

    async def close(self) -> None:
        """Waits for what is being committed, writes a last reading, and lets go of the disk."""
        try:
            if self._writer.is_open:
                await self.flush_reading()
        finally:
            await self._writer.close()
            self._database.refill_grown.set()
            self._database.cursors_returned.set()
            await self._disk.settled()
            await self._key_value.close()

    async def _barrier(self) -> None:
        """The read barrier: everything that the caller could see is durable."""
        await self._writer.barrier()

    async def _commit_chunked(
        self, prepared: PreparedDeposit, deposit: Deposit
    ) -> tuple[Outcome, ...]:
        """Chunks first, then the deposit; again when another deposit removed them in between, or
        time moved it to another bucket."""
        await self._make_room_ahead(prepared)
        for _ in range(_STAGINGS_MAX):
            moved = planned_at(prepared, self.now_ms())
            if moved is not prepared:
                self._drop_chunks(prepared)
                prepared = moved
            try:
                await write_chunks(
                    self._database, prepared, deposit.blobs, write=self._writer.write_ahead
                )
            except BaseException:
                self._drop_chunks(prepared)
                raise
            try:
                return await self._writer.commit(prepared)
            except ChunksMissing:
                continue
        raise StoreBusy("others keep replacing the blobs of this deposit")

    async def _make_room_ahead(self, prepared: PreparedDeposit) -> None:
        """Chunks are written before the turn of their deposit, so room is made before them."""
        if self._disk.is_exhausted:
            raise StoreFull("the disk is full", hint="free some space on the store's disk")
        await self._writer.make_room_ahead(prepared)

    def _drop_chunks(self, prepared: PreparedDeposit) -> None:
        """Removes, at the next turn, the chunks of a deposit that was given up."""
        database = self._database

        def work() -> Changes | None:
            removals = chunk_removals(database, prepared)
            return Changes(database.counts, list(removals)) if removals else None

        if self._writer.is_open:
            self._writer.alone(work).add_done_callback(_ignore)


def _ignore(done: asyncio.Future[None]) -> None:
    """Chunks that stay behind are invisible and go with their bucket; a failure shows elsewhere."""
    if not done.cancelled():
        done.exception()
