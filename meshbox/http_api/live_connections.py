"""How many connections there may be, and whose deadline passed.

For a newcomer beyond `connections_max` the connection that has been idle longest goes; when none
is, the newcomer.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from meshbox.http_api.settings import HttpSettings

_TICKS_A_DEADLINE: Final = 8
_TICK_S_MAX: Final = 0.5


class LiveConnection(Protocol):
    """What is asked of a connection."""

    deadline: float
    """When it is to be cut, in the time of the event loop."""
    is_idle: bool
    """It waits for its next request."""
    task: asyncio.Task[None] | None
    """What answers the request in progress."""

    def stop(self) -> None:
        """Ends it when the request in progress is answered, or at once."""

    def cut(self) -> None:
        """Ends it at once."""


class LiveConnections:
    """The connections of all listeners of one API."""

    def __init__(self, settings: HttpSettings) -> None:
        deadlines_ms = (settings.head_ms_max, settings.idle_ms_max, settings.body_unread_ms_max)
        self._tick_s = min(_TICK_S_MAX, min(deadlines_ms) / 1000 / _TICKS_A_DEADLINE)
        self._connections_max = settings.connections_max
        self._live: dict[LiveConnection, None] = {}
        """In the order in which they became idle, those that never were by their beginning."""
        self.is_draining = False
        """Each connection ends with its next answer."""

    def __len__(self) -> int:
        return len(self._live)

    def admit(self, connection: LiveConnection) -> bool:
        """Whether there is room for one more, or could be made."""
        if len(self._live) >= self._connections_max:
            oldest = next((other for other in self._live if other.is_idle), None)
            if oldest is None:
                return False
            self.forget(oldest)
            oldest.cut()
        self._live[connection] = None
        return True

    def mark_idle(self, connection: LiveConnection) -> None:
        """The connection waits for its next request from now on."""
        if connection in self._live:
            self._live[connection] = self._live.pop(connection)

    def forget(self, connection: LiveConnection) -> None:
        """The connection is gone."""
        self._live.pop(connection, None)

    async def stop(self, *, patience_s: float) -> None:
        """Ends every connection: those that are not in a request at once, the others have
        `patience_s` to answer it, and as long again to be cancelled. Then all are cut."""
        for connection in list(self._live):
            connection.stop()
        tasks = [connection.task for connection in self._live if connection.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=patience_s)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=patience_s)
        for connection in list(self._live):
            connection.cut()

    async def keep_deadlines(self) -> None:
        """Cuts every connection whose deadline passed; runs until it is cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(self._tick_s)
            now = clock()
            for connection in [late for late in self._live if late.deadline <= now]:
                connection.cut()
