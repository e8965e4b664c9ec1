"""Which of several processes of one store does what only one of them should do: a lease of a name.

To whoever is beyond them they are one node, and what each did would be done twice: so an internet
mailbox is exchanged with by one of them, and by another one within 10 s of that one's end.
A lease spares work; nothing is wrong where two have it for a moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol


class Leases(Protocol):
    """What one process may have by itself."""

    def lease(self, name: str) -> AbstractAsyncContextManager[asyncio.Event]:
        """Waits until this process alone has `name`; it has it until the event is set, or until it
        leaves. The event is set before another process may have it. Raises nothing."""


class Alone:
    """The leases of a store that no other process shares: they are had at once, and for good."""

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[asyncio.Event]:
        """See `Leases`."""
        assert name
        yield asyncio.Event()
