"""Logs that housekeeping changes: they keep their place in the feed, since what went is no news."""

from __future__ import annotations

from collections.abc import Iterable

from meshbox.core.ids import LogKey
from meshbox.core.inventory import LogDraft, LogRecord
from meshbox.storage.embedded.changes import Changes, Remove
from meshbox.storage.embedded.database import Database
from meshbox.storage.embedded.schema import feed_key
from meshbox.storage.keyvalue import Family


class Drafts:
    """The logs of one batch."""

    def __init__(self, database: Database, changes: Changes, keys: Iterable[LogKey]) -> None:
        """Of `keys`, as the batch has them so far."""
        self._changes = changes
        self._logs: dict[LogKey, tuple[LogRecord, LogDraft]] = {}
        wanted = list(dict.fromkeys(keys))
        for key, kept in zip(wanted, database.records_held(wanted), strict=True):
            record = changes.records.get(key, kept)
            self._logs[key] = record, LogDraft(record)

    def record(self, key: LogKey) -> LogRecord:
        """A log as it was before."""
        return self._logs[key][0]

    def __getitem__(self, key: LogKey) -> LogDraft:
        return self._logs[key][1]

    def finish(self, keys: Iterable[LogKey]) -> None:
        """Puts those of `keys` into the batch. A log with nothing held leaves the feed."""
        changes = self._changes
        for key in dict.fromkeys(keys):
            record, draft = self._logs[key]
            mended = draft.finish(record.change)
            changes.move(key, record, mended)
            if record.runs and not mended.runs:
                changes.ops.append(Remove(Family.FEED, feed_key(record.change)))
