"""Frames cross a real channel to the dialled node and to nobody else."""

from __future__ import annotations

import asyncio

from meshbox.core.address import Endpoint
from meshbox.identity.certificate import leaf
from meshbox.identity.key import mint
from meshbox.sync.transport import ServerStream, dial, listen

ANY = Endpoint("127.0.0.1", 0)


async def echo(stream: ServerStream) -> None:
    while (frame := await stream.read()) is not None:
        await stream.write(frame)


async def test_the_dialled_node_answers_and_another_does_not() -> None:
    identity, other = mint(), mint()
    server, bound = await listen(echo, leaf=leaf(identity), endpoint=ANY)
    try:
        async with asyncio.timeout(10), dial(identity.node_id, bound) as stream:
            await stream.write(b"frame")
            assert await stream.read() == b"frame"
            await stream.close_writing()
            assert await stream.read() is None
        async with asyncio.timeout(10), dial(other.node_id, bound) as stream:
            assert await stream.read() is None
    finally:
        await server.stop(grace=0)
