"""The feed's counter, as one process counts: it moves whenever something more can be read.

It is no position: one is given before what it is of can be read, and to others meanwhile, so the
highest alone would not move when that one can be.
"""

from __future__ import annotations

import asyncio
from typing import Final

from meshbox.storage.cassandra.positions import Positions

SOON_S: Final = 0.1
"""Seconds after which news are read again that told of what could not be read yet."""


class FeedCounter:
    """Of one open store. Belongs to one event loop."""

    def __init__(self, positions: Positions) -> None:
        self._positions = positions
        self.value = positions.last
        """It only ascends, and is no lower than any position that was given or heard of when it
        moved."""
        self._moved = asyncio.Event()
        self._soon: asyncio.TimerHandle | None = None

    def move(self) -> None:
        """Wakes who waits."""
        self.value = max(self.value + 1, self._positions.last)
        self._moved.set()
        self._moved = asyncio.Event()

    def move_soon(self) -> None:
        """The same in `SOON_S`, once for all who ask for it until then."""
        if self._soon is None:
            self._soon = asyncio.get_running_loop().call_later(SOON_S, self._move_now)

    async def moved(self) -> None:
        """Returns at the next move."""
        await self._moved.wait()

    def close(self) -> None:
        """Nothing moves by itself any more."""
        if self._soon is not None:
            self._soon.cancel()

    def _move_now(self) -> None:
        self._soon = None
        self.move()
