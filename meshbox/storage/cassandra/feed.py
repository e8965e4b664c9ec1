"""The feed: which log changed at which position, written by many and read from a cursor.

    feed_part   hour → parts         a process begins a part of its own each hour, and another one
                                     when it has `PART_ROWS_MAX` rows
    feed        hour, part → rows    in the order of their positions

So a partition has one writer and a bound, and what a process wrote shows in the order in which it
was written. Whoever follows the feed (`News`) reads each part of the others from where it stood.

A row tells of a change before that can be read, and is acknowledged only when it could be read in
half the lag. So what a cursor passes is older than the lag: everything up to there could be seen.

    cursor = settled, shown     `settled`: all up to there was shown when it was certain
                                `shown`: up to there pages of one reading got, in the lag

Rows in the lag are shown at once, and again at the next reading.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from meshbox.core.ids import Author, LogId, LogKey, Namespace, Topic
from meshbox.storage.cassandra.connection import Connection
from meshbox.storage.cassandra.lives import FEED_MS, FEED_S
from meshbox.storage.cassandra.positions import hour_of, ms_of, position_of
from meshbox.storage.cassandra.statements import Statements

PART_ROWS_MAX: Final = 50_000
"""Rows of a partition: far below 100,000, where expired rows make reads fail."""
_BATCH_ROWS_MAX: Final = 128
"""Rows of one batch: about 30 KB."""
_HOURS_AT_ONCE: Final = 24
READ_ROWS_MAX: Final = 1_024
"""Rows of a part that are read at once."""
_PARTS_BITS: Final = 63


class FeedRow(NamedTuple):
    """A log changed."""

    position: int
    key: LogKey
    log: LogId


class Part(NamedTuple):
    """One partition."""

    hour: int
    number: int


class FeedWriter:
    """Writes the rows of one process."""

    def __init__(self, connection: Connection, statements: Statements, *, writer: bytes) -> None:
        self._connection = connection
        self._statements = statements
        self._writer = writer
        self._part: Part | None = None
        self._rows = 0

    async def write(self, rows: Sequence[FeedRow]) -> None:
        """Writes rows of ascending positions, above all before."""
        for at in range(0, len(rows), _BATCH_ROWS_MAX):
            some = rows[at : at + _BATCH_ROWS_MAX]
            part = await self._part_for(hour_of(some[0].position), len(some))
            write = self._statements.write_feed
            await self._connection.batch(
                [
                    (
                        write,
                        (*part, position, key, int(log.namespace), log.topic, log.author, FEED_S),
                    )
                    for position, key, log in some
                ]
            )

    async def _part_for(self, hour: int, rows: int) -> Part:
        part = self._part
        self._rows += rows
        if part is None or part.hour != hour or self._rows > PART_ROWS_MAX:
            part = Part(hour, secrets.randbits(_PARTS_BITS))
            # Before it has rows: who reads a part without any harms nobody.
            await self._connection.execute(self._statements.write_part, *part, self._writer, FEED_S)
            self._part, self._rows = part, rows
        return part


class FeedReader:
    """Reads what all processes wrote."""

    def __init__(self, connection: Connection, statements: Statements) -> None:
        self._connection = connection
        self._statements = statements

    async def parts(self, hours: Iterable[int]) -> list[tuple[Part, bytes]]:
        """The parts of hours, by hour, each with the process that writes it."""
        asked = list(hours)
        found = await asyncio.gather(
            *(
                self._connection.execute(
                    self._statements.read_parts, asked[at : at + _HOURS_AT_ONCE]
                )
                for at in range(0, len(asked), _HOURS_AT_ONCE)
            )
        )
        return sorted((Part(hour, number), who) for rows in found for hour, number, who in rows)

    async def rows(self, part: Part, after: int) -> list[FeedRow]:
        """The rows of a part after a position, `READ_ROWS_MAX` at most."""
        found = await self._connection.execute(
            self._statements.read_feed, *part, after, READ_ROWS_MAX
        )
        return [
            FeedRow(
                position,
                LogKey(key),
                LogId(Namespace(namespace), Topic(topic), Author(author)),
            )
            for position, key, namespace, topic, author in found
        ]

    async def newest(self, now_ms: int) -> int:
        """The highest position in the hours around now; 0 when there is none."""
        hour = hour_of(position_of(now_ms))
        parts = await self.parts(range(hour - 1, hour + 2))
        found = await asyncio.gather(
            *(self._connection.execute(self._statements.read_newest, *part) for part, _ in parts)
        )
        return max((rows[0][0] for rows in found if rows), default=0)

    async def beyond(self, after: int, *, until_ms: int) -> tuple[list[FeedRow], int | None]:
        """Rows after a position, by position, and up to where there are more; None: no more.

        About `READ_ROWS_MAX` at least, unless there are no more up to the hour of `until_ms`.
        """
        first_ms = max(ms_of(after), until_ms - FEED_MS)
        hours = range(hour_of(position_of(first_ms)), hour_of(position_of(until_ms)) + 1)
        parts = [part for part, _ in await self.parts(hours)]
        rows: list[FeedRow] = []
        for hour in sorted({part.hour for part in parts}):
            of_hour = [part for part in parts if part.hour == hour]
            found = await asyncio.gather(*(self.rows(part, after) for part in of_hour))
            rows += sorted(row for some in found for row in some)
            cut = [some[-1].position for some in found if len(some) == READ_ROWS_MAX]
            if cut:
                return [row for row in rows if row.position <= min(cut)], min(cut)
            if len(rows) >= READ_ROWS_MAX and hour < hours[-1]:
                return rows, rows[-1].position
        return rows, None


class News:
    """What other processes wrote since the last look."""

    def __init__(self, reader: FeedReader, *, writer: bytes, lag_ms: int) -> None:
        self._reader = reader
        self._writer = writer
        self._lag_ms = lag_ms
        self._at: dict[Part, int] = {}
        self._looked_ms: int | None = None

    async def look(self, now_ms: int) -> list[FeedRow]:
        """The rows that others wrote; of each part every row once.

        The first look begins a lag before now. It is for one process of a cluster to be right
        about the time to within the lag.
        """
        since_ms = (self._looked_ms or now_ms) - 2 * self._lag_ms
        hours = range(
            hour_of(position_of(since_ms)), hour_of(position_of(now_ms + self._lag_ms)) + 1
        )
        others = [part for part, who in await self._reader.parts(hours) if who != self._writer]
        begin = position_of(now_ms - self._lag_ms) if self._looked_ms is None else 0
        found = await asyncio.gather(*(self._new_in(part, begin) for part in others))
        self._at = {part: self._at[part] for part in others}
        self._looked_ms = now_ms
        return [row for rows in found for row in rows]

    async def _new_in(self, part: Part, begin: int) -> list[FeedRow]:
        new: list[FeedRow] = []
        at = self._at.get(part, begin)
        while rows := await self._reader.rows(part, at):
            new += rows
            at = rows[-1].position
            if len(rows) < READ_ROWS_MAX:
                break
        self._at[part] = at
        return new
