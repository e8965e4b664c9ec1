"""Pages of the feed: each log once, at its last change, and cursors that pass nothing unshown.

Of a log's rows only that of its last change is shown; the others are followed by it. A log that
holds nothing is not shown. See feed.py for what a cursor says.
"""

from __future__ import annotations

from typing import NamedTuple

from meshbox.core.ids import LogKey
from meshbox.core.inventory import LogRecord
from meshbox.storage.cassandra.feed import FeedReader, FeedRow
from meshbox.storage.cassandra.known import Known, KnownLog
from meshbox.storage.cassandra.positions import position_of
from meshbox.storage.cassandra.shown import shown
from meshbox.storage.cassandra.time import StoreTime


class Place(NamedTuple):
    """What a cursor says."""

    settled: int
    shown: int


BEGINNING = Place(0, 0)


class FeedSlice(NamedTuple):
    """A page."""

    records: tuple[LogRecord, ...]
    place: Place
    more: bool


class FeedPages:
    """Makes pages."""

    def __init__(self, reader: FeedReader, known: Known, time: StoreTime, *, lag_ms: int) -> None:
        self._reader = reader
        self._known = known
        self._time = time
        self._lag_ms = lag_ms

    async def read(self, after: Place, *, view: int, logs_max: int, runs_max: int) -> FeedSlice:
        """The logs changed after a place; `view` is the feed's counter before this was called."""
        assert logs_max > 0, "an empty page would never end"
        settled_max = position_of(self._time.now_ms() - self._lag_ms) if self._lag_ms else view
        page: list[LogRecord] = []
        runs = 0
        at = after.shown
        cut: int | None = at
        while cut is not None:
            until_ms = self._time.now_ms() + self._lag_ms
            rows, cut = await self._reader.beyond(at, until_ms=until_ms)
            for row, record in await self._last_changes(rows):
                runs += len(record.runs)
                if page and (len(page) == logs_max or runs > runs_max):
                    return self._slice(page, after, at, settled_max, more=True)
                page.append(record)
                at = row.position
            at = max(at, cut or view)
        return self._slice(page, after, at, settled_max, more=False)

    def _slice(
        self, page: list[LogRecord], after: Place, at: int, settled_max: int, *, more: bool
    ) -> FeedSlice:
        settled = after.settled
        if after.shown == after.settled:
            settled = max(settled, min(at, settled_max))
        place = Place(settled, at if more else settled)
        return FeedSlice(tuple(page), place, more)

    async def _found(self, rows: list[FeedRow]) -> dict[LogKey, KnownLog | None]:
        """The logs of some rows, read anew where one tells of what is not known yet."""
        now_ms, lag_ms = self._time.now_ms(), self._lag_ms
        found = await self._known.logs(list({row.key for row in rows}), now_ms=now_ms)
        behind: set[LogKey] = set()
        for row in rows:
            known = found[row.key]
            if known is not None and not known.has(row.position, lag_ms=lag_ms):
                behind.add(row.key)
                self._known.forget(row.key)
        found.update(await self._known.logs(list(behind), now_ms=now_ms))
        return found

    async def _last_changes(self, rows: list[FeedRow]) -> list[tuple[FeedRow, LogRecord]]:
        """The rows that tell of the last change of a log that holds something."""
        last: dict[LogKey, FeedRow] = {row.key: row for row in rows}
        due_through = self._time.due_through()
        found = await self._found(rows)
        changes: list[tuple[FeedRow, LogRecord]] = []
        for row in sorted(last.values()):
            known = found[row.key]
            if known is None or known.record.change > row.position:
                continue
            record = shown(known.record, due_through=due_through)
            if record.runs:
                changes.append((row, record))
        return changes
