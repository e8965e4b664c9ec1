"""One exchange with a mailbox server: it is asked, what came is kept, what it misses is brought.

What follows from an answer is decided in core/bridging.py. Invariants: what was asked for is kept,
in ascending order, and nothing else; nothing is remembered as brought before the server said that
it has it, nor as had before it is durable here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Final, NamedTuple

import msgspec

from meshbox.client.mailbox_server import MailboxServer
from meshbox.core.bridging import bridged
from meshbox.core.errors import BodyInvalid, BodyMalformed, InvalidId, ServerGarbled
from meshbox.core.ids import BlobClass, LogId, Namespace, Topic, is_app_name, parse_author
from meshbox.core.limits import BLOB_BYTES_MAX, COMMIT_BLOBS_MAX, COMMIT_BYTES_MAX
from meshbox.core.ranges import SeqRanges
from meshbox.storage.interface import Deposit, MailboxStore, NewBlob, Outcome
from meshbox.sync.bridge.asked import Asked
from meshbox.sync.bridge.bringing import bring
from meshbox.sync.bridge.memory import Memory
from meshbox.sync.bridge.passed import Passed
from meshbox.wire.json_base64 import decode_slices, decoded_bytes_max
from meshbox.wire.json_logs import BlobText, BlobTree, HeightTree
from meshbox.wire.json_server import Told, blobs_told, check_numbers

_NOT_KEPT: Final = frozenset({Outcome.NO_ROOM, Outcome.REFUSED})


class Exchanged(NamedTuple):
    """What one exchange did."""

    kept: int
    """Blobs that came and were new."""
    brought: int
    brought_of: frozenset[Topic]
    """The topics of these."""
    again: frozenset[Topic]
    """Of these there is more at once."""
    empty: frozenset[Topic]
    """Of these nothing was here."""


class Exchanging:
    """Exchanges with one server. One owner, one exchange at a time."""

    def __init__(self, store: MailboxStore, server: MailboxServer, memory: Memory) -> None:
        self._store = store
        self._server = server
        self._memory = memory
        self._origin = bridged(server.url)
        self._passed = Passed(now_ms=store.now_ms())

    async def exchange(
        self, topics: Collection[Topic], *, may_bring: Callable[[Topic], bool]
    ) -> Exchanged:
        """Asks about all of `topics`; brings what is missing of those that `may_bring` allows.

        Raises what the server is at fault for (see `MailboxServer`), and what the store raises.
        """
        asked = Asked(self._store, self._memory)
        heights = await asked.heights(topics, self._passed)
        asked_ms = self._store.now_ms()
        told = await self._server.get(heights)
        try:
            kept = await self._keep(told, heights, asked, asked_ms=asked_ms)
            missing = await asyncio.to_thread(_missing, told, heights)
        except (BodyInvalid, BodyMalformed) as error:
            raise ServerGarbled(f"its answer: {error.message}") from error
        wanted: dict[LogId, SeqRanges] = {}
        again = set(topics) if told.more else set()
        for log, follows in await asked.learn(missing, is_whole=not told.more):
            if follows.bring and is_app_name(log.author) and may_bring(log.topic):
                wanted[log] = follows.bring
            if follows.asks_again:
                again.add(log.topic)
        notes = asked.news()
        if notes:
            await self._store.commit(Deposit(notes=notes))
        brought = await bring(wanted, asked, store=self._store, server=self._server)
        return Exchanged(
            kept, sum(brought.values()), frozenset(brought), frozenset(again), asked.empty
        )

    async def _keep(self, told: Told, heights: HeightTree, asked: Asked, *, asked_ms: int) -> int:
        """Stores what came; how much of it was new."""
        kept = 0
        for topic in map(Topic, heights):
            if topic not in told.blobs:
                continue
            page: list[NewBlob] = []
            size_bytes = 0
            for text in await asyncio.to_thread(_ordered, told.blobs[topic]):
                blob = await self._wanted(text, heights, asked_ms=asked_ms)
                if blob is None:
                    continue
                page.append(blob)
                size_bytes += len(blob.data)
                if len(page) >= COMMIT_BLOBS_MAX or size_bytes >= COMMIT_BYTES_MAX:
                    kept += await self._commit(page, asked)
                    page, size_bytes = [], 0
            kept += await self._commit(page, asked)
        return kept

    async def _wanted(
        self, text: BlobText, heights: HeightTree, *, asked_ms: int
    ) -> NewBlob | None:
        """The blob, when it was asked for, may be kept, and no app stumbles over its name."""
        topic = Topic(text.topic)
        if text.seq <= heights[topic].get(text.author, -1):
            return None
        fits = decoded_bytes_max(text.text) <= BLOB_BYTES_MAX + 2
        if not (fits and is_app_name(text.author)):
            self._passed.note(topic, text.author, text.seq)
            return None
        try:
            log = LogId(Namespace.LOGS, topic, parse_author(text.author))
        except InvalidId:
            self._passed.note(topic, text.author, text.seq)
            return None
        data = await _decoded(text.text)
        return NewBlob(log, text.seq, BlobClass.OPAQUE, asked_ms, self._origin, data)

    async def _commit(self, page: list[NewBlob], asked: Asked) -> int:
        if not page:
            return 0
        outcomes = await self._store.commit(Deposit(page, whole=False))
        came: dict[LogId, list[tuple[int, int]]] = {}
        for blob, outcome in zip(page, outcomes, strict=True):
            came.setdefault(blob.log, []).append((blob.seq, blob.seq + 1))
            if outcome in _NOT_KEPT:
                self._passed.note(blob.log.topic, blob.log.author, blob.seq)
        for log, pairs in came.items():
            known = asked.log(log)
            known.got |= SeqRanges(pairs)
        return outcomes.count(Outcome.STORED)


async def _decoded(text: msgspec.Raw) -> bytes:
    """The bytes of a blob; others get their turn between the slices of a large one."""
    slices: list[bytes] = []
    for part in decode_slices(text):
        if slices:
            await asyncio.sleep(0)
        slices.append(part)
    return b"".join(slices)


def _ordered(tree: BlobTree) -> list[BlobText]:
    """All blobs of a topic, ascending within each log; of 10^5 it takes a quarter of a second."""
    return sorted(blobs_told(tree), key=_place)


def _place(text: BlobText) -> tuple[str, int]:
    return text.author, text.seq


def _missing(told: Told, heights: HeightTree) -> dict[LogId, SeqRanges]:
    """What is named as missing of what was asked; `BodyInvalid` for what are no numbers."""
    missing: dict[LogId, SeqRanges] = {}
    for topic, authors in heights.items():
        for author, numbers in told.missing.get(topic, {}).items():
            height = authors.get(author)
            check_numbers(numbers)
            try:
                log = LogId(Namespace.LOGS, Topic(topic), parse_author(author))
            except InvalidId:  # One that was named so that nothing of it comes.
                continue
            if height is None:
                continue
            seqs = SeqRanges((seq, seq + 1) for seq in numbers if seq <= height)
            if seqs:
                missing[log] = seqs
    return missing
