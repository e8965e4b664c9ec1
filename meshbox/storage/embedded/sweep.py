"""The sweep: what is due is freed a bucket at a time, and its logs are mended in slices.

The first batch after a bucket became due records it as swept and removes all its blobs with one
range removal, together with whatever a crash left in it. What remains is to turn the runs of the
logs that `due` names into expired ranges, a bounded number a slice. Between the two the records
still list runs that are due, and nobody shows these (Retention.due covers what is swept). So a
crash anywhere leaves nothing to repair: the entries left in `due` say what is left to do.

When nothing of that is left, empty logs are forgotten (forgetting.py).

What it reads and empties is not remembered: of 50,000 logs the caches had 20,000 then, the garbage
collector looked through all of them in one slice, and what was asked for had gone.

A sweep moves the feed's counter, for the read barrier, but no log: what expires is no news.
"""

from __future__ import annotations

from typing import NamedTuple

from meshbox.core.ids import LogKey
from meshbox.core.inventory import LogDraft, LogRecord, Run
from meshbox.core.limits import SWEEP_LOGS_MAX
from meshbox.storage.embedded.changes import Changes, Remove
from meshbox.storage.embedded.database import Database
from meshbox.storage.embedded.forgetting import Forgetting
from meshbox.storage.embedded.notes import drop_due_notes
from meshbox.storage.embedded.refill import drop_due
from meshbox.storage.embedded.release import expire_evicted
from meshbox.storage.embedded.schema import bucket_key, feed_key, parse_due_key
from meshbox.storage.interface import SweepSlice
from meshbox.storage.keyvalue import Family


class SweepStep(NamedTuple):
    """One batch of the sweep."""

    changes: Changes | None
    """None when nothing is due."""
    done: SweepSlice
    freed: tuple[Remove, ...] = ()
    """Of what was removed: the space of these keys can be given back."""


class Sweep:
    """Makes the batches of the sweep. Remembers where the entries to be swept begin."""

    def __init__(self, database: Database, forgetting: Forgetting) -> None:
        self._database = database
        self._forgetting = forgetting
        self._first_due = b""
        self._notes_from: bytes | None = b""

    def step(self) -> SweepStep:
        """The next batch."""
        database = self._database
        due_through = database.time.due_through()
        changes = Changes(database.counts)
        freed: tuple[Remove, ...] = ()
        if due_through > database.counts.swept:
            freed = (self._free(changes, due_through),)
        done = self._mend(changes, due_through)
        more = drop_due(database, changes, due_through) or done.more
        more = expire_evicted(database, changes, due_through) or more
        more = self._drop_notes(changes, due_through) or more
        if more or changes.records:
            more = more or self._forgetting.follows(changes)
        else:
            more = self._forgetting.step(changes)
            freed += () if more else self._forgetting.take_freed(changes.counts)
        done = done._replace(more=more, forgotten=len(changes.forgotten_logs))
        if not changes.ops:
            return SweepStep(None, done)
        changes.counts = changes.counts._replace(change=changes.counts.change + 1)
        return SweepStep(changes, done, freed)

    def _free(self, changes: Changes, due_through: int) -> Remove:
        """Records the buckets as swept and removes their blobs.

        Always from the lowest possible key, so that what was left behind by a crash goes too.
        """
        removal = Remove(Family.BLOB, bucket_key(0), bucket_key(due_through + 1))
        changes.ops.append(removal)
        changes.counts = changes.counts._replace(swept=due_through)
        self._notes_from = b""
        self._database.time.note_swept(due_through)
        return removal

    def _drop_notes(self, changes: Changes, due_through: int) -> bool:
        """Looks through all notes, some a slice, once in each opening and bucket."""
        if self._notes_from is not None:
            self._notes_from = drop_due_notes(
                self._database, changes, due_through, first=self._notes_from
            )
        return self._notes_from is not None

    def _mend(self, changes: Changes, due_through: int) -> SweepSlice:
        """Turns the due runs of some logs into expired ranges.

        The scan begins where the last one found something: what was removed below would cost it.
        """
        database = self._database
        entries = database.key_value.scan(
            Family.DUE, self._first_due, bucket_key(due_through + 1), limit=SWEEP_LOGS_MAX + 1
        )
        mended = [key for key, _ in entries[:SWEEP_LOGS_MAX]]
        if not mended:
            return SweepSlice(0, 0, more=False)
        self._first_due = mended[0]
        changes.ops += (Remove(Family.DUE, key) for key in mended)
        keys = list(dict.fromkeys(parse_due_key(key).log for key in mended))
        blobs = size_bytes = 0
        for key, record in zip(keys, database.records_held(keys, remembering=False), strict=True):
            for run in _expire(changes, key, record, due_through):
                blobs += run.end - run.first
                size_bytes += run.bytes
        changes.counts = changes.counts._replace(expired=changes.counts.expired + blobs)
        return SweepSlice(blobs, size_bytes, more=len(entries) > SWEEP_LOGS_MAX)


def _expire(changes: Changes, key: LogKey, record: LogRecord, due_through: int) -> list[Run]:
    """Expires what is due of one log; the runs that this were."""
    draft = LogDraft(record)
    gone = draft.expire(due_through)
    if gone:
        mended = draft.finish(record.change)
        changes.move(key, record, mended)
        if not mended.runs:
            changes.ops.append(Remove(Family.FEED, feed_key(record.change)))
    return gone
