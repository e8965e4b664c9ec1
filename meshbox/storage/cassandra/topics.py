"""Which logs a topic has, as a process remembers it: read once, and anew when it got another."""

from __future__ import annotations

from typing import Final, NamedTuple

from meshbox.core.bounded_cache import BoundedCache
from meshbox.core.ids import LogId, LogKey, Namespace, Topic
from meshbox.storage.cassandra.listing import Listing, owner_of

_COUNT_MAX: Final = 65_536
_WEIGHT_MAX: Final = 32 * 1024 * 1024
_LOG_BYTES: Final = 120

_Name = tuple[Namespace, Topic]


class _TopicLogs(NamedTuple):
    """The logs of a topic in the order of their authors, and when reading them began."""

    keys: tuple[LogKey, ...]
    known: frozenset[LogKey]
    read_ms: int


class Topics:
    """The topics that were asked for."""

    def __init__(self, listing: Listing) -> None:
        self._listing = listing
        self._topics = _no_topics()
        self._stale: dict[_Name, int] = {}
        self._own_logs = 0
        """How many new ones this process wrote: what was read meanwhile may lack them."""

    async def keys(self, namespace: Namespace, topic: Topic, *, now_ms: int) -> tuple[LogKey, ...]:
        """The keys of a topic's logs, ordered by author (UTF-8 bytes)."""
        name = (namespace, topic)
        logs = self._topics.get(name)
        until_ms = self._stale.get(name)
        if logs is not None and until_ms is not None:
            if logs.read_ms >= until_ms:
                del self._stale[name]
            else:
                logs = None
        if logs is None:
            own_logs = self._own_logs
            found = [log async for log in self._listing.logs(owner_of(namespace, topic))]
            found.sort(key=lambda log: log.author.encode())
            keys = tuple(log.key for log in found)
            logs = _TopicLogs(keys, frozenset(keys), now_ms)
            if own_logs == self._own_logs:
                self._topics.put(name, logs, weight=400 + _LOG_BYTES * len(keys))
        return logs.keys

    def forget_all(self) -> None:
        """What was read is another table's."""
        self._topics = _no_topics()

    def note_own(self, log: LogId, key: LogKey) -> None:
        """This process wrote of a log that was new to it."""
        self._own_logs += 1
        name = (log.namespace, log.topic)
        logs = self._topics.get(name)
        if logs is not None and key not in logs.known:
            self._topics.discard(name)

    def note_changed(self, log: LogId, key: LogKey, *, until_ms: int) -> None:
        """A log changed; if it is new, what is read before `until_ms` may lack it."""
        name = (log.namespace, log.topic)
        logs = self._topics.get(name)
        if logs is not None and key not in logs.known:
            self._stale[name] = max(self._stale.get(name, 0), until_ms)


def _no_topics() -> BoundedCache[_Name, _TopicLogs]:
    return BoundedCache(count_max=_COUNT_MAX, weight_max=_WEIGHT_MAX)
