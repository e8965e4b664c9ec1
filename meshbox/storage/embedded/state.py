"""The store's own state: exact counts, the feed's counter, how far it swept, clock, epochs.

Counts and the clock's reading are one small value, written with every batch, so that they are
never ahead of the data nor behind it. Epochs are written once an opening.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from meshbox.core.clock import SavedReading
from meshbox.core.errors import StoreFailed
from meshbox.core.limits import EPOCHS_KEPT
from meshbox.storage.interface import Epoch


class Counts(NamedTuple):
    """What is counted, as of one batch."""

    change: int = 0
    """The feed's counter: above every change that any log has."""
    logs: int = 0
    """Logs that hold something."""
    blobs: int = 0
    bytes: int = 0
    conflicts: int = 0
    expired: int = 0
    evicted: int = 0
    relayed: int = 0
    swept: int = -1
    """The highest bucket that was ever swept; -1 before the first."""
    refills: int = 0
    """Entries of the refill list."""


class State(NamedTuple):
    """Everything that is written with every batch."""

    counts: Counts
    reading: SavedReading


class FormerEpoch(NamedTuple):
    """An opening that is over, and the last change that it made."""

    epoch: Epoch
    last_change: int


class Epochs(NamedTuple):
    """This opening and the former ones whose cursors are still honoured, newest first."""

    current: Epoch
    former: tuple[FormerEpoch, ...] = ()

    def succeeded_by(self, epoch_id: bytes, *, last_change: int) -> Epochs:
        """After another opening; `last_change` is the counter that was found."""
        former = (FormerEpoch(self.current, last_change), *self.former)
        return Epochs(Epoch(self.current.number + 1, epoch_id), former[:EPOCHS_KEPT])


_encoder = msgspec.msgpack.Encoder()
_state_decoder = msgspec.msgpack.Decoder(State)
_epochs_decoder = msgspec.msgpack.Decoder(Epochs)


def encode_state(state: State) -> bytes:
    """The value that every batch writes."""
    return _encoder.encode(state)


def decode_state(value: bytes) -> State:
    """What `encode_state` made; `StoreFailed` for anything else."""
    try:
        return _state_decoder.decode(value)
    except msgspec.DecodeError as error:
        raise StoreFailed("the store's state in the database is damaged") from error


def encode_epochs(epochs: Epochs) -> bytes:
    """The value that an opening writes."""
    return _encoder.encode(epochs)


def decode_epochs(value: bytes) -> Epochs:
    """What `encode_epochs` made; `StoreFailed` for anything else."""
    try:
        return _epochs_decoder.decode(value)
    except msgspec.DecodeError as error:
        raise StoreFailed("the store's epochs in the database are damaged") from error
