"""`KeyValue`: the small seam under the embedded store: ordered bytes in families, atomic batches.

What an adapter promises, and all that the store's logic builds on:

- A batch is atomic, also across a power cut, and its operations take effect in their order.
- `write` makes a batch visible to every read at once, but not durable. `sync` makes durable all
  that was written before it was called. A power cut keeps the batches up to some point: never a
  later one without all earlier ones.
- A read never passes over damage in silence.

Errors: `StoreFailed` (disk or database; after one from `write` or `sync` nothing more may be
written), `StoreBusy` from `write` (the database is behind; nothing of the batch was written). No
other exception leaves an adapter. One thread calls; only `sync`, `flush`, `reclaim` and `close`
wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Protocol


class Family(Enum):
    """A key space of its own; the value is its name in the database."""

    BLOB = "blob"
    LOG = "log"
    FEED = "feed"
    DUE = "due"
    TOPIC = "topic"
    PEER = "peer"
    REFILL = "refill"
    EVICTED = "evicted"
    EMPTY = "empty"
    NOTE = "note"
    META = "meta"
    SPARE = "spare"


class Batch(Protocol):
    """Changes that happen together. Used once."""

    def put(self, family: Family, key: bytes, value: bytes) -> None:
        """Sets `key`."""

    def delete(self, family: Family, key: bytes) -> None:
        """Removes `key`, if it is there."""

    def delete_range(self, family: Family, first: bytes, end: bytes) -> None:
        """Removes every key of [first, end)."""


class KeyValue(Protocol):
    """An ordered database of bytes; keys compare as bytes do."""

    def get_many(self, family: Family, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of `keys`, in order; None where there is none."""

    def scan(
        self, family: Family, first: bytes, end: bytes, *, limit: int
    ) -> list[tuple[bytes, bytes]]:
        """The first `limit` entries of [first, end), ascending."""

    def new_batch(self) -> Batch:
        """An empty batch for `write`."""

    def write(self, batch: Batch) -> None:
        """Makes the batch visible; `sync` makes it durable."""

    async def sync(self) -> None:
        """Makes durable everything that was written before the call."""

    async def flush(self) -> None:
        """Puts everything into the database's final form: what was recovered is then durable."""

    async def reclaim(self, family: Family, first: bytes, end: bytes) -> None:
        """Gives the disk space of what was removed from [first, end) back."""

    def disk_bytes(self) -> int:
        """Bytes that the database takes on disk."""

    async def close(self) -> None:
        """Lets go of the disk, when all calls have returned. A second call does nothing."""
