"""What came and could not be kept: not asked for again, for a while.

A server has no other way of leaving a blob out than a height above it. So of a log that there is
no room for, or whose name none of ours may be, the highest number that came is named. All of it is
forgotten every `PASSED_MS`, or when there is too much: then it is tried once more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from meshbox.core.ids import Topic
from meshbox.core.limits import PASSED_LOGS_MAX

PASSED_MS: Final = 10 * 60_000
"""Milliseconds until what had no room is asked for again."""


class Passed:
    """topic → author, as the server calls it → the highest number that came in vain."""

    def __init__(self, *, now_ms: int) -> None:
        self._since_ms = now_ms
        self._logs: dict[Topic, dict[str, int]] = {}
        self._count = 0

    def note(self, topic: Topic, author: str, seq: int) -> None:
        """`seq` came and could not be kept."""
        of_topic = self._logs.setdefault(topic, {})
        self._count += author not in of_topic
        of_topic[author] = max(seq, of_topic.get(author, seq))

    def of(self, topic: Topic, *, now_ms: int) -> Mapping[str, int]:
        """The heights of a topic."""
        if now_ms - self._since_ms >= PASSED_MS or self._count > PASSED_LOGS_MAX:
            self._logs.clear()
            self._count, self._since_ms = 0, now_ms
        return self._logs.get(topic, {})
