"""`Database`: the key-value seam, seen through the schema and the caches; the only writer.

Reads are what is visible, durable or not: whoever shows them waits at the read barrier first
(commit.py). All of it happens in one turn of the loop, so what is read together is of one moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from meshbox.core.errors import StoreDamaged
from meshbox.core.ids import LogKey, NodeId
from meshbox.core.inventory import LogDraft, LogRecord
from meshbox.storage.embedded.caches import Caches, oldest_bucket
from meshbox.storage.embedded.changes import Changes, Put, Remove
from meshbox.storage.embedded.headers import decode_header
from meshbox.storage.embedded.node_time import NodeTime
from meshbox.storage.embedded.peers import PeerOrder, PeerRecord, decode_peer, encode_peer
from meshbox.storage.embedded.records import decode_record, encode_record
from meshbox.storage.embedded.schema import (
    CHUNK_END,
    META_STATE,
    blob_key,
    chunk_key,
)
from meshbox.storage.embedded.state import Counts, State, encode_state
from meshbox.storage.embedded.trial import Content, Held, Place
from meshbox.storage.keyvalue import Batch, Family, KeyValue


class ChunkWatch:
    """Notices when chunks that are just being written are removed by somebody else's batch."""

    def __init__(self, database: Database, first_key: bytes) -> None:
        self._watches = database.chunk_watches
        self._first_key = first_key
        self._removed = False

    def __enter__(self) -> ChunkWatch:
        self._watches.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._watches.remove(self)

    def take_removed(self) -> bool:
        """Whether any were removed since the last call."""
        removed, self._removed = self._removed, False
        return removed

    def note(self, op: Remove) -> None:
        """Looks at a removal that a batch made."""
        if op.end is not None and op.first <= self._first_key < op.end:
            self._removed = True


class Database:
    """What the store holds."""

    def __init__(
        self, key_value: KeyValue, *, counts: Counts, time: NodeTime, peers: PeerOrder
    ) -> None:
        self.key_value = key_value
        self.counts = counts
        """As of the last batch written, plus what `count_relayed` added since."""
        self.time = time
        self.caches = Caches()
        self.chunk_watches: list[ChunkWatch] = []
        self.refill_grown = asyncio.Event()
        """Set, and replaced, when logs were put on the refill list."""
        self.peer_order = peers
        self.cursors_returned = asyncio.Event()
        """Set, and replaced, when cursors went back."""

    def records(
        self, keys: Sequence[LogKey], *, remembering: bool = True
    ) -> list[LogRecord | None]:
        """The records of logs, in order; one multi-get for those not remembered."""
        found = [self.caches.records.get(key) for key in keys]
        missing = [at for at, record in enumerate(found) if record is None]
        if missing:
            values = self.key_value.get_many(Family.LOG, [keys[at] for at in missing])
            for at, value in zip(missing, values, strict=True):
                if value is not None:
                    record = decode_record(value)
                    if remembering:
                        self.caches.remember(keys[at], record)
                    found[at] = record
        return found

    def records_held(self, keys: Sequence[LogKey], *, remembering: bool = True) -> list[LogRecord]:
        """The records of logs that an index of the database names: they must be there."""
        records = self.records(keys, remembering=remembering)
        present = [record for record in records if record is not None]
        if len(present) != len(records):
            raise StoreDamaged("the database names a log that it does not have")
        return present

    def shown(self, record: LogRecord, *, due_through: int) -> LogRecord:
        """The record without what is due: as if the sweep had been there."""
        if oldest_bucket(record) > due_through:
            return record
        draft = LogDraft(record)
        draft.expire(due_through)
        return draft.finish(record.change)

    def held(self, places: Iterable[tuple[Place, int]]) -> dict[Place, Held]:
        """The headers of blobs at (place, bucket), all of which must be there."""
        wanted = list(places)
        keys = [blob_key(bucket, key, seq) for (key, seq), bucket in wanted]
        values = self.key_value.get_many(Family.BLOB, keys) if keys else []
        found: dict[Place, Held] = {}
        for (place, bucket), value in zip(wanted, values, strict=True):
            if value is None:
                raise StoreDamaged("a blob that the database should hold is not there")
            found[place] = Held(bucket, decode_header(value))
        return found

    def chunked(self, contents: Iterable[Content]) -> set[Content]:
        """Those whose chunks were all written and are still there."""
        wanted = list(contents)
        keys = [chunk_key(blob, content_hash, CHUNK_END) for blob, content_hash in wanted]
        values = self.key_value.get_many(Family.BLOB, keys) if keys else []
        return {content for content, value in zip(wanted, values, strict=True) if value is not None}

    def peers(self, peers: Iterable[NodeId]) -> dict[NodeId, PeerRecord | None]:
        """What is kept of peers."""
        wanted = list(peers)
        keys = [peer.encode() for peer in wanted]
        values = self.key_value.get_many(Family.PEER, keys) if keys else []
        return {
            peer: None if value is None else decode_peer(value)
            for peer, value in zip(wanted, values, strict=True)
        }

    def apply(self, changes: Changes) -> None:
        """Writes one batch, and remembers what it wrote; not durable yet.

        `StoreBusy`: nothing happened.
        """
        batch = self.key_value.new_batch()
        written: list[bytes] = []
        for op in changes.ops:
            if isinstance(op, Put):
                batch.put(*op)
                if op.family is Family.BLOB:
                    written.append(op.key)
            elif op.end is None:
                batch.delete(op.family, op.first)
            else:
                batch.delete_range(op.family, op.first, op.end)
        for key, record in changes.records.items():
            batch.put(Family.LOG, key, encode_record(record))
        forgotten = self._put_peers(batch, changes)
        state = State(changes.counts, self.time.reading())
        batch.put(Family.META, META_STATE, encode_state(state))
        self.key_value.write(batch)
        for watch in self.chunk_watches:
            for op in changes.ops:
                if isinstance(op, Remove):
                    watch.note(op)
        self.counts = changes.counts
        for entry in written:
            self.caches.note_put(entry)
        self.caches.note_changed(changes.records.items(), changes.new_logs)
        self.caches.note_forgotten(changes.forgotten_logs.items())
        self.peer_order.move(changes.peers, forgotten, changes.returned)
        if changes.returned:
            self.cursors_returned.set()
            self.cursors_returned = asyncio.Event()
        if changes.grows_refill:
            self.refill_grown.set()
            self.refill_grown = asyncio.Event()

    def _put_peers(self, batch: Batch, changes: Changes) -> list[NodeId]:
        forgotten = self.peer_order.surplus(changes.peers)
        for peer in forgotten:
            batch.delete(Family.PEER, peer.encode())
        for peer, kept in changes.peers.items():
            batch.put(Family.PEER, peer.encode(), encode_peer(kept))
        return forgotten
