"""`Changes`: what one batch does, as values: to the database, and to what is remembered of it.

Whoever plans fills it; `Database.apply` alone carries it out. Operations take effect in order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from meshbox.core.ids import LogKey, NodeId
from meshbox.core.inventory import LogRecord
from meshbox.storage.embedded.peers import PeerRecord
from meshbox.storage.embedded.schema import due_key, topic_prefix
from meshbox.storage.embedded.state import Counts
from meshbox.storage.keyvalue import Family


class Put(NamedTuple):
    """Sets a key."""

    family: Family
    key: bytes
    value: bytes


class Remove(NamedTuple):
    """Removes [first, end); only `first` when there is no `end`."""

    family: Family
    first: bytes
    end: bytes | None = None


@dataclass(slots=True)
class Changes:
    """One batch."""

    counts: Counts
    """The counts after it."""
    ops: list[Put | Remove] = field(default_factory=list)
    """Everything but what follows."""
    records: dict[LogKey, LogRecord] = field(default_factory=dict)
    """Logs as they are after it."""
    new_logs: set[LogKey] = field(default_factory=set)
    """Those of `records` that were not known before."""
    forgotten_logs: dict[LogKey, LogRecord] = field(default_factory=dict)
    """Logs that are not known any more, as they were before; none of `records`."""
    peers: dict[NodeId, PeerRecord] = field(default_factory=dict)
    """Peers as they are after it."""
    returned: set[NodeId] = field(default_factory=set)
    """Those of `peers` whose cursor goes back to before what was passed for lack of room."""
    grows_refill: bool = False
    """It puts logs on the refill list: who waits for that is woken."""

    def move(self, key: LogKey, before: LogRecord | None, after: LogRecord) -> None:
        """A log that was `before` is `after`: counted, and with its entry in `empty` or without."""
        self.records[key] = after
        self.counts = self.counts.moved(before, after)
        if before is not None and not before.runs:
            if after.runs:
                self.ops.append(Remove(Family.EMPTY, due_key(before.last_bucket, key)))
        elif not after.runs:
            self.ops.append(Put(Family.EMPTY, due_key(after.last_bucket, key), b""))

    def forget(self, key: LogKey, record: LogRecord) -> None:
        """A log with nothing held is not known any more."""
        assert not record.runs, "what is held is never forgotten"
        self.forgotten_logs[key] = record
        self.counts = self.counts.moved(record, None)
        prefix = topic_prefix(record.log.namespace, record.log.topic)
        self.ops += (
            Remove(Family.EMPTY, due_key(record.last_bucket, key)),
            Remove(Family.TOPIC, prefix + key),
            Remove(Family.LOG, key),
        )
