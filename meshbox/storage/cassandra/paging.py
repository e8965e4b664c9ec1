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
    is_behind: bool
    """Some row tells of what cannot be read yet: the records are those of before."""


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
        behind = False
        cut: int | None = at
        while cut is not None:
            until_ms = self._time.now_ms() + self._lag_ms
            rows, cut = await self._reader.beyond(at, until_ms=until_ms)
            found = await self._found(rows)
            new = (row for row in rows if row.position > settled_max)
            behind |= any(not self._has(found[row.key], row) for row in new)
            for row, record in self._last_changes(rows, found):
                runs += len(record.runs)
                if page and (len(page) == logs_max or runs > runs_max):
                    place = self._place(after, at, settled_max, more=True)
                    return FeedSlice(tuple(page), place, more=True, is_behind=behind)
                page.append(record)
                at = row.position
            at = max(at, cut or view)
        place = self._place(after, at, settled_max, more=False)
        return FeedSlice(tuple(page), place, more=False, is_behind=behind)

    def _place(self, after: Place, at: int, settled_max: int, *, more: bool) -> Place:
        settled = after.settled
        if after.shown == after.settled:
            settled = max(settled, min(at, settled_max))
        return Place(settled, at if more else settled)

    async def _found(self, rows: list[FeedRow]) -> dict[LogKey, KnownLog | None]:
        """The logs of some rows, read anew where one tells of what is not known yet."""
        now_ms = self._time.now_ms()
        found = await self._known.logs(list({row.key for row in rows}), now_ms=now_ms)
        behind = {row.key for row in rows if found[row.key] and not self._has(found[row.key], row)}
        for key in behind:
            self._known.forget(key)
        found.update(await self._known.logs(list(behind), now_ms=now_ms))
        return found

    def _has(self, known: KnownLog | None, row: FeedRow) -> bool:
        return known is not None and known.has(row.position, lag_ms=self._lag_ms)

    def _last_changes(
        self, rows: list[FeedRow], found: dict[LogKey, KnownLog | None]
    ) -> list[tuple[FeedRow, LogRecord]]:
        """The rows that tell of the last change of a log that holds something."""
        last: dict[LogKey, FeedRow] = {row.key: row for row in rows}
        due_through = self._time.due_through()
        changes: list[tuple[FeedRow, LogRecord]] = []
        for row in sorted(last.values()):
            known = found[row.key]
            if known is None or known.record.change > row.position:
                continue
            record = shown(known.record, due_through=due_through)
            if record.runs:
                changes.append((row, record))
        return changes
