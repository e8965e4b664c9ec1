"""What a group of deposits changes: pure, decided before anything is written.

A `GroupPlan` is made of what the database knows of the logs that the deposits touch. Each deposit
is a `Trial` on top of those before it, dropped when it is refused, so that one deposit of a group
never harms another. Nothing here reads or waits.

Invariants: a log gets one change a group, however many deposits touch it; chunks that were written
for a blob which is not held after the group go with the group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from meshbox.core.errors import StoreFull, TooManyRanges
from meshbox.core.ids import LogKey, NodeId
from meshbox.core.inventory import LogRecord
from meshbox.core.room import LOG_BYTES_MAX, UNBOUNDED, RoomLeft, room_bytes
from meshbox.storage.embedded.changes import Changes, Put, Remove
from meshbox.storage.embedded.peers import UNKNOWN_PEER, PeerRecord
from meshbox.storage.embedded.records import encode_name
from meshbox.storage.embedded.schema import chunk_range, feed_key, topic_prefix
from meshbox.storage.embedded.state import Counts
from meshbox.storage.embedded.trial import Basis, Content, Held, Place, PreparedBlob, Trial
from meshbox.storage.interface import Outcome, PeerCursor, PeerRefill
from meshbox.storage.keyvalue import Family

_Settled = TypeVar("_Settled", PeerCursor, PeerRefill)


class PreparedDeposit(NamedTuple):
    """A deposit as the planner takes it."""

    blobs: tuple[PreparedBlob, ...]
    cursors: Sequence[PeerCursor]
    refills: Sequence[PeerRefill]
    notes: Sequence[Put]
    whole: bool
    bytes: int
    """Bytes of the blobs that are not in chunks."""
    prepared_ms: int
    """Node time at which the blobs are as old as their stamps say."""

    @property
    def footprint_bytes(self) -> int:
        """What it may count for at most: if all of it were new, each blob in a log of its own."""
        return sum(blob.footprint_bytes for blob in self.blobs) + len(self.blobs) * LOG_BYTES_MAX


@dataclass(slots=True)
class Known:
    """What the database says of everything that a group touches."""

    records: dict[LogKey, LogRecord | None]
    """Of every log of the group."""
    held: dict[Place, Held] = field(default_factory=dict)
    """Of every blob held where one of the group would go."""
    chunked: set[Content] = field(default_factory=set)
    """Of the group's blobs in chunks, those whose chunks are all there."""
    peers: dict[NodeId, PeerRecord | None] = field(default_factory=dict)
    """Of every peer of the group."""
    returned_at: Mapping[NodeId, int] = field(default_factory=dict)
    """Since when cursors of a peer count, where they went back."""


