"""The listeners and connections of an API, whatever it answers."""

from __future__ import annotations

import asyncio
import socket
import ssl

from meshbox.core.limits import BACKLOG_CONNECTIONS
from meshbox.http_api.connection import Connection, RequestHandler
from meshbox.http_api.live_connections import LiveConnections
from meshbox.http_api.responses import Encoder
from meshbox.http_api.settings import HttpSettings


class Listening:
    """Gives each request to `handle`. Made in its event loop; `stop` ends it."""

    def __init__(self, handle: RequestHandler, *, settings: HttpSettings, encoder: Encoder) -> None:
        self._handle = handle
        self._settings = settings
        self._encoder = encoder
        self._live = LiveConnections(settings)
        self._listeners: list[asyncio.Server] = []
        self._deadlines: asyncio.Task[None] | None = None

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._live)

    @property
    def is_draining(self) -> bool:
        """Each connection ends with its next answer."""
        return self._live.is_draining

    def drain(self) -> None:
        """From now on each connection ends with its next answer."""
        self._live.is_draining = True

    async def start(self, listener: socket.socket, *, tls: ssl.SSLContext | None = None) -> None:
        """Serves what `listener` accepts, which is ours from now on; again for another listener."""
        if self._deadlines is None:
            self._deadlines = asyncio.create_task(self._live.keep_deadlines())
        handshake_s_max = self._settings.head_ms_max / 1000 if tls else None
        self._listeners.append(
            await asyncio.get_running_loop().create_server(
                self._new_connection,
                sock=listener,
                ssl=tls,
                backlog=BACKLOG_CONNECTIONS,
                ssl_handshake_timeout=handshake_s_max,
            )
        )

    def close(self) -> None:
        """Accepts nothing more."""
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()

    async def stop(self) -> None:
        """Accepts nothing more and closes everything: requests in progress have `stop_ms_max` to
        end, and as long again to be cancelled."""
        self.close()
        await self._live.stop(patience_s=self._settings.stop_ms_max / 1000)
        if self._deadlines is not None:
            self._deadlines.cancel()
            await asyncio.gather(self._deadlines, return_exceptions=True)
        self._deadlines = None

    def _new_connection(self) -> Connection:
        return Connection(
            self._handle, live=self._live, settings=self._settings, encoder=self._encoder
        )
