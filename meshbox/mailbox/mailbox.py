"""`Mailbox`: what a mailbox does for its clients, over a store.

Composes the parts beside it: `deposit` (what may come in), `fetch_plan` (what goes out),
`arrivals` (who waits for something new), `messages` (the API without numbers). Knows neither HTTP
nor which engine stores.

Invariants: what `deposit` returned for is durable; nothing is answered that a power cut could take
back (both are the store's promises); a fetch that finds nothing new costs one look-up a topic.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from meshbox.core.filling import Filling
from meshbox.core.ids import (
    Author,
    LogId,
    Namespace,
    Topic,
    node_id_of,
    parse_author,
    parse_topic,
)
from meshbox.core.inventory import LogRecord
from meshbox.core.limits import (
    BLOB_BYTES_MAX,
    FETCH_BLOBS_MAX,
    FETCH_BYTES_MAX,
    IDLE_POLL_LOGS_MAX,
    MISSING_MAX,
    MISSING_TOTAL_MAX,
    WAIT_LOOK_MS,
)
from meshbox.core.ranges import SeqRanges
from meshbox.mailbox import sweeping
from meshbox.mailbox.arrivals import Arrivals
from meshbox.mailbox.deposit import ClientBlob, ClientTag, check_counts, new_blobs
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
from meshbox.mailbox.messages import MessageBoard, MessagePage
from meshbox.mailbox.sweeping import Swept
from meshbox.storage.interface import Deposit, MailboxStore, Statistics, StoredBlob

T = TypeVar("T")

Heights = Mapping[str, Mapping[str, int]]
"""topic → author → the highest seq that the client holds."""

Watermarks = dict[tuple[Topic, Author], int | None]

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


class FetchAnswer(NamedTuple):
    """What a client gets of the topics that it asked for."""

    topics: Collection[str]
    """As asked, each once."""
    blobs: Sequence[StoredBlob]
    """Ascending within a log; with their data."""
    missing: Mapping[LogId, Sequence[int]]
    """Ascending; only logs that miss something."""
    more: bool
    """There is more already: ask again with the new heights."""


class Mailbox:
    """Takes and hands out blobs. One owner and one event loop, like its store."""

    def __init__(
        self, store: MailboxStore, *, node_key: bytes, tag_salt: bytes, filling: Filling
    ) -> None:
        """`node_key`: the 32 raw bytes of this node's id; `tag_salt`: a secret, 1 … 64 bytes."""
        self._store = store
        self._filling = filling
        self._tag = ClientTag(node_key=node_key, salt=tag_salt)
        self._board = MessageBoard(store, node_id=node_id_of(node_key))
        self._arrivals = Arrivals(store)
        self._turn = 0

    @property
    def waiters(self) -> int:
        """How many wait for something new."""
        return len(self._arrivals)

    async def deposit(self, blobs: Sequence[ClientBlob], *, client: str) -> Watermarks:
        """Stores all of `blobs` or none; the watermark of each of their logs afterwards.

        `client` is the address they came from. Raises `InvalidId`, `InvalidSeq`, `TooLarge`,
        `TooManyRanges`, or what the store raises; then nothing was stored.
        """
        stored, logs = new_blobs(
            blobs, origin=self._tag.origin(client), stamp_ms=self._store.now_ms()
        )
        check_counts(topics=len({log.topic for log in logs}), logs=len(logs), blobs=len(stored))
        if not stored:
            return {}
        await self._store.commit(Deposit(stored))
        records = await self._store.logs(logs)
        return {
            (log.topic, log.author): record.watermark if record else None
            for log, record in zip(logs, records, strict=True)
        }

    async def fetch(
        self,
        heights: Heights,
        *,
        namespace: Namespace = Namespace.LOGS,
        blobs_max: int = FETCH_BLOBS_MAX,
        bytes_max: int = FETCH_BYTES_MAX,
    ) -> FetchAnswer:
        """A page of what is new to a client at `heights`; see `plan` and `read`."""
        plan = await self.plan(
            heights, namespace=namespace, blobs_max=blobs_max, bytes_max=bytes_max
        )
        return await self.read(plan)

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
            # Nothing new may yet be something above: what is due, or just being filled.
            if (
                not in_topic
                and len(records) <= IDLE_POLL_LOGS_MAX
                and all(
                    has_nothing_above(record, authors.get(record.log.author)) for record in records
                )
            ):
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

    async def wait_for_new(
        self, heights: Heights, *, seconds: float, left: asyncio.Future[None] | None = None
    ) -> None:
        """Returns as soon as a fetch at `heights` has blobs, `left` is done, or `seconds` passed.

        What is missing ends no wait: every answer tells it, and who holds it back from a mailbox
        would ask without end. Raises what `plan` raises, and `NodeBusy` when too many wait.
        """
        authors = [parse_author(name) for names in heights.values() for name in names]
        check_counts(topics=len(heights), logs=len(authors))
        if await self._has_new(heights):
            return
        clock = asyncio.get_running_loop().time
        until = clock() + seconds
        topics = [parse_topic(name) for name in heights]
        with self._arrivals.awaiting(topics, names=len(topics) + len(authors)) as waiter:
            if left is not None:
                left.add_done_callback(lambda _: waiter.end())
            while not await self._has_new(heights):
                seconds = min(until - clock(), WAIT_LOOK_MS / 1000)
                if seconds <= 0 or not await waiter.woken(seconds=seconds):
                    return

    def end_waits(self) -> None:
        """The node stops: nobody waits for something new any more."""
        self._arrivals.end_all()

    async def _has_new(self, heights: Heights) -> bool:
        pace = _Pace()
        for name, authors in heights.items():
            for part in _parts(await self._store.topic(Namespace.LOGS, parse_topic(name))):
                if self._new_in(part, authors):
                    return True
                await pace.worked(len(part))
        return False

    async def read(self, plan: FetchPlan) -> FetchAnswer:
        """The answer that was planned; blobs that expired since are left out."""
        if not plan.page.wanted:
            return FetchAnswer(plan.topics, (), plan.missing, more=False)
        page = await self._store.read(
            plan.page.wanted,
            blobs_max=sum(seqs.count for _, seqs in plan.page.wanted),
            bytes_max=plan.page.bytes_max,
            whole_bytes_max=BLOB_BYTES_MAX,
        )
        return FetchAnswer(plan.topics, page.blobs, plan.missing, plan.page.more or page.more)

    async def deposit_message(self, topic: str, data: bytes, *, client: str) -> None:
        """Stores one unsequenced message; `InvalidId`, `TooLarge`, or what the store raises."""
        await self._board.append(topic, data, origin=self._tag.origin(client))

    async def plan_messages(
        self, topics: Sequence[str], *, bytes_max: int = FETCH_BYTES_MAX
    ) -> MessagePage:
        """Which messages an answer about `topics` will have. Raises `InvalidId`, `TooLarge`."""
        check_counts(topics=len(topics), logs=0)
        return await self._board.choose(topics, bytes_max=bytes_max)

    async def read_messages(self, page: MessagePage) -> dict[str, list[bytes]]:
        """The messages that were planned, by topic, oldest first."""
        return await self._board.read(page)

    async def statistics(self) -> Statistics:
        """What the store holds, as of now."""
        return await self._store.statistics()

    async def sweep(self) -> Swept:
        """Frees everything that is due."""
        return await sweeping.sweep(self._store)

    async def run_sweeper(self, *, interval_ms: int = sweeping.SWEEP_INTERVAL_MS) -> None:
        """Housekeeping until cancelled."""
        await sweeping.run_sweeper(self._store, interval_ms=interval_ms)

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
