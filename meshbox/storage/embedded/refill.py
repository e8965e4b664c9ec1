"""The refill list: logs that every peer is to be asked for by name, once (design.md 4.7, 4.8).

What leaves seen because there is room again, or because it was damaged, lies in no page of a
peer's feed that we would still be shown. So its log is put on this list, and each peer is asked
for it; how far a peer was asked is kept with its cursors. Entries are in the order in which they
came, under the change that put them there, and bear the bucket of that moment: when that is due,
so is everything that was to come back, and the sweep removes them.

Invariant: at most `REFILL_LOGS_MAX` entries. What an overflow drops comes back by reconciling only.
"""

from __future__ import annotations

from collections.abc import Iterable

from meshbox.core.ids import LogKey, NodeId
from meshbox.core.limits import REFILL_LOGS_MAX, SWEEP_LOGS_MAX
from meshbox.core.retention import bucket_of
from meshbox.storage.embedded.changes import Changes, Put, Remove
from meshbox.storage.embedded.database import Database
from meshbox.storage.embedded.schema import (
    REFILL_END,
    bucket_key,
    parse_refill_key,
    refill_key,
)
from meshbox.storage.interface import RefillPage
from meshbox.storage.keyvalue import Family


def put_on_list(database: Database, logs: Iterable[LogKey]) -> Changes:
    """The batch that puts `logs` on the list."""
    changes = Changes(database.counts)
    add_to_list(database, changes, logs)
    return changes


def add_to_list(database: Database, changes: Changes, logs: Iterable[LogKey]) -> None:
    """Adds to `changes`, and moves their counter: `logs` are on the list."""
    keys = list(dict.fromkeys(logs))[-REFILL_LOGS_MAX:]
    counts = changes.counts
    surplus = max(0, counts.refills + len(keys) - REFILL_LOGS_MAX)
    if surplus:
        oldest = database.key_value.scan(Family.REFILL, b"", REFILL_END, limit=surplus)
        changes.ops.append(Remove(Family.REFILL, b"", oldest[-1][0] + b"\0"))
    change = counts.change + 1
    bucket = bucket_key(bucket_of(database.time.now_ms()))
    changes.ops += (Put(Family.REFILL, refill_key(change, key), bucket) for key in keys)
    changes.counts = counts._replace(change=change, refills=counts.refills + len(keys) - surplus)
    changes.grows_refill = True


def read_list(database: Database, peer: NodeId, *, logs_max: int) -> RefillPage | None:
    """The next entries that `peer` was not asked for; None when there are none."""
    if not database.counts.refills:
        return None
    kept = database.peers([peer])[peer]
    first = b"" if kept is None or not kept.refilled else kept.refilled + b"\0"
    entries = database.key_value.scan(Family.REFILL, first, REFILL_END, limit=logs_max)
    if not entries:
        return None
    logs = dict.fromkeys(parse_refill_key(key) for key, _ in entries)
    return RefillPage(tuple(logs), entries[-1][0])


def drop_due(database: Database, changes: Changes, due_through: int) -> bool:
    """Adds to `changes`: some entries of due buckets are gone; whether there may be more."""
    if not changes.counts.refills:
        return False
    entries = database.key_value.scan(Family.REFILL, b"", REFILL_END, limit=SWEEP_LOGS_MAX)
    due = [key for key, bucket in entries if bucket <= bucket_key(max(due_through, 0))]
    if due_through < 0 or not due:
        return False
    changes.ops.append(Remove(Family.REFILL, b"", due[-1] + b"\0"))
    changes.counts = changes.counts._replace(refills=changes.counts.refills - len(due))
    return len(due) == SWEEP_LOGS_MAX
