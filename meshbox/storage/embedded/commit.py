"""The single writer: group commit, the read barrier, and what is durable (design.md 5).

Deposits gather while the last sync runs. Then one group is loaded, planned and written as ONE
batch within one turn of the loop, and synced while the next gathers:

    waiting ──take──▶ load, plan, write ──▶ sync ──▶ durable_change moves, answers go out
                       (visible now)         │
                                             └─ every barrier of a read waits here

Invariants:
- At most one batch is visible and not durable; who waits for that one has waited for all it saw.
- No answer leaves before its group is durable. A group that changes nothing is answered at once:
  everything it saw is durable, since it was planned after the last sync.
- The first failure of a write or sync is the last thing that is written: all changes that wait
  and all that come fail with `StoreFailed`. A batch that was refused is not visible; so reads go
  on unless another one is visible and was not made durable.
- A write refused as busy changed nothing: the group is planned anew and tried again for
  `BUSY_PATIENCE_MS`, and fails alone with `StoreBusy` when the database is still behind.

Over 300 lines: one pipeline, whose steps share what is not durable yet.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from meshbox.core.errors import StoreBusy, StoreFailed, StoreFull, TooManyRanges
from meshbox.core.limits import COMMIT_BLOBS_MAX, COMMIT_BYTES_MAX
from meshbox.core.room import FirstToGo
from meshbox.storage.embedded.changes import Changes
from meshbox.storage.embedded.database import Database
from meshbox.storage.embedded.disk import Disk
from meshbox.storage.embedded.eviction import Eviction, Incoming
from meshbox.storage.embedded.loading import load, newcomers
from meshbox.storage.embedded.planning import GroupPlan, PreparedDeposit
from meshbox.storage.embedded.preparing import planned_at
from meshbox.storage.embedded.trial import ChunksMissing
from meshbox.storage.interface import Outcome
from meshbox.storage.keyvalue import Batch

T = TypeVar("T")

BUSY_PATIENCE_MS: Final = 1_000
"""Milliseconds that a group waits for a database that is behind: a flush takes about 100."""
_BUSY_PAUSE_MS: Final = 5

_Answer = tuple["asyncio.Future[Any]", object]
"""Whom to answer, and what: a result or an exception."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """A deposit that waits for its group."""

    deposit: PreparedDeposit
    answer: asyncio.Future[tuple[Outcome, ...]]


@dataclass(slots=True, eq=False)
class _Alone:
    """A batch of its own that waits for its turn: makes the changes when it comes."""

    work: Callable[[], Changes | None]
    answer: asyncio.Future[None]


class Writer:
    """Everything that is written goes through here, one batch after another."""

    def __init__(self, database: Database, eviction: Eviction, disk: Disk) -> None:
        self._database = database
        self._eviction = eviction
        self._disk = disk
        self._queue: deque[_Waiting | _Alone] = deque()
        self._task: asyncio.Task[None] | None = None
        self._unconfirmed: asyncio.Event | None = None
        self._moved = asyncio.Event()
        self._failure: StoreFailed | None = None
        self._shows_doubtful = False
        self._closed = False
        self.durable_change = database.counts.change
        """The feed's counter as the disk confirmed it."""
        self.deposited_change = self.durable_change
        """The same when a client's deposit changed something last; visible, maybe not durable."""

    def commit(self, deposit: PreparedDeposit) -> asyncio.Future[tuple[Outcome, ...]]:
        """Queues a deposit; its outcomes once it is durable.

        The future fails with `TooManyRanges`, `ChunksMissing`, `StoreBusy` or `StoreFailed`.
        """
        answer: asyncio.Future[tuple[Outcome, ...]] = asyncio.get_running_loop().create_future()
        self._enqueue(_Waiting(deposit, answer))
        return answer

    def alone(self, work: Callable[[], Changes | None]) -> asyncio.Future[None]:
        """Queues a batch of its own: `work` says at its turn what it is; done once durable."""
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._enqueue(_Alone(work, answer))
        return answer

    async def write_ahead(self, make: Callable[[], Batch]) -> None:
        """Writes what no read can see (chunks); durable with the next group.

        `make` gives the batch, anew for each try. `StoreBusy` when the database stays behind.
        """

        def write() -> None:
            self.check()
            try:
                self._database.key_value.write(make())
            except StoreFailed as error:
                self._fail(error)
                raise

        await patiently(write)

    async def barrier(self) -> None:
        """Returns when everything that was visible at the call is durable."""
        unconfirmed = self._unconfirmed
        if unconfirmed is not None:
            await unconfirmed.wait()
        self.check_reads()

    async def wait_beyond(self, change: int) -> int:
        """Returns `durable_change` as soon as it is above `change`."""
        while self.durable_change <= change:
            self.check_reads()
            await self._moved.wait()
        self.check_reads()
        return self.durable_change

    def check(self) -> None:
        """`StoreFailed` once something failed, or after `close`."""
        if self._failure is not None:
            raise _failed() from self._failure
        if self._closed:
            raise StoreFailed("the store is closed")

    def check_reads(self) -> None:
        """`StoreFailed` when what can be seen may not be durable, or after `close`."""
        if self._shows_doubtful or self._closed:
            self.check()

    @property
    def failure(self) -> StoreFailed | None:
        """What failed first."""
        return self._failure

    @property
    def is_open(self) -> bool:
        """Whether anything can still be written: nothing failed, and `close` was not called."""
        return self._failure is None and not self._closed

    async def close(self) -> None:
        """Takes no more, and returns when all that waited was answered."""
        self._closed = True
        self._note_moved()
        if self._task is not None:
            await asyncio.wait([self._task])

    def _enqueue(self, item: _Waiting | _Alone) -> None:
        self.check()
        self._queue.append(item)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        group: list[_Waiting | _Alone] = []
        try:
            while self._queue:
                group = self._take()
                await self._settle(group)
        except Exception as error:  # noqa: BLE001 - a bug must not leave anybody waiting
            self._fail(error)
            for item in group:
                _resolve(item.answer, self._failed_answer())
        finally:
            self._task = None

    async def _settle(self, group: Sequence[_Waiting | _Alone]) -> None:
        """One group, from its plan to its answers."""
        try:
            await self._make_room(group)
            answers = await patiently(lambda: self._carry_out(group))
        except StoreBusy as error:
            answers = [(item.answer, error) for item in group]
        if self._unconfirmed is not None:
            await self._confirm()
        for future, answer in answers:
            _resolve(future, answer)

    async def make_room_ahead(self, deposit: PreparedDeposit) -> None:
        """Makes room for a deposit before its turn comes, in turns of its own."""
        for incoming in self._newcomers([deposit]):
            change = self._database.counts.change
            await self.alone(partial(self._eviction.step, incoming))
            if self._database.counts.change == change:
                return

    async def _make_room(self, group: Sequence[_Waiting | _Alone]) -> None:
        """What has to go for a group goes before it, others between; durable with it."""
        deposits = [item.deposit for item in group if isinstance(item, _Waiting)]
        await self._eviction.caught_up()
        for incoming in self._newcomers(deposits):
            change = self._database.counts.change
            await patiently(partial(self._evict, incoming))
            if self._database.counts.change == change:
                break
            await asyncio.sleep(0)
        # What went before is being tidied up, which takes space until it is done.
        await self._eviction.caught_up()

    def _newcomers(self, deposits: Sequence[PreparedDeposit]) -> Iterator[Incoming]:
        """What wants to come in and may, as long as something has to go for it.

        Whether it may is told by what would go first at the beginning: else some would go, and then
        nothing come, where what goes next is above what comes.
        """
        first: FirstToGo | None = None
        while self._is_room_needed(deposits):
            self._eviction.full = True
            first = first or self._eviction.first_to_go()
            most_bytes = self._eviction.most_bytes
            incoming = newcomers(self._database, deposits, first, most_bytes=most_bytes)
            if not incoming:
                return
            yield incoming

    def _is_room_needed(self, deposits: Sequence[PreparedDeposit]) -> bool:
        if not self._eviction.is_needed(sum(deposit.footprint_bytes for deposit in deposits)):
            return False
        most_bytes = self._eviction.most_bytes
        every = newcomers(self._database, deposits, None, most_bytes=most_bytes)
        return self._eviction.is_needed(sum(every.values()))

    def _evict(self, incoming: Incoming) -> None:
        changes = self._eviction.step(incoming)
        if changes is not None:
            self._apply(changes)

    def _apply(self, changes: Changes) -> None:
        self._database.apply(changes)
        self._unconfirmed = self._unconfirmed or asyncio.Event()

    def _take(self) -> list[_Waiting | _Alone]:
        """The next group: deposits up to the bounds, or one batch of its own."""
        group = [self._queue.popleft()]
        blobs, size_bytes = _size(group[0])
        while self._queue and isinstance(group[0], _Waiting):
            item = self._queue[0]
            if not isinstance(item, _Waiting):
                break
            more_blobs, more_bytes = _size(item)
            blobs, size_bytes = blobs + more_blobs, size_bytes + more_bytes
            if blobs > COMMIT_BLOBS_MAX or size_bytes > COMMIT_BYTES_MAX:
                break
            group.append(self._queue.popleft())
        return group

    def _carry_out(self, group: Sequence[_Waiting | _Alone]) -> list[_Answer]:
        """Plans and writes a group; what to answer once that is durable.

        `StoreBusy`: nothing happened.
        """
        first = group[0]
        answers: list[_Answer]
        try:
            if isinstance(first, _Alone):
                changes, answers = first.work(), [(first.answer, None)]
            else:
                changes, answers = self._plan([w for w in group if isinstance(w, _Waiting)])
        except StoreFailed as error:
            # Something in the database is damaged: it must cost only the deposit that met it.
            if len(group) == 1:
                return [(first.answer, error)]
            return [answer for item in group for answer in self._carry_out_one(item)]
        if changes is not None:
            self._apply(changes)
        return answers

    def _carry_out_one(self, item: _Waiting | _Alone) -> list[_Answer]:
        try:
            return self._carry_out([item])
        except StoreBusy as error:
            return [(item.answer, error)]

    def _plan(self, group: Sequence[_Waiting]) -> tuple[Changes | None, list[_Answer]]:
        database = self._database
        now_ms, due_through = database.time.now_ms(), database.time.due_through()
        deposits = [planned_at(item.deposit, now_ms) for item in group]
        known = load(database, deposits, due_through=due_through)
        room = self._eviction.room_left()
        plan = GroupPlan(known, database.counts, due_through=due_through, room=room)
        answers: list[_Answer] = []
        for item, deposit in zip(group, deposits, strict=True):
            try:
                answers.append((item.answer, plan.add(deposit)))
            except (TooManyRanges, StoreFull, ChunksMissing) as error:
                answers.append((item.answer, error))
        changes = plan.finish()
        if changes is not None and any(item.deposit.whole for item in group):
            self.deposited_change = changes.counts.change
        return changes, answers

    async def _confirm(self) -> None:
        """Makes durable what was written, and lets everybody know."""
        assert self._unconfirmed is not None, "there is something to confirm"
        change = self._database.counts.change
        await self._database.key_value.sync()
        self._unconfirmed.set()
        self._unconfirmed = None
        self._disk.tidy()
        if change > self.durable_change:
            self.durable_change = change
            self._note_moved()

    def _note_moved(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    def _fail(self, error: Exception) -> None:
        failure = error if isinstance(error, StoreFailed) else _defect(error)
        self._failure = self._failure or failure
        # Nobody knows how far a defect came.
        if failure is not error or self._unconfirmed is not None:
            self._shows_doubtful = True
        while self._queue:
            _resolve(self._queue.popleft().answer, self._failed_answer())
        if self._unconfirmed is not None:
            self._unconfirmed.set()
        self._note_moved()

    def _failed_answer(self) -> StoreFailed:
        failed = _failed()
        failed.__cause__ = self._failure
        return failed


async def patiently(write: Callable[[], T]) -> T:
    """What `write` returns, tried again while the database is behind; else its `StoreBusy`."""
    for _ in range(BUSY_PATIENCE_MS // _BUSY_PAUSE_MS):
        try:
            return write()
        except StoreBusy:
            # RocksDB does not tell when a flush has made room.
            await asyncio.sleep(_BUSY_PAUSE_MS / 1_000)
    return write()


def _failed() -> StoreFailed:
    return StoreFailed(
        "the database failed, and nothing is stored any more",
        hint="see the cause: usually the disk is full or damaged",
    )


def _defect(error: Exception) -> StoreFailed:
    failed = StoreFailed(f"a defect of meshbox: {error!r}")
    failed.__cause__ = error
    return failed


def _size(item: _Waiting | _Alone) -> tuple[int, int]:
    if isinstance(item, _Alone):
        return 0, 0
    return len(item.deposit.blobs), item.deposit.bytes


def _resolve(future: asyncio.Future[Any], answer: object) -> None:
    if future.done():
        return  # The caller was cancelled; what it asked for happened all the same.
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        future.set_result(answer)
