"""What a process does by itself while it has a keyspace open: it follows the others, writes a row
now and then, and counts.

    well ──no answer, no trusted clock, the keyspace is not right──▶ in trouble ──all right──▶ well
    well ──no write is acknowledged──▶ in trouble ──one is──▶ well
    either ──the keyspace is another one (watching.py)──▶ over

While it is in trouble, requests fail by themselves, with what the servers say to each; here is what
status and readiness tell, also of a process that nobody asks anything. Servers may answer reads and
take no writes (full disks, a right that was taken back), so each has trouble of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import Final

from meshbox.core.errors import MeshboxError, StoreFailed, StoreForeign, StoreRefused
from meshbox.storage.cassandra.feed import FeedReader, News
from meshbox.storage.cassandra.parts import Parts
from meshbox.storage.cassandra.positions import ms_of
from meshbox.storage.cassandra.watching import Watch
from meshbox.storage.openings import Log

NEWS_INTERVAL_S: Final = 0.25
"""Seconds between two looks for what other processes stored."""
NEWS_PAUSE_S_MAX: Final = 5.0
"""Seconds between two looks while the servers do not answer."""
KEYSPACE_INTERVAL_S: Final = 2.0
"""Seconds between two looks at the keyspace itself, while all is well."""
COUNTS_INTERVAL_S: Final = 1.0
"""Seconds between two steps of the counters."""
WRITE_INTERVAL_S: Final = 2.0
"""Seconds between two rows that are written to see whether servers take any."""


LOGIN_INTERVAL_S: Final = 30.0
"""Seconds between two looks whether a new connection would be let in."""


class _Doing(Enum):
    """What trouble is met at."""

    READING = "reading"
    WRITING = "writing"


class Following:
    """The tasks of an open keyspace; `close` ends them. Made in its event loop."""

    def __init__(
        self,
        parts: Parts,
        reader: FeedReader,
        watch: Watch,
        *,
        on_moved: Callable[[], None],
        log: Log,
    ) -> None:
        """`on_moved` is told when another process changed the feed."""
        self.lost: asyncio.Future[StoreForeign] = asyncio.get_running_loop().create_future()
        """Done when the keyspace is another one: the process has to end."""
        self._parts = parts
        self._watch = watch
        self._news = News(reader, writer=parts.process, lag_ms=parts.lag_ms)
        self._on_moved = on_moved
        self._log = log
        self._troubles: dict[_Doing, StoreFailed] = {}
        """In the order in which they began."""
        self._troubled_s = self._watched_s = 0.0
        self._tasks = [asyncio.create_task(self._keep_counting())]
        if parts.lag_ms:
            self._tasks.append(asyncio.create_task(self._keep_looking()))
            self._tasks.append(asyncio.create_task(self._keep_writing()))
            self._tasks.append(asyncio.create_task(self._keep_dialling()))

    @property
    def trouble(self) -> StoreFailed | None:
        """Why nothing can be stored just now."""
        return next(iter(self._troubles.values()), None)

    async def close(self) -> None:
        """Ends the tasks."""
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    async def look(self) -> None:
        """Notes what others changed since the last look."""
        parts, now_ms = self._parts, self._parts.time.now_ms()
        rows = await self._news.look(now_ms)
        # What is found to have changed is noted below, before anything else can ask.
        parts.known.looked_ms = now_ms
        for position, key, log in rows:
            position_ms = ms_of(position)
            parts.known.note_changed(key, position_ms=position_ms, now_ms=now_ms)
            until_ms = max(position_ms, now_ms) + parts.lag_ms // 2
            parts.topics.note_changed(log, key, until_ms=until_ms)
        if rows:
            parts.positions.hear(max(row.position for row in rows))
            self._on_moved()

    async def _keep_counting(self) -> None:
        while True:
            await asyncio.sleep(COUNTS_INTERVAL_S)
            try:
                await self._parts.counts.add()
            except MeshboxError as error:
                self._note_trouble(error, _Doing.WRITING)

    async def _keep_writing(self) -> None:
        """Sees whether servers take writes, until cancelled."""
        while True:
            try:
                await self._watch.write()
            except MeshboxError as error:
                self._note_trouble(error, _Doing.WRITING)
            else:
                self._note_well(_Doing.WRITING)
            await asyncio.sleep(WRITE_INTERVAL_S)

    async def _keep_dialling(self) -> None:
        """Tells, until cancelled, when what is connected serves on and nothing new would be: the
        password was changed, and each server that starts again is one less."""
        was_refused = False
        while True:
            await asyncio.sleep(LOGIN_INTERVAL_S)
            try:
                await self._parts.connection.log_in()
            except StoreRefused as error:
                if not was_refused:
                    self._log("login.refused", reason=error.code, detail=error.message)
                was_refused = True
            except MeshboxError:
                pass  # Nobody answers: statements tell of that.
            else:
                if was_refused:
                    self._log("login.accepted")
                was_refused = False

    async def _keep_looking(self) -> None:
        """Follows what other processes write, until cancelled; sees so whether servers answer."""
        pause_s = NEWS_INTERVAL_S
        while True:
            try:
                self._parts.time.check()
                await self._look_at_keyspace()
                await self.look()
            except MeshboxError as error:
                self._note_trouble(error, _Doing.READING)
                if self._watch.another is not None:
                    self.lost.set_result(self._watch.another)
                    return
                pause_s = min(2 * pause_s, NEWS_PAUSE_S_MAX)
            else:
                pause_s = NEWS_INTERVAL_S
                self._note_well(_Doing.READING)
            await asyncio.sleep(pause_s)

    async def _look_at_keyspace(self) -> None:
        """Now and then, and each time before trouble is taken to be over."""
        now_s = asyncio.get_running_loop().time()
        if _Doing.READING not in self._troubles and now_s < self._watched_s + KEYSPACE_INTERVAL_S:
            return
        if not await self._watch.look():
            self._parts.known.forget_all()
            self._parts.topics.forget_all()
        self._watched_s = now_s

    def _note_trouble(self, error: MeshboxError, doing: _Doing) -> None:
        failed = (
            error if isinstance(error, StoreFailed) else StoreFailed(error.message, hint=error.hint)
        )
        if not self._troubles:
            self._troubled_s = asyncio.get_running_loop().time()
        if failed.hint not in {known.hint for known in self._troubles.values()}:
            # Once for each kind of trouble: servers word the same one in many ways.
            self._log("store.failed", reason=error.code, detail=error.message)
        self._troubles[doing] = failed

    def _note_well(self, doing: _Doing) -> None:
        if self._troubles.pop(doing, None) and not self._troubles:
            seconds = asyncio.get_running_loop().time() - self._troubled_s
            self._log("store.reopened", seconds=round(seconds, 3))
