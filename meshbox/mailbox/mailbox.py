"""`Mailbox`: what a mailbox does for its clients, over a store.

Composes the parts beside it: `deposit` (what may come in), `fetch_plan` (what goes out),
`arrivals` (who waits for something new), `messages` (the API without numbers). Knows neither HTTP
nor which engine stores.

Invariants: what `deposit` returned for is durable; nothing is answered that a power cut could take
back (both are the store's promises); a fetch that finds nothing new costs one look-up a topic.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from meshbox.core.filling import Filling
from meshbox.core.ids import (
    Author,
    LogId,
    Topic,
    node_id_of,
    parse_author,
    parse_topic,
)
from meshbox.core.limits import (
    BLOB_BYTES_MAX,
    FETCH_BYTES_MAX,
    WAIT_LOOK_MS,
)
from meshbox.mailbox.arrivals import Arrivals
from meshbox.mailbox.deposit import ClientBlob, ClientTag, check_counts, new_blobs
from meshbox.mailbox.messages import MessageBoard, MessagePage
from meshbox.mailbox.planner import FetchPlan, FetchPlanner, Heights
from meshbox.storage.interface import Deposit, MailboxStore, StoredBlob

Watermarks = dict[tuple[Topic, Author], int | None]


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
        self.planner = FetchPlanner(store, filling=filling)
        """Plans the answers that `read` gives."""
        self._tag = ClientTag(node_key=node_key, salt=tag_salt)
        self._board = MessageBoard(store, node_id=node_id_of(node_key))
        self._arrivals = Arrivals(store)

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

    async def wait_for_new(
        self, heights: Heights, *, seconds: float, left: asyncio.Future[None] | None = None
    ) -> None:
        """Returns as soon as a fetch at `heights` has blobs, `left` is done, or `seconds` passed.

        What is missing ends no wait: every answer tells it, and who holds it back from a mailbox
        would ask without end. Raises what `plan` raises, and `NodeBusy` when too many wait.
        """
        authors = [parse_author(name) for names in heights.values() for name in names]
        check_counts(topics=len(heights), logs=len(authors))
        if await self.planner.has_new(heights):
            return
        clock = asyncio.get_running_loop().time
        until = clock() + seconds
        topics = [parse_topic(name) for name in heights]
        with self._arrivals.awaiting(topics, names=len(topics) + len(authors)) as waiter:
            if left is not None:
                left.add_done_callback(lambda _: waiter.end())
            while not await self.planner.has_new(heights):
                seconds = min(until - clock(), WAIT_LOOK_MS / 1000)
                if seconds <= 0 or not await waiter.woken(seconds=seconds):
                    return

    def end_waits(self) -> None:
        """The node stops: nobody waits for something new any more."""
        self._arrivals.end_all()

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
