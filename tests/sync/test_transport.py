"""Frames cross a real channel to the dialled node and to nobody else."""

from __future__ import annotations

import asyncio

import pytest

from meshbox.core.address import Endpoint
from meshbox.core.errors import PeerLost
from meshbox.identity.key import mint
from meshbox.sync.transport import FrameStream, GrpcTransport

ANY = Endpoint("127.0.0.1", 0)


async def echo(stream: FrameStream) -> None:
    while (frame := await stream.read()) is not None:
        await stream.write(frame)


async def test_the_dialled_node_answers_and_another_does_not() -> None:
    identity, other = mint(), mint()
    server, dialler = GrpcTransport(identity), GrpcTransport(mint())
    bound = await server.listen(echo, ANY)
    try:
        async with asyncio.timeout(10), dialler.dial(identity.node_id, bound) as stream:
            await stream.write(b"frame")
            assert await stream.read() == b"frame"
            await stream.close_writing()
            assert await stream.read() is None
        async with asyncio.timeout(10), dialler.dial(other.node_id, bound) as stream:
            assert await stream.read() is None
    finally:
        await server.stop(grace_s=0)


async def hang_up(stream: FrameStream) -> None:
    await stream.read()


async def test_a_write_to_a_stream_that_is_over_is_a_lost_peer() -> None:
    identity = mint()
    server, dialler = GrpcTransport(identity), GrpcTransport(mint())
    bound = await server.listen(hang_up, ANY)
    try:
        async with asyncio.timeout(10), dialler.dial(identity.node_id, bound) as stream:
            await stream.write(b"frame")
            assert await stream.read() is None
            with pytest.raises(PeerLost):
                await stream.write(b"too late")
    finally:
        await server.stop(grace_s=0)
