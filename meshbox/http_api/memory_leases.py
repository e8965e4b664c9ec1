"""How many bytes may be on their way at one time, and who waits for leave.

First come, first served: a large request is not passed for ever by small ones. What asks for more
than there is at all gets all of it.

Invariant: what is lent is at most `bytes_max`, and every lease ends with its `with` block.
"""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType
from typing import Self

from meshbox.core.errors import NodeBusy


class MemoryLeases:
    """Lends `bytes_max` bytes."""

    def __init__(self, *, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._free_bytes = bytes_max
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def lent_bytes(self) -> int:
        """Bytes that are lent now."""
        return self._bytes_max - self._free_bytes

    def has_room(self, size_bytes: int) -> bool:
        """Whether `size_bytes` would be lent at once."""
        return not self._waiting and size_bytes <= self._free_bytes

    async def take(self, size_bytes: int, *, patience_s: float) -> int:
        """Waits for `size_bytes`; how many to give back. `NodeBusy` after `patience_s`."""
        size_bytes = min(size_bytes, self._bytes_max)
        if self.has_room(size_bytes):
            self._free_bytes -= size_bytes
            return size_bytes
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((size_bytes, turn))
        try:
            async with asyncio.timeout(patience_s):
                await turn
        except BaseException as error:
            self._withdraw(size_bytes, turn)
            if isinstance(error, TimeoutError):
                raise NodeBusy("too many large requests at one time, try again") from error
            raise
        return size_bytes

    def give_back(self, size_bytes: int) -> None:
        """Ends a lease, and begins those that now can."""
        self._free_bytes += size_bytes
        while self._waiting:
            size, turn = self._waiting[0]
            if size > self._free_bytes and not turn.cancelled():
                return
            self._waiting.popleft()
            if not turn.cancelled():
                self._free_bytes -= size
                turn.set_result(None)

    def _withdraw(self, size_bytes: int, turn: asyncio.Future[None]) -> None:
        """Ends a wait whose turn came too late, or makes way for those behind it."""
        lent = turn.done() and not turn.cancelled()
        self.give_back(size_bytes if lent else 0)


class Lease:
    """What one request has lent; ends with its `with` block. Costs nothing until it takes."""

    __slots__ = ("_leases", "_taken_bytes")

    def __init__(self, leases: MemoryLeases) -> None:
        self._leases = leases
        self._taken_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    async def take(self, size_bytes: int, *, patience_s: float) -> None:
        """Lends `size_bytes`, once a lease; `NodeBusy` when they do not come free in time."""
        assert not self._taken_bytes
        self._taken_bytes = await self._leases.take(size_bytes, patience_s=patience_s)

    def end(self) -> None:
        """Gives back what was taken, before the block's end."""
        taken, self._taken_bytes = self._taken_bytes, 0
        if taken:
            self._leases.give_back(taken)
