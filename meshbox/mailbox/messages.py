"""The oldest API's messages, which have no author and no number (design.md 4.10).

This node appends them to logs of its own in a namespace apart: the author is its node id and what
the store calls who writes to it, so that no two openings or processes of a store, and no two nodes,
ever write to one log, and sync carries them like any other. What is fetched of a topic is gathered
from the logs of all nodes, oldest first, each content once.

A log's first number is the milliseconds that this opening is old: one that was forgotten
(design.md 4.7) never begins with numbers that it had, which others may remember as expired.

The API has no pages: a topic with more than a page is answered with its newest messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from meshbox.core.ids import (
    Author,
    BlobClass,
    LogId,
    Namespace,
    NodeId,
    Origin,
    Topic,
    parse_topic,
)
from meshbox.core.inventory import LogRecord, Run
from meshbox.core.limits import (
    FETCH_BLOBS_MAX,
    MESSAGES_SIFTED_MAX,
    MESSAGES_TOPICS_KEPT,
)
from meshbox.core.ranges import SeqRanges
from meshbox.mailbox.deposit import check_size
from meshbox.storage.interface import Deposit, MailboxStore, NewBlob, Outcome, StoredBlob


class _Tail:
    """The end of this node's log of a topic."""

    __slots__ = ("appending", "next_seq")

    def __init__(self) -> None:
        self.next_seq: int | None = None
        self.appending = 0


class MessagePage(NamedTuple):
    """What to read for an answer."""

    chosen: Mapping[str, Sequence[StoredBlob]]
    """Headers by topic, oldest first."""
    bytes_bound: int


