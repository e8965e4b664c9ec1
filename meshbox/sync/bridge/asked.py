"""The logs of one exchange: what is ours of each, what is remembered of the server's, what it said.

Notes are read only of logs to which they matter: of a log without holes the height is what is held
here, and an answer that brings and misses nothing teaches nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from meshbox.core.bridging import (
    UNKNOWN,
    Answer,
    Exchange,
    FarLog,
    exchange,
    height_of,
    needs_memory,
)
from meshbox.core.errors import AnswerTooLarge
from meshbox.core.ids import LogId, Namespace, Topic
from meshbox.core.limits import BRIDGED_LOGS_MAX
from meshbox.core.ranges import EMPTY, SeqRanges
from meshbox.storage.interface import MailboxStore, Note
from meshbox.sync.bridge.memory import Memory
from meshbox.sync.bridge.passed import Passed
from meshbox.wire.json_logs import HeightTree


@dataclass(slots=True)
class AskedLog:
    """One log; what is ours as it was when it was asked about."""

    seen: SeqRanges = EMPTY
    held: SeqRanges = EMPTY
    far: FarLog = UNKNOWN
    remembered: FarLog | None = None
    """As the notes have it; None while they were not looked at."""
    height: int | None = None
    got: SeqRanges = EMPTY


class Asked:
    """The logs of some topics. Used for one exchange."""

    def __init__(self, store: MailboxStore, memory: Memory) -> None:
        self._store = store
        self._memory = memory
        self._logs: dict[LogId, AskedLog] = {}
        self._tree: HeightTree = {}
        self.empty: frozenset[Topic] = frozenset()
        """The topics of which nothing is known here."""

    async def heights(self, topics: Collection[Topic], passed: Passed) -> HeightTree:
        """Looks at what is ours of `topics`; what to ask with.

        `AnswerTooLarge` when they have more logs than one request may name.
        """
        for topic in topics:
            for record in await self._store.topic(Namespace.LOGS, topic):
                self._logs[record.log] = AskedLog(record.seen, record.held)
        await self._recall(log for log, asked in self._logs.items() if needs_memory(asked.seen))
        if len(self._logs) > BRIDGED_LOGS_MAX:
            raise AnswerTooLarge(f"there are {len(self._logs)} logs to ask about")
        self.empty = frozenset(topics).difference(log.topic for log in self._logs)
        now_ms = self._store.now_ms()
        tree = self._tree = {topic: dict(passed.of(topic, now_ms=now_ms)) for topic in topics}
        for log, asked in self._logs.items():
            heights = tree[log.topic]
            asked.height = height_of(asked.seen, asked.far, passed=heights.pop(log.author, None))
            if asked.height is not None:
                heights[log.author] = asked.height
        return tree

    def log(self, log: LogId) -> AskedLog:
        """A log, made known when it is new."""
        asked = self._logs.get(log)
        if asked is None:
            asked = self._logs[log] = AskedLog(height=self._tree[log.topic].get(log.author))
        return asked

    async def learn(
        self, missing: dict[LogId, SeqRanges], *, is_whole: bool
    ) -> Iterator[tuple[LogId, Exchange]]:
        """Takes in what was said; of each log that anything was said of, what follows from it."""
        for log in missing:  # One of which nothing could be kept is new here.
            self.log(log)
        told = [
            log for log, asked in self._logs.items() if asked.remembered is not None or asked.got
        ]
        told = list(dict.fromkeys((*told, *missing)))
        await self._recall(told)
        return self._follow(told, missing, is_whole=is_whole)

    def brought(self, known: dict[LogId, FarLog]) -> list[Note]:
        """Takes in what was brought; the notes of it."""
        for log, far in known.items():
            self._logs[log].far = self._logs[log].remembered = far
        return self._memory.notes(known)

    def news(self) -> list[Note]:
        """The notes of what was learnt and is not noted yet."""
        return self.brought(
            {
                log: asked.far
                for log, asked in self._logs.items()
                if asked.remembered is not None and asked.far != asked.remembered
            }
        )

    async def _recall(self, logs: Iterable[LogId]) -> None:
        fresh = [log for log in logs if self._logs[log].remembered is None]
        for log, far in (await self._memory.of(fresh)).items():
            self._logs[log].far = self._logs[log].remembered = far

    def _follow(
        self, told: Sequence[LogId], missing: dict[LogId, SeqRanges], *, is_whole: bool
    ) -> Iterator[tuple[LogId, Exchange]]:
        for log in told:
            asked = self._logs[log]
            answer = Answer(asked.height, asked.got, missing.get(log, EMPTY), is_whole)
            follows = exchange(seen=asked.seen, held=asked.held, far=asked.far, answer=answer)
            asked.far = follows.far
            yield log, follows
