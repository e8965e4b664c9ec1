"""When each topic is asked about, and by which of the nodes that share a server. Pure; time in.

    taken      its turn came: it is being asked about
    done       it was: its next turn is after `poll_ms`
    returned   it was not, or in vain: its next turn is said

What changed here is asked about at once, as is what a server has just begun to be asked about; but
of several nodes that share the server all but one wait first (core/way_out.py), a rank a topic,
since a server is asked about whole topics. What is left alone for long is so whatever changes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from meshbox.core.ids import Author, LogId, LogKey, Namespace, Topic
from meshbox.core.way_out import WayOut
from meshbox.sync.bridge.turns import Turns

POLL_MS: Final = 2_000
"""Milliseconds after which a topic is asked about again: as the apps of today do."""
POLL_MS_MAX: Final = 10_000
"""The same of a topic that is quiet for long: as the apps do with few means."""
QUIET_SHARE: Final = 60
"""A topic is asked about each time that it was quiet for one part of so many longer: every 2 s for
two minutes, every 10 s after ten."""


def poll_ms(*, quiet_ms: int) -> int:
    """Milliseconds until a topic that was quiet for `quiet_ms` is asked about again."""
    return min(max(POLL_MS, quiet_ms // QUIET_SHARE), POLL_MS_MAX)


class Schedule:
    """The topics of one server."""

    def __init__(self, way: WayOut) -> None:
        self._way = way
        self._turns = Turns()
        self._changed: dict[Topic, int] = {}
        """Since when what changed waits to be brought."""
        self._asking: dict[Topic, int | None] = {}
        """The same of those being asked about; None: nothing waits."""
        self._news_ms: dict[Topic, int] = {}
        self._aside: dict[Topic, int] = {}
        self._began_ms = 0
        self.typical_ms = 0.0
        """What an answer took just now."""

    def known(self, topic: Topic, *, now_ms: int) -> None:
        """A topic to be asked about."""
        self._turns.hasten(topic, now_ms)

    def began(self, *, now_ms: int) -> None:
        """The server is there."""
        self._began_ms = now_ms

    def changed(self, topic: Topic, *, now_ms: int) -> None:
        """Something of a topic is new here."""
        self._news_ms[topic] = now_ms
        since_ms = self._changed.setdefault(topic, now_ms)
        due_ms = self._due_ms(topic, since_ms, now_ms)
        self._turns.hasten(topic, max(due_ms, self._aside.get(topic, due_ms)))

    def next_ms(self) -> int | None:
        """When the next turn is; None when there is none."""
        return self._turns.next_ms()

    def take(self, count_max: int, *, now_ms: int) -> list[Topic]:
        """The topics whose turn it is by now, at most `count_max`."""
        topics: list[Topic] = []
        while len(topics) < count_max:
            topic = self._turns.take(now_ms=now_ms)
            if topic is None:
                break
            begins_ms = self._due_ms(topic, self._began_ms, now_ms)
            if begins_ms > now_ms:  # Others ask first for what all of them lack.
                self._turns.hasten(topic, begins_ms)
                continue
            self._asking[topic] = self._changed.pop(topic, None)
            self._aside.pop(topic, None)
            topics.append(topic)
        return topics

    def may_bring(self, topic: Topic, *, now_ms: int) -> bool:
        """Whether it is this node that brings what is missing of a topic being asked about."""
        since_ms = self._asking.get(topic)
        since_ms = self._began_ms if since_ms is None else since_ms
        return now_ms >= self._due_ms(topic, since_ms, now_ms)

    def done(
        self,
        topics: Iterable[Topic],
        *,
        brought: Collection[Topic],
        again: Collection[Topic],
        gone: Collection[Topic],
        now_ms: int,
    ) -> None:
        """They were asked about; of some something was `brought`, of some there is more at once,
        and those `gone` are not to be asked about until they change."""
        for topic in topics:
            may_bring = self.may_bring(topic, now_ms=now_ms)
            since_ms = self._asking.pop(topic)
            if since_ms is not None and may_bring:
                happened = self._way.acting if topic in brought else self._way.shown
                happened(_key(topic), now_ms=now_ms)
            elif since_ms is not None:
                self._waits_on(topic, since_ms, now_ms)
            if topic in gone:
                self._news_ms.pop(topic, None)
                continue
            quiet_ms = now_ms - self._news_ms.get(topic, self._began_ms)
            next_ms = self._due_ms(topic, now_ms + poll_ms(quiet_ms=quiet_ms), now_ms)
            self._turns.hasten(topic, now_ms if topic in again else next_ms)

    def returned(
        self, topics: Iterable[Topic], *, after_ms: int, now_ms: int, aside: bool = False
    ) -> None:
        """They are to be asked about after `after_ms`, with `aside` not earlier on any account."""
        for topic in topics:
            since_ms = self._asking.pop(topic)
            if since_ms is not None:
                self._changed[topic] = since_ms
            if aside:
                self._aside[topic] = now_ms + after_ms
            self._turns.hasten(topic, now_ms + after_ms)

    def _waits_on(self, topic: Topic, since_ms: int, now_ms: int) -> None:
        self._changed[topic] = since_ms
        self._turns.hasten(topic, self._due_ms(topic, since_ms, now_ms))

    def _due_ms(self, topic: Topic, since_ms: int, now_ms: int) -> int:
        """When this node acts for what it has known of since `since_ms`."""
        return self._way.due_ms(
            _key(topic), since_ms=since_ms, now_ms=now_ms, typical_ms=self.typical_ms
        )


def _key(topic: Topic) -> LogKey:
    """What the nodes that share the server are ranked by."""
    return LogId(Namespace.LOGS, topic, Author("")).key