class MessageBoard:
    """Appends and gathers messages. One owner and one event loop, like its store."""

    def __init__(self, store: MailboxStore, *, node_id: NodeId) -> None:
        self._store = store
        self._node_id = node_id
        self._writer_id = store.writer_id
        self._opened_ms = store.now_ms()
        self._tails: dict[Topic, _Tail] = {}

    async def append(self, topic: str, data: bytes, *, origin: Origin) -> None:
        """Stores one message; `InvalidId`, `TooLarge`, or what the store raises."""
        check_size(len(data))
        log = LogId(Namespace.MESSAGES, parse_topic(topic), self._author())
        tail = self._tails.pop(log.topic, None) or _Tail()
        self._tails[log.topic] = tail
        tail.appending += 1
        try:
            while not await self._append_once(log, tail, data, origin):
                pass
        finally:
            tail.appending -= 1
            self._forget_oldest()

    async def choose(self, topics: Iterable[str], *, bytes_max: int) -> MessagePage:
        """Which messages an answer about `topics` has: of each topic the newest that fit.

        `bytes_max` is for all topics together; a topic that finds it used up has no messages. The
        first message comes whatever its size.
        """
        chosen: dict[str, list[StoredBlob]] = {}
        left = bytes_max
        for name in topics:
            if name not in chosen:
                blobs = chosen[name] = await self._newest(parse_topic(name), bytes_max=left)
                left = max(0, left - sum(blob.size_bytes for blob in blobs))
        size = sum(blob.size_bytes for blobs in chosen.values() for blob in blobs)
        return MessagePage(chosen, size)

    async def read(self, page: MessagePage) -> dict[str, list[bytes]]:
        """The messages of a page, oldest first; what expired since it was chosen is left out."""
        return {topic: await self._read(blobs) for topic, blobs in page.chosen.items()}

    def _author(self) -> Author:
        """Of this opening of the store: one that was opened again begins new logs."""
        if self._store.writer_id != self._writer_id:
            self._writer_id = self._store.writer_id
            self._opened_ms = self._store.now_ms()
            self._tails = {}
        return Author(f"{self._node_id}.{self._writer_id.hex()}")

    async def _take_seq(self, log: LogId, tail: _Tail) -> int:
        if tail.next_seq is None:
            (record,) = await self._store.logs([log])
            highest = record.seen.highest if record else None
            # Another append may have come first while this one waited.
            if tail.next_seq is None:
                first = self._store.now_ms() - self._opened_ms
                tail.next_seq = first if highest is None else highest + 1
        seq = tail.next_seq
        tail.next_seq = seq + 1
        return seq

    async def _append_once(self, log: LogId, tail: _Tail, data: bytes, origin: Origin) -> bool:
        """False when the number turned out to be taken."""
        seq = await self._take_seq(log, tail)
        blob = NewBlob(log, seq, BlobClass.OPAQUE, self._store.now_ms(), origin, data)
        try:
            (outcome,) = await self._store.commit(Deposit([blob]))
        except BaseException:
            # Refused appends must not leave holes: a log has only so many ranges.
            if tail.next_seq == seq + 1:
                tail.next_seq = seq
            raise
        return outcome in (Outcome.STORED, Outcome.KNOWN)

    def _forget_oldest(self) -> None:
        """A topic that is being appended to stays: two tails of it would take one number twice."""
        while len(self._tails) > MESSAGES_TOPICS_KEPT:
            oldest = next(iter(self._tails))
            if self._tails[oldest].appending:
                return
            del self._tails[oldest]

    async def _newest(self, topic: Topic, *, bytes_max: int) -> list[StoredBlob]:
        """Headers of the newest messages that fit, oldest first, each content once."""
        if bytes_max <= 0:
            return []
        records = await self._store.topic(Namespace.MESSAGES, topic)
        sifted = newest_of(records, blobs_max=MESSAGES_SIFTED_MAX)
        if not sifted:
            return []
        page = await self._store.read(
            sifted, blobs_max=MESSAGES_SIFTED_MAX, bytes_max=bytes_max, whole_bytes_max=0
        )
        first_copies: dict[bytes, StoredBlob] = {}
        for blob in sorted(page.blobs, key=_age_order):
            first_copies.setdefault(blob.content_hash, blob)
        chosen: list[StoredBlob] = []
        for blob in reversed(first_copies.values()):
            bytes_max -= blob.size_bytes
            if chosen and (bytes_max < 0 or len(chosen) == FETCH_BLOBS_MAX):
                break
            chosen.append(blob)
        return chosen[::-1]

    async def _read(self, chosen: Sequence[StoredBlob]) -> list[bytes]:
        if not chosen:
            return []
        size = sum(blob.size_bytes for blob in chosen)
        page = await self._store.read(
            [(blob.log, SeqRanges.single(blob.seq)) for blob in chosen],
            blobs_max=len(chosen),
            bytes_max=size,
            whole_bytes_max=max(blob.size_bytes for blob in chosen),
        )
        return [blob.data for blob in page.blobs if blob.data is not None]


def newest_of(records: Iterable[LogRecord], *, blobs_max: int) -> list[tuple[LogId, SeqRanges]]:
    """The numbers of about the newest `blobs_max` blobs of all `records`.

    Exact to the bucket: of the oldest bucket that is reached, each run gives as many.
    """
    buckets: dict[int, list[tuple[LogId, Run]]] = {}
    for record in records:
        for run in record.runs:
            buckets.setdefault(run.bucket, []).append((record.log, run))
    chosen: list[tuple[LogId, SeqRanges]] = []
    for _, runs in sorted(buckets.items(), reverse=True):
        if blobs_max <= 0:
            break
        fits = sum(run.end - run.first for _, run in runs) <= blobs_max
        share = blobs_max if fits else max(1, blobs_max // len(runs))
        for log, run in runs[:blobs_max]:
            first = max(run.first, run.end - share)
            chosen.append((log, SeqRanges.of(first, run.end)))
            blobs_max -= run.end - first
    return chosen


def _age_order(blob: StoredBlob) -> tuple[int, str, int]:
    return blob.stamp_ms - blob.earlier_ms, blob.log.author, blob.seq
