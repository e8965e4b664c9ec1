"""Frames cross a real channel to the dialled node and to nobody else."""

from __future__ import annotations

import asyncio

import pytest

from meshbox.core.address import Endpoint
from meshbox.core.errors import PeerLost
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


async def hang_up(stream: ServerStream) -> None:
    await stream.read()


async def test_a_write_to_a_stream_that_is_over_is_a_lost_peer() -> None:
    identity = mint()
    server, bound = await listen(hang_up, leaf=leaf(identity), endpoint=ANY)
    try:
        async with asyncio.timeout(10), dial(identity.node_id, bound) as stream:
            await stream.write(b"frame")
            assert await stream.read() is None
            with pytest.raises(PeerLost):
                await stream.write(b"too late")
    finally:
        await server.stop(grace=0)
