"""What is counted: counters of the servers, which each process adds to in steps of a second.

Adding twice would be wrong, so it is never tried again: what was to be added when the servers did
not answer is lost to the statistics, as is the last second of a process that was killed. Nothing
is decided by these.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final, NamedTuple

from meshbox.core.inventory import LogRecord
from meshbox.core.room import footprint_bytes, metadata_bytes
from meshbox.storage.cassandra.connection import Connection
from meshbox.storage.cassandra.statements import Statements
from meshbox.storage.interface import Statistics

CONFLICTS: Final = "conflicts"
RELAYED: Final = "relayed"
LOGS_BYTES: Final = "logs_bytes"


class Held(NamedTuple):
    """What is held of one bucket."""

    blobs: int
    bytes: int
    logs: int
    """Logs whose newest blob is of this bucket."""


class Counts:
    """Adds up what this process did, and reads what all did."""

    def __init__(self, connection: Connection, statements: Statements) -> None:
        self._connection = connection
        self._statements = statements
        self._blobs: Counter[int] = Counter()
        self._bytes: Counter[int] = Counter()
        self._logs: Counter[int] = Counter()
        self._totals: Counter[str] = Counter()
        self._adding = asyncio.Lock()

    def note(self, name: str, count: int) -> None:
        """Adds to a total."""
        self._totals[name] += count

    def moved(self, before: LogRecord | None, after: LogRecord) -> None:
        """A log that was `before` is `after`; neither has anything that is due."""
        for record, sign in ((before, -1), (after, 1)):
            for run in record.runs if record else ():
                self._blobs[run.bucket] += sign * (run.end - run.first)
                self._bytes[run.bucket] += sign * run.bytes
            if record and record.runs:
                self._logs[max(run.bucket for run in record.runs)] += sign
        self._totals[LOGS_BYTES] += metadata_bytes(after) - metadata_bytes(before)

    async def add(self) -> None:
        """Tells the servers what came since the last time."""
        async with self._adding:
            buckets = {*self._blobs, *self._bytes, *self._logs}
            held = [(self._blobs[b], self._bytes[b], self._logs[b], b) for b in buckets]
            totals = [(count, name) for name, count in self._totals.items()]
            for counter in (self._blobs, self._bytes, self._logs, self._totals):
                counter.clear()
            statements = self._statements
            await asyncio.gather(
                *(self._connection.execute(statements.add_held, *v) for v in held if any(v[:3])),
                *(self._connection.execute(statements.add_total, *v) for v in totals if v[0]),
            )

    async def held(self) -> dict[int, Held]:
        """What all processes hold, and held, by bucket."""
        rows = await self._connection.execute(self._statements.read_held)
        return {bucket: Held(b or 0, size or 0, logs or 0) for bucket, b, size, logs in rows}

    async def statistics(self, due_through: int) -> Statistics:
        """As of now."""
        await self.add()
        buckets, rows = await asyncio.gather(
            self.held(), self._connection.execute(self._statements.read_totals)
        )
        totals: Counter[str] = Counter(dict(rows))
        held = [count for bucket, count in buckets.items() if bucket > due_through]
        blobs, size_bytes = sum(h.blobs for h in held), sum(h.bytes for h in held)
        footprint = footprint_bytes(
            blobs=blobs, size_bytes=size_bytes, logs_bytes=totals[LOGS_BYTES]
        )
        return Statistics(
            logs=sum(h.logs for h in held),
            blobs=blobs,
            bytes=size_bytes,
            used_bytes=footprint,
            footprint_bytes=footprint,
            conflicts=totals[CONFLICTS],
            expired=sum(h.blobs for b, h in buckets.items() if b <= due_through),
            evicted=0,
            relayed=totals[RELAYED],
        )
