"""Something that shows a node's leaf on a loopback port, as its listeners do, and says nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from meshbox.core.address import Endpoint
from meshbox.identity.certificate import leaf
from meshbox.identity.key import Identity
from meshbox.identity.tls import server_context


@asynccontextmanager
async def listening(identity: Identity | None) -> AsyncIterator[Endpoint]:
    """An address where `identity` can prove itself; without one it is plain TCP."""

    async def hear_out(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        except OSError:
            pass
        finally:
            writer.transport.abort()

    tls = server_context(leaf(identity)) if identity else None
    server = await asyncio.start_server(hear_out, "127.0.0.1", 0, ssl=tls)
    try:
        yield Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])
    finally:
        server.close()
