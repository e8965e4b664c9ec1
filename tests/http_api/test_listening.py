"""What both of its users do is in test_server.py and test_unopened.py; here is how it ends."""

from __future__ import annotations

import asyncio
import socket

import pytest

from meshbox.http_api.connection import Connection
from meshbox.http_api.listening import Listening
from meshbox.http_api.request import Request
from meshbox.http_api.responses import PREFLIGHT, Encoder
from meshbox.http_api.settings import HttpSettings


async def test_it_ends_and_can_be_started_again() -> None:
    async def handle(request: Request, connection: Connection) -> None:
        await connection.send(request, PREFLIGHT)

    listening = Listening(handle, settings=HttpSettings(), encoder=Encoder(lambda: 0))
    with socket.create_server(("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        await listening.start(first.dup())
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        assert listening.connections == 1
        await listening.stop()
        while await reader.read(1_000):
            pass
        writer.close()
        assert listening.connections == 0
        # The kernel takes connections as long as one descriptor listens: they wait for the next.
        waiting, answering = await asyncio.open_connection("127.0.0.1", port)
        answering.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        await listening.start(first.dup())
        assert (await waiting.readline()).startswith(b"HTTP/1.1 200")
        answering.close()
        await listening.stop()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
