"""What a process knows of logs: records, read once and kept until another process changes them.

A record is put together from its rows (merging.py). What this process writes of a log is put into
what it knows. That another one wrote shows in the feed, up to half the lag before its row can be
read; so from then on, and until that time is over, a record is read anew each time it is asked for.

That holds as long as the feed is followed. When that was not looked at for a quarter of the lag (a
process that was stopped, servers that did not answer), nothing that was read before counts.

Invariant: a record that was read when the feed's row of a change was half the lag old has it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

from meshbox.core.bounded_cache import BoundedCache
from meshbox.core.ids import LogKey
from meshbox.core.inventory import LogRecord
from meshbox.storage.cassandra.connection import Connection
from meshbox.storage.cassandra.merging import Row, RowId, merge
from meshbox.storage.cassandra.positions import position_of
from meshbox.storage.cassandra.rows import decode_row
from meshbox.storage.cassandra.statements import Statements

_UNWATCHED: Final = 4
"""One part of so many of the lag a record is good for without a look at the feed."""
_COUNT_MAX: Final = 131_072
_WEIGHT_MAX: Final = 64 * 1024 * 1024
"""About the bytes of memory of all that is known."""


class KnownLog(NamedTuple):
    """A log as its rows make it."""

    record: LogRecord
    rows: tuple[RowId, ...]
    """The rows that it was made of."""
    whole_at: int
    """The position of the last whole one, 0 before any."""
    read_ms: int
    """Node time when reading it began."""

    @property
    def steps(self) -> int:
        """How many rows came after the last whole one."""
        return sum(position > self.whole_at for position, _ in self.rows)

    def has(self, position: int, *, lag_ms: int) -> bool:
        """Whether what was written at a position is in it, if anything was."""
        return position < self.whole_at - position_of(lag_ms) or any(
            position == known for known, _ in self.rows
        )


class Known:
    """The logs that this process knows."""

    def __init__(self, connection: Connection, statements: Statements, *, lag_ms: int) -> None:
        self._connection = connection
        self._statements = statements
        self._lag_ms = lag_ms
        self._logs = _no_logs()
        self._stale: dict[LogKey, int] = {}
        self.looked_ms = 0
        """Node time when the last look at what others changed began."""

    async def logs(self, keys: Sequence[LogKey], *, now_ms: int) -> dict[LogKey, KnownLog | None]:
        """Logs by key, None for one that nobody wrote of."""
        found = {key: self._fresh(key, now_ms) for key in keys}
        missing = [key for key, known in found.items() if known is None]
        read = await asyncio.gather(*(self._read(key, now_ms) for key in missing))
        found.update(zip(missing, read, strict=True))
        return found

    def put(self, key: LogKey, known: KnownLog) -> None:
        """What this process wrote is known."""
        weight = 400 + 100 * known.record.range_count + 80 * len(known.rows)
        self._logs.put(key, known, weight=weight)

    def forget(self, key: LogKey) -> None:
        """Whether a write of ours was carried out is not known."""
        self._logs.discard(key)

    def forget_all(self) -> None:
        """What was read is another table's."""
        self._logs = _no_logs()

    def note_changed(self, key: LogKey, *, position_ms: int, now_ms: int) -> None:
        """Another process changed a log at `position_ms`, or is about to."""
        until_ms = max(position_ms, now_ms) + self._lag_ms // 2
        self._stale[key] = max(self._stale.get(key, 0), until_ms)

    def complete_ms(self, known: KnownLog | None) -> int:
        """All that was changed half the lag before this is in a record."""
        return max(self.looked_ms, known.read_ms if known else 0)

    def _fresh(self, key: LogKey, now_ms: int) -> KnownLog | None:
        known = self._logs.get(key)
        if known is None or (
            self._lag_ms and self.complete_ms(known) < now_ms - self._lag_ms // _UNWATCHED
        ):
            return None
        until_ms = self._stale.get(key)
        if until_ms is None:
            return known
        if known.read_ms < until_ms:
            return None
        del self._stale[key]
        return known

    async def _read(self, key: LogKey, now_ms: int) -> KnownLog | None:
        before = self._logs.get(key)
        found = await self._connection.execute(self._statements.read_seen, key)
        meanwhile = self._logs.get(key)
        if meanwhile is not None and meanwhile is not before:
            return meanwhile  # This process wrote of it, which may be newer than what was read.
        if not found:
            return None
        known = known_of([decode_row(row) for row in found], lag_ms=self._lag_ms, read_ms=now_ms)
        self.put(key, known)
        return known


def _no_logs() -> BoundedCache[LogKey, KnownLog]:
    return BoundedCache(count_max=_COUNT_MAX, weight_max=_WEIGHT_MAX)


def known_of(rows: Sequence[Row], *, lag_ms: int, read_ms: int) -> KnownLog:
    """A log from its rows."""
    return KnownLog(
        merge(rows, lag=position_of(lag_ms)),
        tuple(sorted(row.id for row in rows)),
        max((row.id[0] for row in rows if row.whole), default=0),
        read_ms,
    )
