"""What an open keyspace consists of, for all who work with it (opening.py makes it)."""

from __future__ import annotations

from dataclasses import dataclass

from meshbox.storage.cassandra.blobs import Blobs
from meshbox.storage.cassandra.connection import Connection
from meshbox.storage.cassandra.counting import Counts
from meshbox.storage.cassandra.feed import FeedWriter
from meshbox.storage.cassandra.known import Known
from meshbox.storage.cassandra.listing import Listing
from meshbox.storage.cassandra.notes import Notes
from meshbox.storage.cassandra.peers import Peers
from meshbox.storage.cassandra.positions import Positions
from meshbox.storage.cassandra.statements import Statements
from meshbox.storage.cassandra.time import StoreTime
from meshbox.storage.cassandra.topics import Topics


@dataclass(frozen=True, slots=True)
class Parts:
    """One process's; `process` is its name as a writer, since it opened the keyspace."""

    connection: Connection
    statements: Statements
    time: StoreTime
    positions: Positions
    known: Known
    blobs: Blobs
    listing: Listing
    topics: Topics
    feed: FeedWriter
    peers: Peers
    notes: Notes
    counts: Counts
    process: bytes
    lag_ms: int
