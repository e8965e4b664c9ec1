"""What is kept of a peer: the last cursors of its last epochs, in its own opaque words, and how far
it was asked for the logs of the refill list (refill.py).

Bounded: `CURSORS_KEPT` cursors an epoch and epochs a peer here, `PEERS_KEPT_MAX` peers in the
store, where the peer that has been quiet longest is forgotten first. A forgotten cursor costs one
reconciliation, nothing more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import msgspec

from meshbox.core.errors import StoreDamaged
from meshbox.core.ids import NodeId
from meshbox.core.limits import CURSORS_KEPT, PEERS_KEPT_MAX
from meshbox.storage.interface import PeerCursor, PeerRefill


class EpochCursors(NamedTuple):
    """The cursors of one epoch of a peer, newest first."""

    epoch_id: bytes
    cursors: tuple[bytes, ...]
    passed: bytes | None = None
    """The cursor before the first offer that we had no room for, b"" before any; None: we had."""

    def adding(self, new: PeerCursor) -> EpochCursors:
        """With one more cursor."""
        passed = self.passed
        if new.passed and passed is None:
            passed = self.cursors[0] if self.cursors else b""
        cursors = (new.cursor, *(c for c in self.cursors if c != new.cursor))[:CURSORS_KEPT]
        return EpochCursors(self.epoch_id, cursors, passed)


class PeerRecord(NamedTuple):
    """All that is kept of one peer."""

    change: int
    """Our feed's counter when the peer last gave a cursor: the lowest is the quietest peer."""
    epochs: tuple[EpochCursors, ...] = ()
    """Newest first."""
    refilled: bytes = b""
    """The last entry of the refill list that it was asked for."""
    room_bytes: int = 0
    """What the smallest takes of what was passed for lack of room; 0: not known."""

    def adding(self, new: PeerCursor, *, change: int) -> PeerRecord:
        """With one more cursor; itself when that is the newest already."""
        same = (e for e in self.epochs if e.epoch_id == new.epoch_id)
        kept = next(same, EpochCursors(new.epoch_id, ()))
        added = kept.adding(new)
        room_bytes = self.room_bytes
        if new.passed:
            room_bytes = min(room_bytes, new.room_bytes) if self.has_passed else new.room_bytes
        if (
            added == kept
            and room_bytes == self.room_bytes
            and self.epochs[0].epoch_id == new.epoch_id
        ):
            return self
        others = tuple(e for e in self.epochs if e.epoch_id != new.epoch_id)
        epochs = (added, *others)[:CURSORS_KEPT]
        if any(epoch.passed is not None for epoch in others[CURSORS_KEPT - 1 :]):
            epochs = (*epochs[:-1], epochs[-1]._replace(passed=b""))
        return self._replace(change=change, epochs=epochs, room_bytes=room_bytes)

    def asked_for(self, asked: PeerRefill, *, change: int) -> PeerRecord:
        """After it was asked for some of the refill list; it never goes back."""
        record = self._passing_all(asked) if asked.passed else self
        if asked.through > self.refilled:
            record = record._replace(refilled=asked.through)
        return self if record == self else record._replace(change=change)

    def _passing_all(self, asked: PeerRefill) -> PeerRecord:
        """Something was passed that no cursor is before."""
        *newer, oldest = self.epochs or (EpochCursors(asked.epoch_id, ()),)
        least_bytes = asked.room_bytes
        if self.has_passed:
            least_bytes = min(self.room_bytes, least_bytes)
        epochs = (*newer, oldest._replace(passed=b""))
        return self._replace(epochs=epochs, room_bytes=least_bytes)

    @property
    def has_passed(self) -> bool:
        """Whether something that it offered was passed for lack of room."""
        return any(epoch.passed is not None for epoch in self.epochs)

    def returned(self) -> PeerRecord:
        """Standing before all that was passed for lack of room: also without the cursors of epochs
        after that one, which began where it stood."""
        at = max(at for at, epoch in enumerate(self.epochs) if epoch.passed is not None)
        first = self.epochs[at]
        before = [EpochCursors(first.epoch_id, (first.passed,))] if first.passed else []
        return self._replace(epochs=(*before, *self.epochs[at + 1 :]), room_bytes=0)

    def newest(self, peer: NodeId) -> tuple[PeerCursor, ...]:
        """The newest cursor of each epoch, newest epoch first."""
        return tuple(PeerCursor(peer, e.epoch_id, e.cursors[0]) for e in self.epochs if e.cursors)


UNKNOWN_PEER = PeerRecord(0)


class PeerOrder:
    """Which peers have cursors in the store, the quietest first. Not a value: the store's own."""

    def __init__(self, known: Iterable[tuple[NodeId, PeerRecord]]) -> None:
        ordered = sorted(known, key=lambda item: item[1].change)
        self._peers: dict[NodeId, None] = {peer: None for peer, _ in ordered}
        self.passed = {peer: kept.room_bytes for peer, kept in ordered if kept.has_passed}
        """Those of whose offers we passed some for lack of room, and what the smallest takes."""
        self.returns = 0
        """How often cursors went back in this opening."""
        self.returned_at: dict[NodeId, int] = {}
        """Of the peers whose cursor went back, the last time: cursors of before do not count."""

    def surplus(self, heard: Iterable[NodeId]) -> list[NodeId]:
        """Whom to forget so that those just `heard` have a place; changes nothing."""
        heard_set = set(heard)
        new_count = len(heard_set - self._peers.keys())
        count = max(0, len(self._peers) + new_count - PEERS_KEPT_MAX)
        quiet = (peer for peer in self._peers if peer not in heard_set)
        return [peer for peer, _ in zip(quiet, range(count), strict=False)]

    def move(
        self,
        heard: Mapping[NodeId, PeerRecord],
        forgotten: Iterable[NodeId],
        returned: Collection[NodeId],
    ) -> None:
        """Takes notice of what was written."""
        for peer in forgotten:
            del self._peers[peer]
            self.passed.pop(peer, None)
            self.returned_at.pop(peer, None)
        for peer, kept in heard.items():
            self._peers.pop(peer, None)
            self._peers[peer] = None
            self.passed.pop(peer, None)
            if kept.has_passed:
                self.passed[peer] = kept.room_bytes
        if returned:
            self.returns += 1
            self.returned_at.update(dict.fromkeys(returned, self.returns))


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(PeerRecord)


def encode_peer(record: PeerRecord) -> bytes:
    """The value of the peer family."""
    return _encoder.encode(record)


def decode_peer(value: bytes) -> PeerRecord:
    """What `encode_peer` made; `StoreDamaged` for anything else."""
    try:
        return _decoder.decode(value)
    except msgspec.DecodeError as error:
        raise StoreDamaged("a peer's cursors in the database are damaged") from error
