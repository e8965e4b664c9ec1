"""Deposits, in rounds: many at once, one round after another, and nothing acknowledged too early.

    gathered ──▶ records read, where they are not known ──▶ planned
      ──▶ blobs, the feed's rows, names of new logs ──▶ rows of the logs ──▶ cursors ──▶ answers

- A blob is there before the row that lists it, and a row of the feed before what it tells of. So
  what a crash leaves half done is a blob that nobody lists, or news of nothing.
- **The lag.** Feed and rows are ordered by positions that are stamped when a round is written.
  Readers trust that what is older than the lag could be read. So a round whose rows turn out older
  than half the lag when the quorum has them (a process that was stopped, servers that were slow)
  is stamped and written anew, before it is acknowledged.
- **Whole rows** stand for all that is older than the lag before them, and drop it. So they are only
  written by who knows all of that (`Known.complete_ms`); who was held up since it looked, and might
  not, tells its callers to try again.
- When anything fails, nothing of the round is acknowledged, and what was known of its logs is
  forgotten: a time-out does not tell what was written.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

from meshbox.core.errors import MeshboxError, StoreBusy, StoreFailed
from meshbox.core.ids import LogId, LogKey
from meshbox.core.inventory import LogRecord
from meshbox.core.limits import COMMIT_BLOBS_MAX, COMMIT_BYTES_MAX
from meshbox.storage.cassandra.blobs import PreparedBlob
from meshbox.storage.cassandra.counting import CONFLICTS
from meshbox.storage.cassandra.feed import FeedRow
from meshbox.storage.cassandra.known import KnownLog
from meshbox.storage.cassandra.lives import blob_s
from meshbox.storage.cassandra.merging import Row
from meshbox.storage.cassandra.parts import Parts
from meshbox.storage.cassandra.planning import GroupPlan, HeldBlob, LogChange, Place
from meshbox.storage.cassandra.positions import ms_of, position_of
from meshbox.storage.cassandra.rows import values_of
from meshbox.storage.cassandra.stepping import known_after, next_row
from meshbox.storage.interface import Note, Outcome, PeerCursor, PeerRefill


class PreparedDeposit(NamedTuple):
    """A deposit as a round takes it; its chunks are written."""

    blobs: tuple[PreparedBlob, ...]
    cursors: Sequence[PeerCursor]
    refills: Sequence[PeerRefill]
    notes: Sequence[Note]
    whole: bool


@dataclass(slots=True, eq=False)
class _Waiting:
    deposit: PreparedDeposit
    answer: asyncio.Future[tuple[Outcome, ...]]


class Writer:
    """All deposits of this process go through here."""

    def __init__(self, parts: Parts, *, on_written: Callable[[], None]) -> None:
        """`on_written` is told of each round that changed the feed."""
        self._parts = parts
        self._on_written = on_written
        self._queue: deque[_Waiting] = deque()
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.rounds = 0

    def commit(self, deposit: PreparedDeposit) -> asyncio.Future[tuple[Outcome, ...]]:
        """Queues a deposit; its outcomes once a quorum has it."""
        if self._closed:
            raise StoreFailed("the store is closed")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[tuple[Outcome, ...]] = loop.create_future()
        self._queue.append(_Waiting(deposit, answer))
        if self._task is None:
            self._task = loop.create_task(self._drain())
        return answer

    async def close(self) -> None:
        """Takes no more, and returns when all that waited was answered."""
        self._closed = True
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _drain(self) -> None:
        try:
            while self._queue:
                await self._settle(self._take())
        finally:
            self._task = None

    def _take(self) -> list[_Waiting]:
        """The next round: deposits up to the bounds, one at least."""
        group: list[_Waiting] = []
        blobs = size_bytes = 0
        while self._queue:
            more = self._queue[0].deposit.blobs
            blobs += len(more)
            size_bytes += sum(blob.size_bytes for blob in more if not blob.chunked)
            if group and (blobs > COMMIT_BLOBS_MAX or size_bytes > COMMIT_BYTES_MAX):
                break
            group.append(self._queue.popleft())
        return group

    async def _settle(self, group: Sequence[_Waiting]) -> None:
        """One round, from its plan to its answers."""
        keys = {blob.key for item in group for blob in item.deposit.blobs}
        answers: list[Any]
        try:
            answers = await self._round(group, keys)
        except Exception as error:  # noqa: BLE001 - a bug must not leave anybody waiting
            for key in keys:
                self._parts.known.forget(key)
            failure = error if isinstance(error, MeshboxError) else _defect(error)
            answers = [failure] * len(group)
        for item, answer in zip(group, answers, strict=True):
            if item.answer.done():
                continue  # The caller was cancelled; what it asked for happened all the same.
            if isinstance(answer, BaseException):
                item.answer.set_exception(answer)
            else:
                item.answer.set_result(answer)

    async def _round(self, group: Sequence[_Waiting], keys: set[LogKey]) -> list[Any]:
        parts = self._parts
        self.rounds += 1
        deposits = [item.deposit for item in group]
        now_ms = parts.time.now_ms()
        known = await parts.known.logs(list(keys), now_ms=now_ms)
        records = {key: log.record if log else None for key, log in known.items()}
        blobs = list(chain.from_iterable(deposit.blobs for deposit in deposits))
        held = await self._held(blobs, records)
        plan = GroupPlan(records, held, due_through=parts.time.due_through())
        answers: list[Any] = []
        accepted: list[PreparedDeposit] = []
        for deposit in deposits:
            try:
                answers.append(plan.add(deposit.blobs, whole=deposit.whole))
                accepted.append(deposit)
            except MeshboxError as error:
                answers.append(error)
        if plan.changes:
            await self._write(plan.changes, known, read_ms=now_ms)
        parts.counts.note(CONFLICTS, plan.conflicts)
        await parts.peers.keep(
            [cursor for deposit in accepted for cursor in deposit.cursors],
            [refill for deposit in accepted for refill in deposit.refills],
            change=parts.positions.last,
        )
        await parts.notes.keep([note for deposit in accepted for note in deposit.notes])
        return answers

    async def _held(
        self, blobs: Iterable[PreparedBlob], records: dict[LogKey, LogRecord | None]
    ) -> dict[Place, HeldBlob]:
        """What is to be compared of every blob held where one of these would go."""
        wanted: dict[Place, tuple[LogId, int, int]] = {}
        for blob in blobs:
            record = records[blob.key]
            run = record.run_of(blob.seq) if record else None
            if run is not None:
                wanted[blob.key, blob.seq] = (blob.log, run.bucket, blob.seq)
        found = await asyncio.gather(*(self._parts.blobs.header(*w) for w in wanted.values()))
        return {
            place: HeldBlob(blob.content_hash, blob.size_bytes)
            for place, blob in zip(wanted, found, strict=True)
            if blob is not None
        }

    async def _write(
        self,
        changes: dict[LogKey, LogChange],
        known: dict[LogKey, KnownLog | None],
        *,
        read_ms: int,
    ) -> None:
        """Writes a round, all of it; `read_ms`: when it began."""
        parts = self._parts
        stamped = self._stamp(changes)
        await asyncio.gather(
            parts.blobs.write(self._lives(changes, stamped)),
            parts.feed.write(_feed_rows(changes, stamped)),
            *(
                parts.listing.add(change.after.log, key)
                for key, change in changes.items()
                if change.before is None or change.after.last_bucket > change.before.last_bucket
            ),
        )
        written = await self._write_rows(changes, known, stamped, read_ms=read_ms)
        # Not before the rows that no longer list them are there.
        await asyncio.gather(
            *(
                parts.blobs.drop(key, change.gone, position=stamped[key])
                for key, change in changes.items()
                if change.pushed
            )
        )
        for key, change in changes.items():
            parts.known.put(key, written[key])
            parts.counts.moved(change.before, change.after)
            if change.before is None:
                parts.topics.note_own(change.after.log, key)
        self._on_written()

    async def _write_rows(
        self,
        changes: dict[LogKey, LogChange],
        known: dict[LogKey, KnownLog | None],
        stamped: dict[LogKey, int],
        *,
        read_ms: int,
    ) -> dict[LogKey, KnownLog]:
        """Writes the logs' rows, stamped anew, in the feed as well, until a quorum has them soon
        enough; what is known of the logs then."""
        parts = self._parts
        before: Mapping[LogKey, KnownLog | None] = known
        while True:
            rows = {
                key: next_row(
                    change, before[key], (stamped[key], parts.process), lag_ms=parts.lag_ms
                )
                for key, change in changes.items()
            }
            self._check_complete(rows, known)
            await asyncio.gather(*(self._write_row(key, row) for key, row in rows.items()))
            written = {
                key: known_after(changes[key], row, before[key], read_ms=read_ms)
                for key, row in rows.items()
            }
            oldest_ms = ms_of(min(stamped.values()))
            if not parts.lag_ms or parts.time.now_ms() - oldest_ms <= parts.lag_ms // 2:
                return written
            before = written
            stamped = self._stamp(changes)
            await parts.feed.write(_feed_rows(changes, stamped))

    def _check_complete(
        self, rows: dict[LogKey, Row], known: dict[LogKey, KnownLog | None]
    ) -> None:
        """`StoreBusy` when a whole row would stand for what may not be in it."""
        parts = self._parts
        for key, row in rows.items():
            complete_ms = parts.known.complete_ms(known[key])
            if row.whole and parts.lag_ms and complete_ms < ms_of(row.id[0]) - parts.lag_ms // 2:
                raise StoreBusy("this process was held up", hint="try again in a moment")

    def _stamp(self, changes: Iterable[LogKey]) -> dict[LogKey, int]:
        now_ms = self._parts.time.now_ms()
        return {key: self._parts.positions.next(now_ms) for key in changes}

    def _lives(
        self, changes: dict[LogKey, LogChange], stamped: dict[LogKey, int]
    ) -> Iterable[tuple[PreparedBlob, int, int]]:
        time = self._parts.time
        now_ms, retention_ms = time.now_ms(), time.retention.retention_ms
        for key, change in changes.items():
            for blob in change.blobs:
                ttl_s = blob_s(blob.bucket, retention_ms=retention_ms, now_ms=now_ms)
                yield blob, stamped[key], ttl_s

    async def _write_row(self, key: LogKey, row: Row) -> None:
        statements = self._parts.statements
        batch: list[tuple[Any, Sequence[Any]]] = [(statements.write_seen, values_of(key, row))]
        if row.whole:
            # It has all that is older than the lag, its own kind of before included.
            bound = row.id[0] - position_of(self._parts.lag_ms)
            batch.append((statements.drop_seen, (bound // 1_024, key, bound)))
        await self._parts.connection.batch(batch)


def _feed_rows(changes: dict[LogKey, LogChange], stamped: dict[LogKey, int]) -> list[FeedRow]:
    return [FeedRow(stamped[key], key, change.after.log) for key, change in changes.items()]


def _defect(error: Exception) -> StoreFailed:
    failed = StoreFailed(f"a defect of meshbox: {error!r}")
    failed.__cause__ = error
    return failed
