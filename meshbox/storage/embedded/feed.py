"""The feed: logs in the order of their last change, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from meshbox.core.errors import StoreDamaged
from meshbox.core.ids import LogKey
from meshbox.core.inventory import LogRecord
from meshbox.storage.embedded.database import Database
from meshbox.storage.embedded.schema import FEED_END, feed_key, parse_feed_key
from meshbox.storage.keyvalue import Family


class FeedSlice(NamedTuple):
    """A part of the feed."""

    records: tuple[LogRecord, ...]
    through: int
    """Everything up to this change was shown, in this slice or before."""
    more: bool


class Feed:
    """Reads the feed. Remembers where it begins, since what was removed below costs every scan."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._first_change = 0

    def read(self, after: int, *, logs_max: int, runs_max: int) -> FeedSlice:
        """The logs changed after `after`, at least one when there is any."""
        assert logs_max > 0, "an empty page would never end"
        database = self._database
        start = max(after + 1, self._first_change)
        entries = database.key_value.scan(
            Family.FEED, feed_key(start), FEED_END, limit=logs_max + 1
        )
        changes = [parse_feed_key(key) for key, _ in entries]
        if start == self._first_change or after == 0:
            self._first_change = changes[0] if changes else database.counts.change + 1
        records = database.records_held([LogKey(key) for _, key in entries[:logs_max]])
        if any(r.change != c for r, c in zip(records, changes, strict=False)):
            raise StoreDamaged("the feed and the logs in the database contradict each other")
        count = _fitting(records, runs_max)
        more = len(entries) > count
        due_through = database.time.due_through()
        return FeedSlice(
            tuple(database.shown(record, due_through=due_through) for record in records[:count]),
            changes[count - 1] if more else database.counts.change,
            more,
        )


def _fitting(records: Sequence[LogRecord], runs_max: int) -> int:
    """How many of the first records have at most `runs_max` runs together; one at least."""
    runs = 0
    for count, record in enumerate(records):
        runs += len(record.runs)
        if count and runs > runs_max:
            return count
    return len(records)
