"""Plans what a client gets of the topics that it asks for, before any blob is read.

What is new in one log is told by `fetch_plan`; here are the topics and logs of a request, planned
in turns of the loop, and whether the same request is answered the same as before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from meshbox.core.filling import Filling
from meshbox.core.ids import LogId, Namespace, Topic, parse_author, parse_topic
from meshbox.core.inventory import LogRecord
from meshbox.core.limits import (
    FETCH_BLOBS_MAX,
    FETCH_BYTES_MAX,
    IDLE_POLL_LOGS_MAX,
    MISSING_MAX,
    MISSING_TOTAL_MAX,
)
from meshbox.core.ranges import SeqRanges
from meshbox.mailbox.deposit import check_counts
from meshbox.mailbox.fetch_plan import (
    NewInLog,
    Page,
    has_nothing_above,
    has_seen_all,
    missing_of,
    new_in,
    page_of,
    share_out,
)
from meshbox.storage.interface import MailboxStore

T = TypeVar("T")

Heights = Mapping[str, Mapping[str, int]]
"""topic → author → the highest seq that the client holds."""

MISSING_BYTES = 40
"""Bytes of one listed number: an integer of Python and its place in a list."""

LOGS_A_TURN = 2_000
"""Logs planned before others get a turn of the loop: about 5 ms."""


class TopicRecords(NamedTuple):
    """The logs of a topic as they were when an answer was planned."""

    namespace: Namespace
    topic: Topic
    records: tuple[LogRecord, ...]


class FetchPlan(NamedTuple):
    """An answer before its blobs are read."""

    topics: Collection[str]
    page: Page
    missing: Mapping[LogId, Sequence[int]]
    basis: tuple[TopicRecords, ...] | None
    """What the same request is answered the same by, as long as it is current; None when there is
    something new, or too much to compare."""

    @property
    def bytes_bound(self) -> int:
        """The answer will not take more bytes, as values in memory."""
        return self.page.bytes_bound + sum(map(len, self.missing.values())) * MISSING_BYTES


class FetchPlanner:
    """Plans answers from what a store has; `filling` says what is to wait."""

    def __init__(self, store: MailboxStore, *, filling: Filling) -> None:
        self._store = store
        self._filling = filling
        self._turn = 0

    async def plan(
        self,
        heights: Heights,
        *,
        namespace: Namespace = Namespace.LOGS,
        blobs_max: int = FETCH_BLOBS_MAX,
        bytes_max: int = FETCH_BYTES_MAX,
    ) -> FetchPlan:
        """What an answer to `heights` will have; reads no blob. Raises `InvalidId`, `TooLarge`.

        Of an author in `heights`: what is above its height, and what is missing up to it. Of an
        author that is not: the whole log. A page has at most `blobs_max` blobs and `bytes_max`
        bytes, but at least one blob.
        """
        check_counts(topics=len(heights), logs=sum(map(len, heights.values())))
        new: list[list[NewInLog]] = []
        basis: list[TopicRecords] = []
        missing: dict[LogId, SeqRanges] = {}
        pace = _Pace()
        for name, authors in heights.items():
            topic = parse_topic(name)
            records = await self._store.topic(namespace, topic)
            in_topic: list[NewInLog] = []
            for part in _parts(records):
                in_topic += self._new_in(part, authors)
                await pace.worked(len(part))
            new.append(in_topic)
            if not in_topic and _has_nothing_above(records, authors):
                basis.append(TopicRecords(namespace, topic, records))
            known: dict[str, LogRecord] = {record.log.author: record for record in records}
            for asked in _parts(tuple(authors.items())):
                missing.update(_missing_in(asked, known, namespace=namespace, topic=topic))
                await pace.worked(len(asked))
        page = page_of(new, blobs_max=blobs_max, bytes_max=bytes_max, turn=self._turn)
        self._turn += page.more
        listed = share_out(missing, log_max=MISSING_MAX, total_max=MISSING_TOTAL_MAX)
        logs = sum(len(settled.records) for settled in basis)
        is_idle = len(basis) == len(heights) and logs <= IDLE_POLL_LOGS_MAX
        return FetchPlan(heights.keys(), page, listed, tuple(basis) if is_idle else None)

    async def is_current(self, basis: Iterable[TopicRecords]) -> bool:
        """Whether the logs are still, durably, what an answer was planned from."""
        for namespace, topic, records in basis:
            if await self._store.topic(namespace, topic) != records:
                return False
        return True

    async def has_new(self, heights: Heights) -> bool:
        """Whether an answer to `heights` has blobs."""
        pace = _Pace()
        for name, authors in heights.items():
            for part in _parts(await self._store.topic(Namespace.LOGS, parse_topic(name))):
                if self._new_in(part, authors):
                    return True
                await pace.worked(len(part))
        return False

    def _new_in(self, records: Iterable[LogRecord], authors: Mapping[str, int]) -> list[NewInLog]:
        retention, now_ms = self._store.retention, self._store.now_ms()
        found: list[NewInLog] = []
        for record in records:
            height = authors.get(record.log.author)
            if has_nothing_above(record, height):
                continue
            new = new_in(record, height, filling=self._filling, retention=retention, now_ms=now_ms)
            if new is not None:
                found.append(new)
        return found


def _has_nothing_above(records: Sequence[LogRecord], authors: Mapping[str, int]) -> bool:
    """Nothing new may yet be something above: what is due, or just being filled."""
    return len(records) <= IDLE_POLL_LOGS_MAX and all(
        has_nothing_above(record, authors.get(record.log.author)) for record in records
    )


def _missing_in(
    asked: Iterable[tuple[str, int]],
    known: Mapping[str, LogRecord],
    *,
    namespace: Namespace,
    topic: Topic,
) -> dict[LogId, SeqRanges]:
    missing: dict[LogId, SeqRanges] = {}
    for name, height in asked:
        record = known.get(name)
        if record is not None and has_seen_all(record, height):
            continue
        author = parse_author(name)
        seqs = missing_of(record, height)
        if seqs:
            missing[LogId(namespace, topic, author)] = seqs
    return missing


class _Pace:
    """Lets others run after every `LOGS_A_TURN` logs."""

    __slots__ = ("_logs",)

    def __init__(self) -> None:
        self._logs = 0

    async def worked(self, logs: int) -> None:
        """`logs` more are done; a topic without any counts as one."""
        self._logs += logs or 1
        if self._logs >= LOGS_A_TURN:
            self._logs = 0
            await asyncio.sleep(0)


def _parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """`items` in parts of one turn; at least one part, so that each topic is counted."""
    if len(items) <= LOGS_A_TURN:
        yield items
        return
    for start in range(0, len(items), LOGS_A_TURN):
        yield items[start : start + LOGS_A_TURN]
