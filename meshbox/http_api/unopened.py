"""What clients get of a node whose store is not open yet: 503 at once, and when to ask again.

Its connections end with their answer, so that nobody stays with it when the mailbox is open.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Final

from meshbox.core.errors import NodeStarting
from meshbox.http_api.connection import Connection
from meshbox.http_api.listening import Listening
from meshbox.http_api.request import Request
from meshbox.http_api.responses import PREFLIGHT, Encoder, refusal
from meshbox.http_api.settings import HttpSettings

# Strangers are not told what is wrong with it: its operator is, by `meshbox status`.
_TRY_AGAIN: Final = refusal(NodeStarting("the mailbox is not open yet"))


class UnopenedApi:
    """Answers in the place of `HttpApi` until that can."""

    def __init__(self, *, wall_ms: Callable[[], int], settings: HttpSettings) -> None:
        """`wall_ms`: the wall clock in ms since 1970, which dates answers."""
        self._listening = Listening(self._handle, settings=settings, encoder=Encoder(wall_ms))
        self._listening.drain()

    async def start(self, listener: socket.socket, *, tls: ssl.SSLContext | None = None) -> None:
        """Serves what `listener` accepts; that itself stays the caller's."""
        await self._listening.start(listener.dup(), tls=tls)

    async def stop(self) -> None:
        """Closes everything."""
        await self._listening.stop()

    async def _handle(self, request: Request, connection: Connection) -> None:
        answer = PREFLIGHT if request.method == "OPTIONS" else _TRY_AGAIN
        await connection.send(request, answer)
