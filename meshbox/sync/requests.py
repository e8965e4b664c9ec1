"""A session's requests, carried out against the store.

Translates between what crosses the session's seam (core/session/effects.py) and the store's
(storage/interface.py), ages into stamps and back. Knows nothing of streams.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final, cast

from meshbox.core.ids import NodeId
from meshbox.core.inventory import LogRecord
from meshbox.core.limits import BLOB_CHUNK_BYTES, CURSORS_OFFERED_MAX, PAGE_LOGS_MAX
from meshbox.core.reconcile import SYMBOL_BYTES, Digest
from meshbox.core.room import room_bytes
from meshbox.core.session.effects import (
    AwaitChange,
    BlobsRead,
    ChooseCursor,
    Commit,
    Committed,
    Compared,
    CompareSketch,
    FeedRead,
    FindFeedEnd,
    FindLogs,
    HeldBlob,
    LoadCursors,
    LogsFound,
    MakeSketch,
    PrepareComparison,
    ReadBlobs,
    ReadFeed,
    ReadLogs,
    ReadPart,
    ReadRecords,
    ReadRefill,
    ReceivedBlob,
    RecordsRead,
    RefillRead,
    Request,
    SketchMade,
)
from meshbox.core.topics import RULE_BYTES, Carried
from meshbox.storage.interface import (
    Deposit,
    MailboxStore,
    NewBlob,
    Outcome,
    PeerCursor,
    PeerRefill,
    StoredBlob,
)
from meshbox.sync.ordering import CommitOrder
from meshbox.sync.summaries import Summaries, Summary

_OVERLAPPING_BYTES_MAX: Final = BLOB_CHUNK_BYTES // 2
"""Bytes up to which the store keeps the order of deposits by itself: with 256 blobs, the most of a
frame, they are prepared in one turn of the loop (storage/embedded/preparing.py)."""

_NEW = (Outcome.STORED, Outcome.REPLACED)
_HELD = (Outcome.KNOWN, Outcome.CONFLICT)


class _Unplaced:
    """What commits found no room for. What settles it may be asked for before such a commit is
    done, so the session cannot tell."""

    def __init__(self) -> None:
        self._least_bytes: int | None = None
        """The footprint of the smallest."""

    def note(self, size_bytes: int) -> None:
        """There was none for a blob of `size_bytes`."""
        needed_bytes = room_bytes(size_bytes)
        self._least_bytes = min(needed_bytes, self._least_bytes or needed_bytes)

    def told(self, *, passed: bool) -> tuple[bool, int]:
        """`passed` and `room_bytes` of what settles it (storage/interface.py), where the session
        says that something was `passed` beside it, of which the size is not known."""
        return passed or self._least_bytes is not None, 0 if passed else self._least_bytes or 0


class StoreRequests:
    """Answers the requests of one session with `peer`, whose present epoch is `epoch_id`."""

    def __init__(
        self,
        store: MailboxStore,
        summaries: Summaries,
        *,
        peer: NodeId,
        epoch_id: bytes,
        carried: Carried,
    ) -> None:
        """`carried`: by this node."""
        self._rule = carried.rule
        self._store = store
        self._summaries = summaries
        self._compared: Summary | None = None
        """The moment for which what the peer lacks is being found."""
        self._sketched: Summary | None = None
        """The moment of which the peer was told symbols."""
        self._offers = False
        """Our feed is being offered: the peer has nothing to tell us of that moment any more."""
        self._peer = peer
        self._epoch_id = epoch_id
        self._returns = store.returns
        self._unplaced = _Unplaced()
        """Of which no cursor kept since says so."""
        self._refill_unplaced = _Unplaced()
        """Of which no settled answer to what was asked for by name says so."""
        self._order = CommitOrder()

    async def answer(self, request: Request) -> Any:
        """What the request's docstring promises. Errors are the store's."""
        match request:
            case ReadRefill():
                page = await self._store.refill(request.peer, logs_max=PAGE_LOGS_MAX)
                return RefillRead(page.logs, page.through)
            case LoadCursors():
                return await self._load_cursors(request)
            case ChooseCursor():
                return next((c for c in request.cursors if self._store.honours(c)), None)
            case MakeSketch():
                return await self._make_sketch(request)
            case PrepareComparison():
                self._compared = await self._summaries.of(request.key)
                return None
            case CompareSketch():
                return await self._compare(request)
            case FindLogs():
                return self._find_logs(request)
            case ReadLogs():
                self._offers = True
                return self._records_read(await self._store.by_key(request.keys))
            case AwaitChange():
                return await self._await_change(request)
            case ReadFeed():
                if not request.fresh:
                    self._compared, self._offers = None, True
                return await self._read_feed(request)
            case FindFeedEnd():
                return self._feed_end()
            case ReadRecords():
                return self._records_read(await self._store.logs(request.logs))
            case ReadBlobs():
                return await self._read_blobs(request)
            case ReadPart():
                stored = cast("StoredBlob", request.blob.handle)
                return await self._store.read_part(stored, offset=request.offset, size=request.size)
            case Commit():
                return await self._commit_in_order(request)

    async def _await_change(self, request: AwaitChange) -> bool:
        store = self._store
        await store.wait_beyond(request.change)
        if request.relays_wait_ms:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(request.relays_wait_ms / 1_000):
                    while store.deposited_change <= request.change:
                        await store.wait_beyond(store.durable_change)
        return store.deposited_change > request.change

    async def _load_cursors(self, request: LoadCursors) -> tuple[bytes, ...]:
        """A cursor is kept behind the rule of what was carried when its page was settled: under
        another rule it would hide what was not wanted then."""
        kept = [cursor.cursor for cursor in await self._store.cursors(request.peer)]
        ours = [cursor[RULE_BYTES:] for cursor in kept if cursor[:RULE_BYTES] == self._rule]
        return tuple(ours[:CURSORS_OFFERED_MAX])

    async def _make_sketch(self, request: MakeSketch) -> SketchMade:
        summary = self._sketched or await self._summaries.of(request.key)
        self._sketched = summary
        if summary is None:
            return SketchMade(Digest(), bytes((request.end - request.first) * SYMBOL_BYTES))
        return SketchMade(summary.digest, await summary.symbols(request.first, request.end))

    async def _compare(self, request: CompareSketch) -> Compared | None:
        summary = self._compared or await self._summaries.of(request.key)
        self._compared = summary
        if summary is None:
            return None
        lacking = await summary.lacking(request.digest, request.symbols)
        logs, theirs = lacking if lacking is not None else (None, ())
        return Compared(logs, theirs, len(summary), summary.cursor)

    def _find_logs(self, request: FindLogs) -> LogsFound | None:
        summary, self._sketched = self._sketched, None
        if summary is None:
            return None
        return LogsFound(summary.with_elements(request.elements), summary.cursor)

    def _records_read(self, records: tuple[LogRecord | None, ...]) -> RecordsRead:
        store = self._store
        return RecordsRead(records, store.now_ms(), store.retention, store.floor)

    async def _read_feed(self, request: ReadFeed) -> FeedRead:
        page = await self._store.feed(
            request.after, logs_max=request.logs_max, runs_max=request.runs_max
        )
        return FeedRead(
            page.records,
            page.cursor,
            page.view,
            page.more,
            self._store.now_ms(),
            self._store.retention,
        )

    def _feed_end(self) -> FeedRead:
        store = self._store
        return FeedRead(
            (),
            store.cursor_now(),
            view=store.durable_change,
            more=False,
            now_ms=store.now_ms(),
            retention=store.retention,
        )

    async def _read_blobs(self, request: ReadBlobs) -> BlobsRead:
        page = await self._store.read(
            request.wanted,
            blobs_max=request.blobs_max,
            bytes_max=request.bytes_max,
            whole_bytes_max=request.whole_bytes_max,
        )
        now_ms, retention = self._store.now_ms(), self._store.retention
        held = tuple(
            HeldBlob(
                blob.log,
                blob.seq,
                blob.blob_class,
                retention.age_ms(blob.stamp_ms, now_ms, earlier_ms=blob.earlier_ms),
                blob.origin,
                blob.content_hash,
                blob.size_bytes,
                blob.data,
                blob,
            )
            for blob in page.blobs
        )
        self._store.count_relayed(len(held))
        return BlobsRead(held, page.more)

    async def _commit_in_order(self, request: Commit) -> Committed:
        if self._offers and request.cursor is not None:
            self._sketched = None
        size_bytes = sum(len(blob.data) for blob in request.blobs)
        alone = size_bytes > _OVERLAPPING_BYTES_MAX or request.cursor is not None
        return await self._order.run(lambda: self._commit(request), alone=alone)

    async def _commit(self, request: Commit) -> Committed:
        cursors: list[PeerCursor] = []
        if request.cursor is not None:
            cursors.append(
                PeerCursor(
                    self._peer,
                    self._epoch_id,
                    self._rule + request.cursor,
                    *self._unplaced.told(passed=request.passed),
                    returns=self._returns,
                )
            )
        refills: list[PeerRefill] = []
        if request.refilled is not None:
            told = self._refill_unplaced.told(passed=request.refill_passed)
            refills.append(PeerRefill(self._peer, self._epoch_id, request.refilled, *told))
        blobs = tuple(self._new_blob(blob) for blob in request.blobs)
        outcomes = await self._store.commit(Deposit(blobs, cursors, refills, whole=False))
        for blob, outcome in zip(blobs, outcomes, strict=True):
            if outcome is Outcome.NO_ROOM:
                self._unplaced.note(len(blob.data))
                self._refill_unplaced.note(len(blob.data))
        if request.cursor is not None:
            self._unplaced = _Unplaced()
        if request.refilled is not None:
            self._refill_unplaced = _Unplaced()
        return Committed(
            stored=sum(outcome in _NEW for outcome in outcomes),
            duplicates=sum(outcome in _HELD for outcome in outcomes),
        )

    def _new_blob(self, blob: ReceivedBlob) -> NewBlob:
        retention = self._store.retention
        stamp_ms = retention.stamp_of(blob.asked_ms, blob.age_ms)
        earlier_ms = retention.earlier_ms(stamp_ms, asked_ms=blob.asked_ms, age_ms=blob.age_ms)
        return NewBlob(
            blob.log, blob.seq, blob.blob_class, stamp_ms, blob.origin, blob.data, earlier_ms
        )
