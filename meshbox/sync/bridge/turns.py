"""Which topics are to be asked about next. Pure; time comes in.

Invariant: each topic has one due time; the heap may hold others of it, which count for nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Final

from meshbox.core.ids import Topic

_STALE_MAX: Final = 64


class Turns:
    """Topics by when they are due."""

    def __init__(self) -> None:
        self._due_ms: dict[Topic, int] = {}
        self._heap: list[tuple[int, Topic]] = []

    def __len__(self) -> int:
        return len(self._due_ms)

    def hasten(self, topic: Topic, due_ms: int) -> None:
        """It is due at `due_ms`, unless it is earlier."""
        if due_ms >= self._due_ms.get(topic, due_ms + 1):
            return
        self._due_ms[topic] = due_ms
        heapq.heappush(self._heap, (due_ms, topic))
        if len(self._heap) > 2 * len(self._due_ms) + _STALE_MAX:
            self._heap = [(due, known) for known, due in self._due_ms.items()]
            heapq.heapify(self._heap)

    def next_ms(self) -> int | None:
        """When the first is due; None when there is none."""
        for due_ms, _ in self._valid():
            return due_ms
        return None

    def take(self, *, now_ms: int) -> Topic | None:
        """The first that is due, and has no due time from now on; None when none is."""
        for due_ms, topic in self._valid():
            if due_ms > now_ms:
                return None
            del self._due_ms[topic]
            return topic
        return None

    def _valid(self) -> Iterator[tuple[int, Topic]]:
        while self._heap:
            due_ms, topic = self._heap[0]
            if self._due_ms.get(topic) == due_ms:
                yield due_ms, topic
            heapq.heappop(self._heap)
