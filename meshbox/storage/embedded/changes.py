"""`Changes`: what one batch does, as values: to the database, and to what is remembered of it.

Whoever plans fills it; `Database.apply` alone carries it out. Operations take effect in order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from meshbox.core.ids import LogKey, NodeId
from meshbox.core.inventory import LogRecord
from meshbox.storage.embedded.peers import PeerRecord
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
    """Those of `records` that were never seen before."""
    peers: dict[NodeId, PeerRecord] = field(default_factory=dict)
    returned: set[NodeId] = field(default_factory=set)
    """Those of `peers` whose cursor goes back to before what was passed for lack of room."""
    grows_refill: bool = False
    """It puts logs on the refill list: who waits for that is woken."""
    """Peers as they are after it."""
