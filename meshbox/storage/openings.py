"""One opening of a database after another: what ends one, and when the next is tried.

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
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Protocol

from meshbox.core.errors import IdentityLost, MeshboxError, StoreDamaged, StoreFailed
from meshbox.storage.interface import MailboxStore, Statistics

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


class Openings:
    """The opening of now, and the task that opens the next. Made in its event loop; `close` ends
    it."""

    def __init__(self, first: MailboxStore, *, reopen: Reopen, disk: Disk, log: Log) -> None:
        self.store = first
        """The last opening, which may have failed."""
        self.trouble: StoreFailed | None = None
        """What failed, until the database is open again."""
        self.lost: asyncio.Future[IdentityLost] = asyncio.get_running_loop().create_future()
        """Done when nothing can be made of the database any more: the node has to end."""
        self._reopen = reopen
        self._disk = disk
        self._log = log
        self._failed = asyncio.Event()
        self._down = False
        self._mended_s: float | None = None
        self._damage_pause_s = DAMAGE_PAUSE_S
        self._counts: Statistics | None = None
        self._keeping = asyncio.create_task(self._keep_open())

    def present(self) -> _Present:
        """The opening of now, watched for what ends it."""
        if self._down:
            why = "" if self.trouble is None else f": {self.trouble.message}"
            raise StoreFailed(
                f"the database failed and is being opened again{why}", hint="try again in a moment"
            ) from self.trouble
        return _Present(self.store, self._judge)

    async def statistics(self) -> Statistics:
        """The counts of now, or those of the last time when nothing can be counted."""
        try:
            with self.present() as store:
                self._counts = await store.statistics()
        except StoreFailed:
            if self._counts is None:
                raise
        return self._counts

    async def close(self) -> None:
        """Closes the last opening; nothing is opened any more."""
        self._keeping.cancel()
        await asyncio.wait([self._keeping])
        if self._down:
            return
        try:
            await self.store.close()
        except StoreFailed as error:
            # Nothing acknowledged is lost by it, and the next opening deals with it.
            if self.trouble is None:
                self._log("store.failed", reason=error.code, detail=error.message)

    def _judge(self, store: MailboxStore, error: StoreFailed) -> None:
        """A call on an opening failed: is it the end of the opening that is used?"""
        failure = error if isinstance(error, StoreDamaged) else store.trouble
        if failure is not None and store is self.store and not self._down:
            self._note(failure)

    def _note(self, failure: StoreFailed) -> None:
        if self.trouble is None:
            self.trouble = failure
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
            if self.trouble is None:
                continue
            began_s = loop.time()
            try:
                self.store = await self._open_again(self.trouble)
            except IdentityLost as error:
                self.lost.set_result(error)
                return
            self._failed.clear()
            self._down, self.trouble = False, None
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
            await self.store.close()
