"""Mailboxes that talk on one network in simulated time: ours, and the library's."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import defaultdict
from collections.abc import Callable
from typing import Protocol

from meshbox.discovery.swarm.cycle import Act, Cycle
from meshbox.discovery.swarm.members import Members

LATENCY_MS = 2.0


class Part(Protocol):
    """What `Cycle` and the library's sender have in common."""

    next_ms: float

    def question_heard(self, *, now_ms: float, chance: float, size: int) -> None: ...
    def answers_heard(self, count: int, *, now_ms: float, chance: float, size: int) -> None: ...
    def due(self, *, now_ms: float, chance: float, size: int) -> Act: ...


class LibraryPart:
    """swarm-discovery 0.6, src/sender.rs, in the interactive setting: tau 0.7 s, cutoff 2.

    A browser is one whose answers are not sent.
    """

    def __init__(self, *, now_ms: float, chance: float) -> None:
        self.extra_ms = 0.0
        self.has_responded = False
        self.heard = 0
        self._wait(now_ms, chance, size=1)

    def _wait(self, now_ms: float, chance: float, size: int) -> None:
        self.is_responding = False
        self.next_ms = now_ms + 700 + chance * 70 * size

    def _respond(self, now_ms: float, chance: float, size: int) -> None:
        self.is_responding = True
        if self.has_responded:
            self.extra_ms = 100.0 * min(size // 2, 10)
        else:
            self.extra_ms = max(0.0, self.extra_ms - 100)
        self.has_responded = False
        self.heard = 0
        self.next_ms = now_ms + chance * 100 * size / 2 + self.extra_ms

    def question_heard(self, *, now_ms: float, chance: float, size: int) -> None:
        if not self.is_responding:
            self._respond(now_ms, chance, size)

    def answers_heard(self, count: int, *, now_ms: float, chance: float, size: int) -> None:
        self.heard += count
        if self.is_responding and self.heard >= 2:
            self._wait(now_ms, chance, size)

    def due(self, *, now_ms: float, chance: float, size: int) -> Act:
        if self.is_responding:
            self.has_responded = True
            self._wait(now_ms, chance, size)
            return Act.ANSWER
        self._respond(now_ms, chance, size)
        return Act.ASK


class Conversation:
    """Runs parts against each other. `answers` is when each label answered."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._serial = itertools.count()
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._parts: dict[str, Part] = {}
        self._members: dict[str, Members] = {}
        self.now_ms = 1_000_000.0
        self.answers: defaultdict[str, list[float]] = defaultdict(list)
        self.questions: list[float] = []

    def ours(self, label: str, *, asks: bool = False) -> None:
        self._join(label, Cycle(now_ms=self.now_ms, chance=self._chance(), asks=asks))

    def librarys(self, label: str) -> None:
        self._join(label, LibraryPart(now_ms=self.now_ms, chance=self._chance()))

    def browser(self) -> None:
        """A phone: asks, and answers nothing, since it has no address."""
        self.librarys("")

    def forge(self, label: str) -> None:
        """Everybody hears an answer that nobody sent."""
        self._all_hear(label)

    def at(self, after_ms: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (self.now_ms + after_ms, next(self._serial), do))

    def run(self, seconds: float) -> None:
        end_ms = self.now_ms + seconds * 1_000
        while True:
            label = min(self._parts, key=lambda label: self._parts[label].next_ms)
            next_ms = self._parts[label].next_ms
            at_ms = self._queue[0][0] if self._queue else math.inf
            if min(next_ms, at_ms) > end_ms:
                self.now_ms = end_ms
                return
            if at_ms <= next_ms:
                self.now_ms, _, do = heapq.heappop(self._queue)
                do()
            else:
                self.now_ms = max(self.now_ms, next_ms)
                self._act(label)

    def longest_silence_ms(self, label: str, *, since_ms: float) -> float:
        times = [since_ms, *(at for at in self.answers[label] if at >= since_ms), self.now_ms]
        return max(later - earlier for earlier, later in itertools.pairwise(times))

    def _join(self, label: str, part: Part) -> None:
        self._parts[label] = part
        self._members[label] = Members()

    def _act(self, label: str) -> None:
        act = self._parts[label].due(
            now_ms=self.now_ms, chance=self._chance(), size=self._size(label)
        )
        if act is Act.ASK:
            self.questions.append(self.now_ms)
            for other in self._parts:
                self.at(LATENCY_MS, lambda other=other: self._hear_question(other))  # type: ignore[misc]
        elif act is Act.ANSWER and label:
            self.answers[label].append(self.now_ms)
            self.at(LATENCY_MS, lambda: self._all_hear(label))

    def _all_hear(self, label: str) -> None:
        for hearer, part in self._parts.items():
            self._members[hearer].heard(label, now_ms=self.now_ms)
            # The library counts its own echo too, but by then its cycle is over.
            if hearer != label:
                part.answers_heard(
                    1, now_ms=self.now_ms, chance=self._chance(), size=self._size(hearer)
                )

    def _hear_question(self, label: str) -> None:
        self._parts[label].question_heard(
            now_ms=self.now_ms, chance=self._chance(), size=self._size(label)
        )

    def _size(self, label: str) -> int:
        self._members[label].take_lapsed(now_ms=self.now_ms)
        return self._members[label].size

    def _chance(self) -> float:
        return self._random.random()
