"""Which logs there are: of a topic, and all; a tree of partitions, none of which outgrows a server.

A list is a tree over the half bytes of the logs' keys. A log is put into the first partition on
its path that is not full; a full one is marked `deeper` and keeps what it has. So a small list is
one partition, read by one statement, and one of millions is as many as it takes.

Invariant: a partition has `FULL_LOGS` logs, and as many more as processes put in between two
counts (each counts once in `COUNT_EVERY`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from meshbox.core.ids import Author, LogId, LogKey, Namespace, Topic
from meshbox.storage.cassandra.connection import Connection
from meshbox.storage.cassandra.lives import SEEN_S
from meshbox.storage.cassandra.statements import Statements

FULL_LOGS: Final = 4_096
"""Logs after which a partition is full: about 1 MB."""
COUNT_EVERY: Final = 128
"""Logs that a process puts into a partition until it counts."""
_REMEMBERED_MAX: Final = 65_536

ALL: Final = b""
"""The list of all logs."""


def owner_of(namespace: Namespace, topic: Topic) -> bytes:
    """The list of a topic's logs."""
    return b"%c%b" % (namespace, topic.encode())


class Listing:
    """Puts logs into lists, and reads these."""

    def __init__(self, connection: Connection, statements: Statements) -> None:
        self._connection = connection
        self._statements = statements
        self._full: set[tuple[bytes, bytes]] = set()
        self._put: dict[tuple[bytes, bytes], int] = {}

    async def add(self, log: LogId, key: LogKey) -> None:
        """Puts a log into both of its lists; again does no harm."""
        owners = (ALL, owner_of(log.namespace, log.topic))
        await asyncio.gather(*(self._add(owner, log, key) for owner in owners))

    async def logs(self, owner: bytes, after: LogKey | None = None) -> AsyncIterator[LogId]:
        """The logs of a list in the order of their keys, after the key `after`; each once."""
        last = after
        async for key, log in self._under(owner, b"", {}, after or b""):
            if last is None or key > last:
                last = key
                yield log

    async def _add(self, owner: bytes, log: LogId, key: LogKey) -> None:
        path = b""
        while await self._is_full(owner, path):
            path = _nibbles(key)[: len(path) + 1]
        statements = self._statements
        await self._connection.execute(
            statements.write_listing, owner, path, key, log.namespace, log.topic, log.author, SEEN_S
        )
        await self._count(owner, path)

    async def _is_full(self, owner: bytes, path: bytes) -> bool:
        place = (owner, path)
        if place in self._full:
            return True
        if self._put.get(place, 0) % COUNT_EVERY:
            return False  # It was not when we last looked.
        rows = await self._connection.execute(self._statements.read_deeper, owner, path)
        is_full = bool(rows and rows[0][0])
        if is_full:
            self._forget_some()
            self._full.add(place)
        return is_full

    async def _count(self, owner: bytes, path: bytes) -> None:
        place = (owner, path)
        self._put[place] = self._put.get(place, 0) + 1
        if self._put[place] % COUNT_EVERY:
            return
        rows = await self._connection.execute(self._statements.count_listing, owner, path)
        if rows[0][0] >= FULL_LOGS:
            await self._connection.execute(self._statements.write_deeper, owner, path)

    def _forget_some(self) -> None:
        """Both are only there to spare statements."""
        if len(self._full) >= _REMEMBERED_MAX:
            self._full.clear()
        if len(self._put) >= _REMEMBERED_MAX:
            self._put.clear()

    async def _under(
        self, owner: bytes, path: bytes, inherited: dict[LogKey, LogId], after: bytes
    ) -> AsyncIterator[tuple[LogKey, LogId]]:
        """What is at `path` and below, with what partitions above have of it, by key."""
        here = dict(inherited)
        rows = await self._connection.execute(self._statements.read_listing, owner, path)
        is_full = False
        for key, namespace, topic, author, deeper in rows:
            is_full = bool(deeper)
            if key is not None:
                here[LogKey(key)] = LogId(Namespace(namespace), Topic(topic), Author(author))
        if not is_full:
            for key in sorted(here):
                yield key, here[key]
            return
        for nibble in range(16):
            below = path + bytes([nibble])
            if _nibbles(after)[: len(below)] > below:
                continue
            part = {key: log for key, log in here.items() if _nibbles(key).startswith(below)}
            async for found in self._under(owner, below, part, after):
                yield found


def _nibbles(key: bytes) -> bytes:
    return bytes(nibble for byte in key for nibble in (byte >> 4, byte & 15))
