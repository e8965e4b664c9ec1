"""Leases of names among the processes of one keyspace: rows of `mailbox` with a time to live.

                  free ── taken by whoever is first, for `LEASE_S` ──▶ held
                   ▲                                                    │ renewed every `RENEW_S`
                   └── let go, or `LEASE_S` after the last renewal ─────┘

By lightweight transactions, since of two that ask at once one must be told so; they are a few a
minute. A renewal whose answer does not come may have been done or not: so who holds a lease counts
`HELD_S` by its own clock, from before it sent the last one that was answered, and stops by then.

Invariant: who holds a lease stops before the row can end, as long as the servers' clocks agree to
within `LEASE_S` - `HELD_S` - 1 s: a time to live is in whole seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from meshbox.core.errors import StoreFailed
from meshbox.storage.cassandra.connection import Connection
from meshbox.storage.cassandra.statements import Statements

LEASE_S: Final = 6
"""Seconds until a lease is free that nobody renews."""
HELD_S: Final = 3.0
"""Seconds after which who could not renew it stops."""
RENEW_S: Final = 1.0
"""Seconds between two renewals."""
ASK_S: Final = 0.5
"""Seconds between two looks of those who wait: another one has it 7 s after the last renewal."""
LET_GO_S_MAX: Final = 1.0
"""Seconds that letting go waits for the servers."""


class KeyspaceLeases:
    """The leases of one process, called `process`."""

    def __init__(self, connection: Connection, statements: Statements, *, process: bytes) -> None:
        self._connection = connection
        self._statements = statements
        self._process = process

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[asyncio.Event]:
        """See `Leases`."""
        row = f"lease {name}"
        until_s = await self._taken(row)
        over = asyncio.Event()
        keeping = asyncio.create_task(self._keep(row, over, until_s))
        try:
            yield over
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])
            await self._let_go(row)

    async def _taken(self, row: str) -> float:
        """Waits until the lease is this process's; until when, by the loop's clock."""
        while True:
            with suppress(StoreFailed):
                if (until_s := await self._take(row)) is not None:
                    return until_s
            await asyncio.sleep(ASK_S)

    async def _take(self, row: str) -> float | None:
        found = await self._connection.execute(self._statements.read_setting, row)
        holder = found[0][0] if found else None
        if holder == self._process:  # Taken by a statement that was not answered.
            return await self._renew(row)
        if holder is not None:
            return None
        return await self._transact(self._statements.take_lease, row, self._process, LEASE_S)

    async def _renew(self, row: str) -> float | None:
        mine = self._process
        return await self._transact(self._statements.renew_lease, LEASE_S, mine, row, mine)

    async def _transact(self, statement: object, *values: object) -> float | None:
        """Until when the lease is held, if it could be written."""
        sent_s = asyncio.get_running_loop().time()
        answer = await self._connection.execute(statement, *values)
        return sent_s + HELD_S if answer[0][0] else None

    async def _keep(self, row: str, over: asyncio.Event, until_s: float) -> None:
        """Renews the lease until that is too late, or it is another's; sets `over` then."""
        try:
            while True:
                async with asyncio.timeout_at(until_s):
                    await asyncio.sleep(RENEW_S)
                    with suppress(StoreFailed):
                        renewed_s = await self._renew(row)
                        if renewed_s is None:
                            return
                        until_s = renewed_s
        except TimeoutError:
            return
        finally:
            over.set()

    async def _let_go(self, row: str) -> None:
        with suppress(StoreFailed, TimeoutError):
            async with asyncio.timeout(LET_GO_S_MAX):
                await self._connection.execute(self._statements.drop_lease, row, self._process)
