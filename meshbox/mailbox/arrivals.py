"""Who waits for something new in which topics: what is behind `?wait=` of the fetch routes.

One task reads the store's feed while anybody waits, and wakes those whose topics changed. So a
commit costs its own logs, however many wait, and nothing when nobody does. Whatever changed a log
is told, a client's deposit or a peer's blobs; who is woken looks again, since a change (a sweep)
may bring nothing new.

Invariants: nothing is told before it is durable (`feed` keeps the read barrier); a change that
becomes durable after `awaiting` began is told; what waits is bounded, in number and in names.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

from meshbox.core.errors import MeshboxError, NodeBusy
from meshbox.core.ids import LogId, Namespace, Topic
from meshbox.core.limits import WAITED_NAMES_MAX, WAITERS_MAX
from meshbox.storage.interface import MailboxStore

_FEED_LOGS: Final = 256


class Waiter:
    """One who waits, from the beginning of `awaiting` to its end."""

    __slots__ = ("_bell", "_is_over")

    def __init__(self) -> None:
        self._bell = asyncio.Event()
        self._is_over = False

    async def woken(self, *, seconds: float) -> bool:
        """Whether something changed, or `seconds` passed; False when waiting is over."""
        if not self._is_over:
            try:
                async with asyncio.timeout(seconds):
                    await self._bell.wait()
            except TimeoutError:
                return True
        self._bell.clear()
        return not self._is_over

    def wake(self) -> None:
        """Something changed."""
        self._bell.set()

    def end(self) -> None:
        """Whoever it was for has left, or the node stops."""
        self._is_over = True
        self._bell.set()


class Arrivals:
    """The waiters of one store; all within one event loop."""

    def __init__(self, store: MailboxStore) -> None:
        self._store = store
        self._by_topic: dict[Topic, set[Waiter]] = {}
        self._waiters: set[Waiter] = set()
        self._names = 0
        self._listening: asyncio.Task[None] | None = None
        self._is_over = False

    def __len__(self) -> int:
        return len(self._waiters)

    @contextmanager
    def awaiting(self, topics: Collection[Topic], *, names: int) -> Iterator[Waiter]:
        """A waiter for `topics`; `names` is how many topics and authors it remembers meanwhile.

        `NodeBusy` when too many wait.
        """
        if len(self._waiters) >= WAITERS_MAX or self._names + names > WAITED_NAMES_MAX:
            raise NodeBusy("too many wait for something new, ask without waiting")
        waiter = Waiter()
        if self._is_over:
            waiter.end()
        self._waiters.add(waiter)
        self._names += names
        for topic in topics:
            self._by_topic.setdefault(topic, set()).add(waiter)
        self._listen()
        try:
            yield waiter
        finally:
            self._forget(waiter, topics, names)

    def end_all(self) -> None:
        """The node stops: nobody waits any more."""
        self._is_over = True
        for waiter in self._waiters:
            waiter.end()

    def _forget(self, waiter: Waiter, topics: Collection[Topic], names: int) -> None:
        self._waiters.discard(waiter)
        self._names -= names
        for topic in topics:
            waiting = self._by_topic[topic]
            waiting.discard(waiter)
            if not waiting:
                del self._by_topic[topic]
        if not self._waiters and self._listening is not None:
            self._listening.cancel()
            self._listening = None

    def _listen(self) -> None:
        if self._listening is None or self._listening.done():
            # Where the feed is now, before the task has its first turn.
            at = self._store.cursor_now(), self._store.durable_change
            self._listening = asyncio.create_task(self._tell(*at))

    async def _tell(self, cursor: bytes, change: int) -> None:
        try:
            while True:
                change = await self._store.wait_beyond(change)
                cursor = await self._tell_changes(cursor)
        except MeshboxError:
            # They find out for themselves what is wrong with the store.
            self._wake_all()

    async def _tell_changes(self, cursor: bytes) -> bytes:
        if not self._store.honours(cursor):
            self._wake_all()
            return self._store.cursor_now()
        while True:
            page = await self._store.feed(cursor, logs_max=_FEED_LOGS)
            cursor = page.cursor
            for record in page.records:
                self._wake(record.log)
            if not page.more:
                return cursor

    def _wake(self, log: LogId) -> None:
        if log.namespace is Namespace.LOGS:
            for waiter in self._by_topic.get(log.topic, ()):
                waiter.wake()

    def _wake_all(self) -> None:
        for waiter in self._waiters:
            waiter.wake()
