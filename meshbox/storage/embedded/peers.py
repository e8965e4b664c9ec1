"""What is kept of a peer: the last cursors of its last epochs, in its own opaque words, and how far
it was asked for the logs of the refill list (refill.py).

Bounded: `CURSORS_KEPT` cursors an epoch and epochs a peer here, `PEERS_KEPT_MAX` peers in the
store, where the peer that has been quiet longest is forgotten first. A forgotten cursor costs one
reconciliation, nothing more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from meshbox.core.errors import StoreFailed
from meshbox.core.ids import NodeId
from meshbox.core.limits import CURSORS_KEPT, PEERS_KEPT_MAX
from meshbox.storage.interface import PeerCursor


class EpochCursors(NamedTuple):
    """The cursors of one epoch of a peer, newest first."""

    epoch_id: bytes
    cursors: tuple[bytes, ...]


class PeerRecord(NamedTuple):
    """All that is kept of one peer."""

    change: int
    """Our feed's counter when the peer last gave a cursor: the lowest is the quietest peer."""
    epochs: tuple[EpochCursors, ...] = ()
    """Newest first."""
    refilled: bytes = b""
    """The last entry of the refill list that it was asked for."""

    def adding(self, new: PeerCursor, *, change: int) -> PeerRecord:
        """With one more cursor; itself when that is the newest already."""
        kept = next((e.cursors for e in self.epochs if e.epoch_id == new.epoch_id), ())
        if kept[:1] == (new.cursor,) and self.epochs[0].epoch_id == new.epoch_id:
            return self
        cursors = (new.cursor, *(c for c in kept if c != new.cursor))[:CURSORS_KEPT]
        others = tuple(e for e in self.epochs if e.epoch_id != new.epoch_id)
        epochs = (EpochCursors(new.epoch_id, cursors), *others)
        return self._replace(change=change, epochs=epochs[:CURSORS_KEPT])

    def asked_for(self, through: bytes, *, change: int) -> PeerRecord:
        """After it was asked for the refill list up to `through`; it never goes back."""
        if through <= self.refilled:
            return self
        return self._replace(change=change, refilled=through)

    def newest(self, peer: NodeId) -> tuple[PeerCursor, ...]:
        """The newest cursor of each epoch, newest epoch first."""
        return tuple(PeerCursor(peer, e.epoch_id, e.cursors[0]) for e in self.epochs)


UNKNOWN_PEER = PeerRecord(0)


class PeerOrder:
    """Which peers have cursors in the store, the quietest first. Not a value: the store's own."""

    def __init__(self, known: Iterable[tuple[NodeId, PeerRecord]]) -> None:
        ordered = sorted(known, key=lambda item: item[1].change)
        self._peers: dict[NodeId, None] = {peer: None for peer, _ in ordered}

    def surplus(self, heard: Iterable[NodeId]) -> list[NodeId]:
        """Whom to forget so that those just `heard` have a place; changes nothing."""
        heard_set = set(heard)
        new_count = len(heard_set - self._peers.keys())
        count = max(0, len(self._peers) + new_count - PEERS_KEPT_MAX)
        quiet = (peer for peer in self._peers if peer not in heard_set)
        return [peer for peer, _ in zip(quiet, range(count), strict=False)]

    def move(self, heard: Iterable[NodeId], forgotten: Iterable[NodeId]) -> None:
        """Takes notice of what was written."""
        for peer in forgotten:
            del self._peers[peer]
        for peer in heard:
            self._peers.pop(peer, None)
            self._peers[peer] = None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(PeerRecord)


def encode_peer(record: PeerRecord) -> bytes:
    """The value of the peer family."""
    return _encoder.encode(record)


def decode_peer(value: bytes) -> PeerRecord:
    """What `encode_peer` made; `StoreFailed` for anything else."""
    try:
        return _decoder.decode(value)
    except msgspec.DecodeError as error:
        raise StoreFailed("a peer's cursors in the database are damaged") from error
