"""When there is room again: what was evicted comes back into question, the newest first.

Evicted numbers leave seen, so that clients are told to upload them and peers are asked for their
logs by name (refill.py). Only as much leaves as there is room for, so that what comes back stays.
Where we passed a peer's offers for lack of room, its cursor goes back to before them (peers.py).

What nobody gave back by the time its bucket is due has expired, as if it had stayed.
"""

from __future__ import annotations

from collections.abc import Mapping

from meshbox.core.ids import LogKey
from meshbox.core.limits import SWEEP_LOGS_MAX
from meshbox.core.retention import bucket_of
from meshbox.core.room import RELEASE_INTERVAL_MS, releasable_bytes
from meshbox.storage.embedded.changes import Changes
from meshbox.storage.embedded.database import Database
from meshbox.storage.embedded.disk import Disk
from meshbox.storage.embedded.drafts import Drafts
from meshbox.storage.embedded.evicted import (
    Evicted,
    entry_op,
    evicted_still,
    newest_first,
    through,
)
from meshbox.storage.embedded.eviction import Eviction
from meshbox.storage.embedded.refill import add_to_list
from meshbox.storage.embedded.schema import DueEntry


class Release:
    """Makes the batches that let evicted numbers leave seen, and cursors return."""

    def __init__(self, database: Database, disk: Disk, eviction: Eviction) -> None:
        self._database = database
        self._disk = disk
        self._eviction = eviction
        self._round_ms: int | None = None
        self._left_bytes = 0

    def step(self) -> Changes | None:
        """The next batch; None when there is no room, or nothing that waits for it."""
        if not self._eviction.notice_room():
            return None
        counts = self._database.counts
        changes = Changes(counts._replace(change=counts.change + 1))
        if expire_evicted(self._database, changes, self._database.time.due_through()):
            return changes
        released = self._release(changes)
        if released:
            add_to_list(self._database, changes, released)
        self._return_cursors(changes)
        return changes if changes.records or changes.returned else None

    def _release(self, changes: Changes) -> list[LogKey]:
        """The logs of which something left seen."""
        database = self._database
        now_ms = database.time.now_ms()
        if self._round_ms is None or now_ms - self._round_ms >= RELEASE_INTERVAL_MS:
            used_bytes = database.counts.used_bytes
            self._left_bytes = releasable_bytes(used_bytes, self._disk.bound_bytes(used_bytes))
            self._round_ms = now_ms
        entries = newest_first(
            database.key_value,
            newest=bucket_of(now_ms),
            above=database.time.due_through(),
            limit=SWEEP_LOGS_MAX,
        )
        drafts = Drafts(database, changes, (entry.log for entry, _ in entries))
        rest: dict[DueEntry, Evicted] = {}
        for entry, went in entries:
            part = went.newest(self._left_bytes)
            if not part.footprint_bytes:
                break
            self._left_bytes -= part.footprint_bytes
            drafts[entry.log].release(part.ranges)
            rest[entry] = went - part
        _finish(database, changes, drafts, rest)
        return [entry.log for entry in rest]

    def _return_cursors(self, changes: Changes) -> None:
        """Of those for whom it is worth it: what then comes must have room, or it would be passed
        once more, and come again and again."""
        passed = self._database.peer_order.passed.items()
        fitting = [peer for peer, needed in passed if self._eviction.has_room_for(needed)]
        for peer, kept in self._database.peers(fitting[:SWEEP_LOGS_MAX]).items():
            assert kept is not None, "who passed something is kept"
            changes.peers[peer] = kept.returned()
            changes.returned.add(peer)


def expire_evicted(database: Database, changes: Changes, due_through: int) -> bool:
    """Adds to `changes`: some of what was evicted would be due by now; whether there is more."""
    if due_through < 0 or not changes.counts.evicted:
        return False
    entries = through(database.key_value, due_through, limit=SWEEP_LOGS_MAX)
    logs = [entry.log for entry, _ in entries]
    drafts = Drafts(database, changes, logs)
    for entry, went in entries:
        drafts[entry.log].expire_evicted(went.ranges)
    _finish(database, changes, drafts, dict.fromkeys((entry for entry, _ in entries), Evicted()))
    return len(entries) == SWEEP_LOGS_MAX


def _finish(
    database: Database, changes: Changes, drafts: Drafts, rest: Mapping[DueEntry, Evicted]
) -> None:
    """Adds to `changes`: of some entries only `rest` is left, and their logs know it."""
    changes.ops += (entry_op(entry, left) for entry, left in rest.items())
    newest = bucket_of(database.time.now_ms())
    oldest = min((entry.bucket for entry in rest), default=newest)
    first = min(oldest, database.time.due_through() + 1)
    still = evicted_still(database.key_value, rest, first=first, newest=newest)
    for log, went in still.items():
        drafts[log].narrow_evicted(went)
    drafts.finish(still)
