"""One keep-alive connection, for what is not load: filling a node, and polls that read answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any, Final

from scripts.benchmarks.faults import BenchFailed

_ANSWER_S_MAX: Final = 60.0
_LINE_BYTES_MAX: Final = 1 << 20


class Connection:
    """Made by `connect`; a request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, request: bytes) -> bytes:
        """The body of the answer; `BenchFailed` when it is not a success or takes too long."""
        try:
            async with asyncio.timeout(_ANSWER_S_MAX):
                self._writer.write(request)
                head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                body = await self._reader.readexactly(_length(head))
        except (OSError, EOFError, TimeoutError) as error:
            raise BenchFailed(f"no answer: {error!r}") from error
        if head.split(" ", 2)[1][0] != "2":
            raise BenchFailed(f"answered {head.splitlines()[0]}: {body[:200]!r}")
        return body

    async def ask_json(self, request: bytes) -> Any:
        """The document that answers."""
        return json.loads(await self.ask(request))

    def close(self) -> None:
        """Ends it."""
        self._writer.close()


async def connect(address: str) -> Connection:
    """A connection to HOST:PORT."""
    host, _, port = address.rpartition(":")
    return Connection(
        *await asyncio.open_connection(host.strip("[]"), int(port), limit=_LINE_BYTES_MAX)
    )


async def send_all(address: str, requests: Iterable[bytes]) -> None:
    """Sends requests one after another, each of which must succeed."""
    connection = await connect(address)
    try:
        for request in requests:
            await connection.ask(request)
    finally:
        connection.close()


def _length(head: str) -> int:
    for line in head.lower().split("\r\n"):
        if line.startswith("content-length:"):
            return int(line.partition(":")[2])
    return 0
