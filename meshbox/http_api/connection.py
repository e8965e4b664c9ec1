"""One HTTP connection's deadlines, and how many connections there may be.

aiohttp parses and answers; on its own (3.14) it ends a connection that sends no complete request
only after its keep-alive time, which must be long for polling apps, never ends one whose reader
stands still, takes any number of connections, and logs a traceback for each malformed request.
What is added here:

    state            ends after                    then
    header expected  head_ms_max, from the start   cut, however it drips
    request handled  what the handler allows       (body.py, exchange.py)
    idle             idle_ms_max                   cut, with whatever was not read

A connection is cut with a reset: closing would wait for a reader that never reads. For a newcomer
beyond `connections_max` the connection that has been idle longest goes; when none is, the newcomer.
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Any, Final, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from meshbox.http_api.cors import CORS_HEADERS
from meshbox.http_api.settings import HttpSettings

SERVER: Final = "meshbox"

_REFUSAL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\n"
    b"connection: close\r\naccess-control-allow-origin: *\r\n\r\n"
)
_TICKS_A_DEADLINE: Final = 8
_TICK_S_MAX: Final = 0.5

_LOG: Final = logging.getLogger("meshbox.http")


class Connection(web.RequestHandler):
    """aiohttp's connection, with deadlines. Times are those of the event loop, in seconds."""

    __slots__ = ("_clock", "_connections", "_socket", "client", "deadline", "is_idle")

    def __init__(self, manager: ConnectionServer, **settings: Any) -> None:
        super().__init__(manager, **settings)
        self._clock = asyncio.get_running_loop().time
        self._connections = manager.live
        self._socket: asyncio.Transport | None = None
        """aiohttp forgets its own when it begins to close, which a reader may keep from ending."""
        self.client = ""
        self.deadline = math.inf
        self.is_idle = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast("asyncio.Transport", transport)
        if not self._connections.admit(self):
            self._socket.write(_REFUSAL)
            self._socket.close()
            return
        peer = transport.get_extra_info("peername")
        self.client = peer[0] if isinstance(peer, tuple) else ""
        self.deadline = self._clock() + self._connections.head_s_max
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._connections.forget(self)
        self._socket = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.is_idle and data:
            self.is_idle = False
            self.deadline = self._clock() + self._connections.head_s_max
        super().data_received(data)

    def request_begun(self) -> None:
        """A header is complete: from here to `request_answered` the handler has the time."""
        self.is_idle = False
        self.deadline = math.inf

    def request_answered(self) -> None:
        """The answer is written, or will be by a reader who has `idle_ms_max` for it."""
        self.is_idle = True
        self.deadline = self._clock() + self._connections.idle_s_max
        self._connections.mark_idle(self)

    def cut(self) -> None:
        """Ends the connection at once."""
        if self._socket is not None:
            self._socket.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is not HTTP gets 400 and no traceback; all else is a bug of ours and is logged."""
        if not isinstance(exc, HttpProcessingError):
            _LOG.error("a request handler failed", exc_info=exc)
            message = "internal error"
        text = f"{message or 'bad request'}\n"
        answer = web.Response(status=status, text=text, headers=[*CORS_HEADERS, ("server", SERVER)])
        answer.force_close()
        return answer


class LiveConnections:
    """The connections of all listeners of one API."""

    def __init__(self, settings: HttpSettings) -> None:
        self.head_s_max = settings.head_ms_max / 1000
        self.idle_s_max = settings.idle_ms_max / 1000
        self._connections_max = settings.connections_max
        self._live: dict[Connection, None] = {}
        """In the order in which they became idle, those that never were by their beginning."""

    def __len__(self) -> int:
        return len(self._live)

    def admit(self, connection: Connection) -> bool:
        """Whether there is room for one more, or could be made."""
        if len(self._live) >= self._connections_max:
            oldest = next((other for other in self._live if other.is_idle), None)
            if oldest is None:
                return False
            self.forget(oldest)
            oldest.cut()
        self._live[connection] = None
        return True

    def mark_idle(self, connection: Connection) -> None:
        """The connection waits for its next request from now on."""
        if connection in self._live:
            self._live[connection] = self._live.pop(connection)

    def forget(self, connection: Connection) -> None:
        """The connection is gone."""
        self._live.pop(connection, None)

    def cut_all(self) -> None:
        """Ends every connection at once."""
        for connection in list(self._live):
            connection.cut()

    async def keep_deadlines(self) -> None:
        """Cuts every connection whose deadline passed; runs until it is cancelled."""
        tick_s = min(self.head_s_max, self.idle_s_max) / _TICKS_A_DEADLINE
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(min(tick_s, _TICK_S_MAX))
            now = clock()
            for connection in [late for late in self._live if late.deadline <= now]:
                connection.cut()


class ConnectionServer(web.Server):
    """Makes a `Connection` of whatever a listener accepts."""

    def __init__(self, handler: Any, *, live: LiveConnections, **settings: Any) -> None:
        super().__init__(handler, **settings)
        self.live = live

    def __call__(self) -> Connection:
        return Connection(self, loop=self._loop, **self._kwargs)
