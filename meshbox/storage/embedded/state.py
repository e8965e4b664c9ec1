"""The store's own state: exact counts, the feed's counter, how far it swept, clock, epochs.

Counts and the clock's reading are one small value, written with every batch, so that they are
never ahead of the data nor behind it. Epochs are written once an opening.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from meshbox.core.clock import SavedReading
from meshbox.core.errors import StoreDamaged
from meshbox.core.inventory import LogRecord
from meshbox.core.limits import EPOCHS_KEPT
from meshbox.core.room import footprint_bytes, metadata_bytes
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
    logs_bytes: int = 0
    """What all logs that are remembered count for, beside their blobs (`metadata_bytes`)."""
    empty_bytes: int = 0
    """Of that, those with nothing held."""

    @property
    def used_bytes(self) -> int:
        """What the allocation is compared with (core/room.py)."""
        return footprint_bytes(blobs=self.blobs, size_bytes=self.bytes, logs_bytes=self.logs_bytes)

    def moved(self, before: LogRecord | None, after: LogRecord | None) -> Counts:
        """The counts when a log that was `before` is `after`; None: unknown."""
        logs, blobs, size_bytes = _held(before)
        logs_now, blobs_now, size_bytes_now = _held(after)
        return self._replace(
            logs=self.logs + logs_now - logs,
            blobs=self.blobs + blobs_now - blobs,
            bytes=self.bytes + size_bytes_now - size_bytes,
            logs_bytes=self.logs_bytes + metadata_bytes(after) - metadata_bytes(before),
            empty_bytes=self.empty_bytes + _empty_bytes(after) - _empty_bytes(before),
        )


def _held(record: LogRecord | None) -> tuple[int, int, int]:
    """Whether it holds anything, how many blobs, how many bytes."""
    if record is None or not record.runs:
        return 0, 0, 0
    return 1, record.blobs, record.bytes


def _empty_bytes(record: LogRecord | None) -> int:
    """What a log with nothing held counts for; 0 of others."""
    return 0 if record is None or record.runs else metadata_bytes(record)


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
    """What `encode_state` made; `StoreDamaged` for anything else."""
    try:
        return _state_decoder.decode(value)
    except msgspec.DecodeError as error:
        raise StoreDamaged("the store's state in the database is damaged") from error


def encode_epochs(epochs: Epochs) -> bytes:
    """The value that an opening writes."""
    return _encoder.encode(epochs)


def decode_epochs(value: bytes) -> Epochs:
    """What `encode_epochs` made; `StoreDamaged` for anything else."""
    try:
        return _epochs_decoder.decode(value)
    except msgspec.DecodeError as error:
        raise StoreDamaged("the store's epochs in the database are damaged") from error