class GroupPlan:
    """The deposits of one group, one after another."""

    def __init__(
        self, known: Known, counts: Counts, *, due_through: int, room: RoomLeft = UNBOUNDED
    ) -> None:
        """`due_through`: the highest bucket that is due, -1 when none is."""
        self._room = room
        self._before = known.records
        self._counts = counts
        self._due_through = due_through
        self._records = dict(known.records)
        self._held = known.held
        self._chunked = known.chunked
        self._peers = {peer: kept or UNKNOWN_PEER for peer, kept in known.peers.items()}
        self._returned_at = known.returned_at
        self._heard: set[NodeId] = set()
        self._changed: dict[LogKey, None] = {}
        self._ops: list[Put | Remove] = []
        self._counted = False

    def add(self, deposit: PreparedDeposit) -> tuple[Outcome, ...]:
        """What becomes of each blob; `TooManyRanges` or `ChunksMissing` when of none."""
        basis = Basis(
            self._records, self._held, frozenset(self._chunked), self._due_through, self._room
        )
        trial = Trial(basis)
        try:
            outcomes = trial.admit_all(deposit.blobs, whole=deposit.whole)
        except (StoreFull, TooManyRanges):
            self._drop_chunks(deposit)
            raise
        self._accept(trial)
        self._drop_chunks(deposit)
        for cursor in deposit.cursors:
            self._keep(_passing(cursor, deposit.blobs, outcomes))
        for refill in deposit.refills:
            self._note_asked(_passing(refill, deposit.blobs, outcomes))
        self._ops += deposit.notes
        return outcomes

    def finish(self) -> Changes | None:
        """What is to be written; None when nothing is."""
        changes = Changes(self._counts, self._ops)
        for key in self._changed:
            self._file(changes, key)
        changes.peers = {peer: self._peers[peer] for peer in self._heard}
        nothing = not (self._ops or self._changed or self._heard or self._counted)
        return None if nothing else changes

    def _accept(self, trial: Trial) -> None:
        for key, record in trial.records():
            self._records[key] = record
            self._changed[key] = None
        self._room = self._room.taking(trial.taken_bytes)
        self._held.update(trial.held)
        self._ops += trial.ops
        if self._chunked:
            self._forget_removed_chunks(trial.ops)
        if trial.expired or trial.conflicts:
            self._counted = True
            self._counts = self._counts._replace(
                expired=self._counts.expired + trial.expired,
                conflicts=self._counts.conflicts + trial.conflicts,
            )

    def _forget_removed_chunks(self, ops: list[Put | Remove]) -> None:
        """A later deposit of the group must not count on chunks that an earlier one removes."""
        for op in ops:
            if isinstance(op, Remove) and op.end is not None:
                first, end = op.first, op.end
                self._chunked = {
                    content
                    for content in self._chunked
                    if not first <= chunk_range(*content)[0] < end
                }

    def _drop_chunks(self, deposit: PreparedDeposit) -> None:
        """Removes the chunks of those blobs that the group does not hold after all."""
        if not self._chunked:
            return
        for blob in deposit.blobs:
            content = (blob.blob_key, blob.header.content_hash)
            if content in self._chunked and not self._holds(blob):
                self._chunked.discard(content)
                self._ops.append(Remove(Family.BLOB, *chunk_range(*content)))

    def _holds(self, blob: PreparedBlob) -> bool:
        """Whether the blob held at its place has just the chunks of `blob`."""
        record = self._records[blob.key]
        run = record.run_of(blob.seq) if record is not None else None
        if run is None or run.bucket != blob.bucket:
            return False
        header = self._held[blob.key, blob.seq].header
        return header.chunked and header.content_hash == blob.header.content_hash

    def _keep(self, cursor: PeerCursor) -> None:
        if cursor.returns < self._returned_at.get(cursor.peer, 0):
            return
        before = self._peers[cursor.peer]
        after = before.adding(cursor, change=self._counts.change)
        if after is not before:
            self._peers[cursor.peer] = after
            self._heard.add(cursor.peer)

    def _note_asked(self, refill: PeerRefill) -> None:
        before = self._peers[refill.peer]
        after = before.asked_for(refill, change=self._counts.change)
        if after is not before:
            self._peers[refill.peer] = after
            self._heard.add(refill.peer)

    def _file(self, changes: Changes, key: LogKey) -> None:
        """Gives a changed log its place at the feed's end, and counts it."""
        before, after = self._before[key], self._records[key]
        assert after is not None, "a log that changed has a record"
        change = changes.counts.change + 1
        changes.move(key, before, after._replace(change=change))
        changes.counts = changes.counts._replace(change=change)
        if before is not None:
            changes.ops.append(Remove(Family.FEED, feed_key(before.change)))
        else:
            changes.new_logs.add(key)
            prefix = topic_prefix(after.log.namespace, after.log.topic)
            changes.ops.append(Put(Family.TOPIC, prefix + key, encode_name(after.log)))
        changes.ops.append(Put(Family.FEED, feed_key(change), key))


def _passing(
    settled: _Settled, blobs: Sequence[PreparedBlob], outcomes: Sequence[Outcome]
) -> _Settled:
    """What is settled, which also passes what there was no room for in its own deposit."""
    judged = zip(blobs, outcomes, strict=True)
    sizes: list[int] = [
        room_bytes(blob.header.size_bytes) for blob, outcome in judged if outcome is Outcome.NO_ROOM
    ]
    if not sizes:
        return settled
    least_bytes = min(*sizes, settled.room_bytes) if settled.passed else min(sizes)
    return settled._replace(passed=True, room_bytes=least_bytes)
