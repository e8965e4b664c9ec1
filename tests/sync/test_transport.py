"""Frames cross a real channel to the dialled node and to nobody else."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio
import pytest

from meshbox.core.address import Endpoint
from meshbox.core.errors import PeerLost
from meshbox.identity.certificate import LEAF_NAME, trust_anchor
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


async def refuse(stream: FrameStream) -> str:
    for _ in range(100):
        await stream.write(bytes(10_000))
    return "frame.malformed"


async def test_the_status_tells_the_code_and_loses_no_frame() -> None:
    identity = mint()
    server = GrpcTransport(identity)
    bound = await server.listen(refuse, ANY)
    credentials = grpc.ssl_channel_credentials(trust_anchor(identity.node_id))
    options = [("grpc.ssl_target_name_override", LEAF_NAME)]
    try:
        async with (
            asyncio.timeout(10),
            grpc.aio.secure_channel(str(bound), credentials, options=options) as channel,
        ):
            call: Any = channel.stream_stream("/meshbox.wire.v1.Sync/Session")()
            for _ in range(100):
                assert await call.read() == bytes(10_000)
            status = (await call.code(), await call.details())
        assert status == (grpc.StatusCode.INVALID_ARGUMENT, "frame.malformed")
    finally:
        await server.stop(grace_s=0)
