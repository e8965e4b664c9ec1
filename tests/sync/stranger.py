"""A peer that speaks the protocol by hand, well or badly, over raw gRPC.

async with Stranger(node) as stranger:
    await stranger.shake_hands()
    await stranger.say(Settled(1))
    assert await stranger.told() == "frame.unexpected"
"""

from __future__ import annotations

import asyncio
import secrets
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio

from meshbox.core.ids import node_key_of
from meshbox.core.reconcile import SYMBOL_BYTES, Digest
from meshbox.core.session.frames import AskSketch, End, Frame, Hello, Proof, Resume, Sketch
from meshbox.identity.certificate import LEAF_NAME, trust_anchor
from meshbox.identity.key import Identity, mint
from meshbox.sync.authenticator import NodeAuthenticator
from meshbox.wire.decoding import FrameDecoder
from meshbox.wire.encoding import FrameEncoder
from tests.sync.nodes import Node

METHOD = "/meshbox.wire.v1.Sync/Session"
HEAR_S = 12.0


class Stranger:
    """A dialler of `node`; with a valid identity of its own unless another is given."""

    def __init__(self, node: Node, *, identity: Identity | None = None) -> None:
        self.identity = identity or mint()
        self.node_id = self.identity.node_id
        self.nonce = secrets.token_bytes(32)
        self.hello_heard: Hello | None = None
        self._node = node
        self._channel = grpc.aio.secure_channel(
            str(node.endpoint),
            grpc.ssl_channel_credentials(trust_anchor(node.node_id)),
            options=[
                ("grpc.ssl_target_name_override", LEAF_NAME),
                ("grpc.use_local_subchannel_pool", 1),
                ("grpc.max_send_message_length", -1),
            ],
        )
        self._call: Any = None
        self._encoder = FrameEncoder()
        self._decoder = FrameDecoder()

    async def __aenter__(self) -> Self:
        self._call = self._channel.stream_stream(
            METHOD, request_serializer=None, response_deserializer=None
        )()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._call.cancel()
        await self._channel.close()

    async def say(self, *frames: Frame | bytes) -> None:
        """Sends frames, or any bytes in place of one; a stream that is over swallows them."""
        for frame in frames:
            raw = frame if isinstance(frame, bytes) else self._encoder.encode(frame)
            try:
                await self._call.write(raw)
            except (grpc.RpcError, asyncio.InvalidStateError):
                return

    async def hear(self) -> Frame | None:
        """The next frame; None at the stream's end."""
        try:
            async with asyncio.timeout(HEAR_S):
                message = await self._call.read()
        except grpc.RpcError:
            return None
        return None if message is grpc.aio.EOF else self._decoder.decode(message)

    async def hear_a(self, kind: type | tuple[type, ...]) -> Any:
        """The next frame of a kind, past all others."""
        while (frame := await self.hear()) is not None:
            if isinstance(frame, kind):
                return frame
        raise AssertionError(f"the stream ended without {kind}")

    async def told(self) -> str | None:
        """The reason for which the node ended the session; None if it cut it without a word."""
        while (frame := await self.hear()) is not None:
            if isinstance(frame, End):
                return frame.reason
        return None

    def hello(self, **changes: Any) -> Hello:
        own = Hello(node_key_of(self.node_id), self.nonce, secrets.token_bytes(16))
        return own._replace(**changes)

    async def prove(self) -> Proof:
        """The right proof, once the node's hello was heard."""
        heard: Hello = await self.hear_a(Hello)
        self.hello_heard = heard
        signature = NodeAuthenticator(self.identity, b"").prove(
            server=self._node.node_id,
            leaf_fingerprint=heard.leaf_fingerprint,
            server_nonce=heard.nonce,
            dialler_nonce=self.nonce,
        )
        return Proof(signature)

    async def shake_hands(self, *, resume: Resume | None = None) -> None:
        """Everything as it should be, up to an open session."""
        await self.say(self.hello())
        await self.say(await self.prove())
        await self.hear_a(Resume)
        await self.say(resume or Resume())

    async def hold_nothing(self) -> None:
        """Answers the question for what it holds: so it is offered everything."""
        ask: AskSketch = await self.hear_a(AskSketch)
        await self.say(Sketch(Digest(), 0, bytes(ask.symbols * SYMBOL_BYTES)))
