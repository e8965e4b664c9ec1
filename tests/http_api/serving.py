"""An HTTP API on a loopback port over a real store, and clients for it."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Self

import aiohttp

from meshbox.core.filling import NothingFilling
from meshbox.http_api.server import HttpApi
from meshbox.http_api.settings import HttpSettings
from meshbox.mailbox.mailbox import Mailbox
from meshbox.storage.interface import MailboxStore
from meshbox.storage.memory import MemoryKeyValue
from tests.mailbox.stores import NODE_ID, NODE_KEY, opened_store

WALL_MS = 1_800_000_000_000
_WHOLE_BYTES_MAX = 1024 * 1024
"""aiohttp warns of sending more bytes in one piece."""
JSON_HEADERS = {"content-type": "application/json"}


class Answered(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Service:
    """A running API and a client of it."""

    def __init__(self, api: HttpApi, mailbox: Mailbox, port: int) -> None:
        self.api = api
        self.mailbox = mailbox
        self.port = port
        self._session = aiohttp.ClientSession(f"http://127.0.0.1:{port}")

    async def request(
        self, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answered:
        """Any request; `body` is sent as it is."""
        if isinstance(body, bytes) and len(body) > _WHOLE_BYTES_MAX:
            body = io.BytesIO(body)
            headers = {**(headers or {}), "content-length": str(len(body.getbuffer()))}
        async with self._session.request(method, path, data=body, headers=headers) as response:
            return Answered(response.status, response.headers, await response.read())

    async def post(self, path: str, document: Any) -> Answered:
        """Posts JSON: bytes as they are, else what `document` encodes to."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return await self.request("POST", path, body=body, headers=JSON_HEADERS)

    async def connect(self, *, receive_bytes: int | None = None) -> RawClient:
        """A client that sends whatever bytes a test likes.

        With `receive_bytes` its kernel takes little more than so many bytes that are not read.
        """
        connection = socket.socket()
        connection.setblocking(False)
        if receive_bytes is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=connection)
        return RawClient(reader, writer)

    async def close(self) -> None:
        await self._session.close()
        await self.api.stop()


class RawClient:
    """One TCP connection; closed with its `with` block."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        await asyncio.gather(self.writer.wait_closed(), return_exceptions=True)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> Answered:
        """The next answer; its body by Content-Length."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")[:-2]
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return Answered(int(status.split()[1]), headers, body)

    async def closed(self) -> bytes:
        """What is still sent until the server ends the connection, however it does."""
        received = b""
        try:
            while chunk := await self.reader.read(65536):
                received += chunk
        except ConnectionError:
            pass
        return received


@asynccontextmanager
async def serving(
    store: MailboxStore, *, tls: ssl.SSLContext | None = None, **settings: Any
) -> AsyncIterator[Service]:
    """Serves `store` until the end of the block."""
    mailbox = Mailbox(store, node_key=NODE_KEY, tag_salt=b"salt", filling=NothingFilling())
    api = HttpApi(
        mailbox, node_id=NODE_ID, wall_ms=lambda: WALL_MS, settings=HttpSettings(**settings)
    )
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    await api.start(listener, tls=tls)
    service = Service(api, mailbox, port)
    try:
        yield service
    finally:
        await service.close()


def json_post(path: str, body: bytes, *, length: int | None = None, more: str = "") -> bytes:
    """A POST as bytes; `length` if not that of `body`."""
    size = len(body) if length is None else length
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        f"content-length: {size}\r\n{more}\r\n"
    )
    return head.encode() + body


@asynccontextmanager
async def opened(**settings: Any) -> AsyncIterator[Service]:
    """Serves a new store in memory."""
    async with opened_store(MemoryKeyValue()) as store, serving(store, **settings) as service:
        yield service
