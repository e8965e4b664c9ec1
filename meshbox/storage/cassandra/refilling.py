"""The refill list: logs that every peer is to be asked for by name, once, the oldest first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from struct import Struct
from typing import Final

from meshbox.core.ids import LogKey
from meshbox.core.limits import REFILL_LOGS_MAX
from meshbox.storage.cassandra.connection import Connection
from meshbox.storage.cassandra.lives import FEED_S
from meshbox.storage.cassandra.positions import Positions, position_of
from meshbox.storage.cassandra.statements import Statements
from meshbox.storage.cassandra.time import StoreTime
from meshbox.storage.interface import RefillPage

_THROUGH = Struct(">Q")
_BATCH: Final = 256
_LOOK_S: Final = 5.0
"""Seconds between two looks for what other processes put on the list."""


class Refills:
    """The table `refill`."""

    def __init__(
        self,
        connection: Connection,
        statements: Statements,
        time: StoreTime,
        positions: Positions,
    ) -> None:
        self._connection = connection
        self._statements = statements
        self._time = time
        self._positions = positions
        self.grown = asyncio.Event()
        """Set, and replaced, when this process put logs on the list, or is closed."""

    async def add(self, logs: Sequence[LogKey]) -> None:
        """Puts logs at the end; the oldest go when there are too many."""
        now_ms = self._time.now_ms()
        write = self._statements.write_refill
        rows = [(write, (self._positions.next(now_ms), key, FEED_S)) for key in logs]
        batches = (rows[at : at + _BATCH] for at in range(0, len(rows), _BATCH))
        await asyncio.gather(*map(self._connection.batch, batches))
        rows = await self._connection.execute(self._statements.count_refill, self._oldest)
        surplus = rows[0][0] - REFILL_LOGS_MAX
        if surplus > 0:
            read = self._statements.read_refill
            gone = await self._connection.execute(read, self._oldest, surplus)
            await self._connection.execute(self._statements.drop_refill, gone[-1][0])
        self.grown.set()
        self.grown = asyncio.Event()

    async def page(self, refilled: bytes, *, logs_max: int) -> RefillPage | None:
        """The logs after `refilled` (`PeerRecord.refilled`); None when there are none."""
        after = _THROUGH.unpack(refilled)[0] if refilled else 0
        rows = await self._connection.execute(
            self._statements.read_refill, max(after, self._oldest), logs_max
        )
        if not rows:
            return None
        logs = dict.fromkeys(LogKey(key) for _, key in rows)
        return RefillPage(tuple(logs), _THROUGH.pack(rows[-1][0]))

    async def wait(self) -> None:
        """Until there may be more."""
        grown = self.grown
        try:
            async with asyncio.timeout(_LOOK_S):
                await grown.wait()
        except TimeoutError:
            return

    @property
    def _oldest(self) -> int:
        """What was put on the list up to here is as old as the retention: nothing comes back."""
        return max(0, position_of(self._time.now_ms() - self._time.retention.retention_ms + 1))
