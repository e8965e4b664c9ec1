"""The topics that are known here, and which of them just changed: one look-out for all bridges.

At most `BRIDGED_TOPICS_MAX`: for a newcomer the one goes in which nothing changed for longest. It
is known again as soon as something does. One of which the store knows no log any more is forgotten.
What no app has named stays here: it would cut off the apps that ask the server (core/ids.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from meshbox.core.errors import MeshboxError
from meshbox.core.ids import LogKey, Namespace, Topic, is_app_name
from meshbox.core.inventory import LogRecord
from meshbox.core.limits import BRIDGED_TOPICS_MAX
from meshbox.core.topics import OwnTopics
from meshbox.storage.interface import MailboxStore

_LOGS_A_PAGE: Final = 256
_PAUSE_S: Final = 1.0
"""Seconds until a store that failed is looked at again."""

Changed = Callable[[Topic], None]


class KnownTopics:
    """Follows the store's feed. `run` it for as long as somebody listens."""

    def __init__(self, store: MailboxStore, *, carried: OwnTopics, named: Iterable[Topic]) -> None:
        """`named` are known whether or not anything of them is here."""
        self._store = store
        self._carried = carried
        self._named = frozenset(named)
        self._known: dict[Topic, None] = dict.fromkeys(sorted(self._named))
        self._listeners: list[Changed] = []

    def __iter__(self) -> Iterator[Topic]:
        return iter(tuple(self._known))

    def __contains__(self, topic: Topic) -> bool:
        return topic in self._known

    def forget(self, topic: Topic) -> None:
        """Nothing of it is here any more."""
        if topic not in self._named:
            self._known.pop(topic, None)

    def listen(self, changed: Changed) -> None:
        """`changed` is called with each topic that became known or changed from now on."""
        self._listeners.append(changed)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                cursor, change = self._store.cursor_now(), self._store.durable_change
                await self._read_all()
                await self._follow(cursor, change)
            except MeshboxError:
                # Whoever uses the store tells of its trouble; afterwards all is looked at again.
                await asyncio.sleep(_PAUSE_S)

    async def _read_all(self) -> None:
        after: LogKey | None = None
        while page := await self._store.all_logs(after, logs_max=_LOGS_A_PAGE):
            self._note(page.values())
            after = next(reversed(page))
            await asyncio.sleep(0)

    async def _follow(self, cursor: bytes, change: int) -> None:
        """Until the store was opened anew, and honours the cursor no more."""
        while True:
            change = await self._store.wait_beyond(change)
            more = True
            while more:
                if not self._store.honours(cursor):
                    return
                page = await self._store.feed(cursor, logs_max=_LOGS_A_PAGE)
                cursor, more = page.cursor, page.more
                self._note(page.records)

    def _note(self, records: Iterable[LogRecord]) -> None:
        for topic in dict.fromkeys(
            record.log.topic for record in records if record.log.namespace is Namespace.LOGS
        ):
            if not (is_app_name(topic) and self._carried.carries(topic)):
                continue
            self._known.pop(topic, None)
            if len(self._known) >= BRIDGED_TOPICS_MAX:
                self.forget(next(known for known in self._known if known not in self._named))
            self._known[topic] = None
            for changed in self._listeners:
                changed(topic)
