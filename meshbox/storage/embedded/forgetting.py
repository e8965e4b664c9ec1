"""Empty logs, by the last bucket that they took a blob in: the oldest are forgotten.

When one may go is in core/forgetting.py; here is how it goes, and how it is found.

Every log with nothing held has an entry in `empty`, under that bucket: it comes when the log loses
its last blob, by age or for room, and goes when it takes one again (`Changes.move`). So the oldest
are the first entries, and what is forgotten costs no look at any other log.

Invariant: a log is forgotten only when the sweep has nothing else left to do. Then nothing in `due`
and `evicted` names it any more, since what they still name is younger than the retention, and the
feed names no log with nothing held. The refill list may name it: whom we ask for a log by name, we
need not know it.
"""

from __future__ import annotations

from typing import Final

from meshbox.core.errors import StoreDamaged
from meshbox.core.forgetting import empty_bytes_max, forgettable_through
from meshbox.core.limits import SWEEP_LOGS_MAX
from meshbox.core.room import metadata_bytes
from meshbox.storage.embedded.changes import Changes, Remove
from meshbox.storage.embedded.database import Database
from meshbox.storage.embedded.disk import Disk
from meshbox.storage.embedded.schema import DueEntry, bucket_key, due_key, parse_due_key
from meshbox.storage.embedded.state import Counts
from meshbox.storage.keyvalue import Family

_FAMILIES: Final = (Family.LOG, Family.TOPIC, Family.EMPTY)
_END: Final = b"\xff" * 40
_GONE_SHARE: Final = 4
"""One part of so many of what logs count for."""


class Forgetting:
    """Adds to the batches of the sweep. Remembers where the entries begin."""

    def __init__(self, database: Database, disk: Disk) -> None:
        self._database = database
        self._empty_bytes_max = empty_bytes_max(disk.capacity_bytes)
        self._first = b""
        self._gone_bytes = 0

    def step(self, changes: Changes) -> bool:
        """Adds to `changes`, which move no log: some are forgotten; whether there are more."""
        assert not changes.records, "what a batch moves it cannot forget"
        entries = self._oldest(changes.counts, limit=SWEEP_LOGS_MAX)
        if entries:
            self._first = due_key(*entries[0])
        records = self._database.records_held([entry.log for entry in entries], remembering=False)
        for entry, record in zip(entries, records, strict=True):
            if record.runs or record.last_bucket != entry.bucket:
                raise StoreDamaged("the database calls a log empty that is not, or not since then")
            if entry.bucket > self._through(changes.counts):
                return False
            changes.forget(entry.log, record)
            self._gone_bytes += metadata_bytes(record)
        return len(entries) == SWEEP_LOGS_MAX

    def follows(self, changes: Changes) -> bool:
        """Whether a log is to be forgotten after `changes`."""
        through = self._through(changes.counts)
        moved = (not r.runs and r.last_bucket <= through for r in changes.records.values())
        return any(moved) or bool(self._oldest(changes.counts, limit=1))

    def take_freed(self, counts: Counts) -> tuple[Remove, ...]:
        """Where logs lie, once what was forgotten is a good part of what is left: one by one they
        give no space back, and are in the way of every scan."""
        if self._gone_bytes * _GONE_SHARE <= counts.logs_bytes:
            return ()
        self._gone_bytes = 0
        return tuple(Remove(family, b"", _END) for family in _FAMILIES)

    def _oldest(self, counts: Counts, *, limit: int) -> list[DueEntry]:
        """The first entries of those that may be forgotten.

        The scan begins where the last step found something: what was removed below would cost it,
        and nothing comes below, since the sweep had emptied all logs so old.
        """
        end = bucket_key(self._through(counts) + 1)
        entries = self._database.key_value.scan(Family.EMPTY, self._first, end, limit=limit)
        return [parse_due_key(key) for key, _ in entries]

    def _through(self, counts: Counts) -> int:
        time = self._database.time
        return forgettable_through(
            time.now_ms(),
            retention_ms=time.retention.retention_ms,
            empty_bytes=counts.empty_bytes,
            empty_bytes_max=self._empty_bytes_max,
        )
