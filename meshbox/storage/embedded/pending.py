"""How much may wait to be committed: beyond it a caller is told to try again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from meshbox.core.errors import StoreBusy
from meshbox.core.limits import PENDING_BLOBS_MAX, PENDING_BYTES_MAX


class Pending:
    """The blobs and bytes of all deposits under way."""

    def __init__(self) -> None:
        self._blobs = 0
        self._bytes = 0

    @contextmanager
    def taken(self, *, blobs: int, size_bytes: int) -> Iterator[None]:
        """Takes room for one deposit while it lasts; `StoreBusy` when there is not enough.

        A deposit that would be the only one always has room: its own size is its caller's limit.
        """
        full = (
            self._blobs + blobs > PENDING_BLOBS_MAX or self._bytes + size_bytes > PENDING_BYTES_MAX
        )
        if full and self._blobs:
            raise StoreBusy("too much waits to be stored", hint="try again in a moment")
        self._blobs += blobs
        self._bytes += size_bytes
        try:
            yield
        finally:
            self._blobs -= blobs
            self._bytes -= size_bytes
