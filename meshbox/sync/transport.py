"""gRPC as this protocol uses it: credentials from identities, options with their reasons, streams.

Design C of the identity: the server shows a P-256 leaf that its Ed25519 identity issued; the
dialler's only trust anchor is made from the node id that it dials. So a channel that is open is a
channel to that node, whatever the address said.

`Transport` is all that the service knows of it: the simulation puts another in its place.
"""

from __future__ import annotations

import asyncio
import contextlib
import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol

import grpc
import grpc.aio

from meshbox.core.address import Endpoint
from meshbox.core.errors import ListenFailed, PeerLost
from meshbox.core.ids import NodeId
from meshbox.core.limits import FRAME_BYTES_LIMIT, SYNC_STREAMS_MAX, SYNC_WINDOW_BYTES
from meshbox.identity.certificate import LEAF_NAME, leaf, trust_anchor
from meshbox.identity.key import Identity
from meshbox.wire.statuses import STATUSES
from meshbox.wire.v1.sync_pb2 import DESCRIPTOR

KEEPALIVE_MS: Final = 5_000
"""Milliseconds of silence after which a dialler sends a ping: with the time-out below a dead peer
is noticed within 8 s."""

PING_TIMEOUT_MS: Final = 3_000
"""Milliseconds that its ping may stay unanswered."""

SLOW_KEEPALIVE_MS: Final = 4_000
"""The same of a dialler of a far peer, and of the side that was dialled, which cannot tell such a
one from a neighbour. A ping waits behind what was sent before, for seconds on a line of 64 kbit/s;
so it is asked earlier and waited longer: 10 s in all."""

SLOW_PING_TIMEOUT_MS: Final = 6_000

UNACKNOWLEDGED_MS: Final = 15_000
"""Milliseconds after which the kernel ends a connection whose packets nobody acknowledges: several
are lost in a row on a bad line."""

CONNECT_MS_MAX: Final = 10_000
"""Milliseconds for a connection to become TLS, and a stream: as long as its handshake may take."""

_COMMON: Final = (
    ("grpc.max_receive_message_length", FRAME_BYTES_LIMIT),
    ("grpc.max_send_message_length", FRAME_BYTES_LIMIT),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    # Else gRPC also pings with what comes, to size the window, and ends the connection when that
    # ping waits for its time-out behind what was sent: in the midst of a slow line's traffic.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", SYNC_WINDOW_BYTES),
)


def _keepalive(
    after_ms: int, timeout_ms: int, unacknowledged_ms: int
) -> tuple[tuple[str, int], ...]:
    return (
        ("grpc.keepalive_time_ms", after_ms),
        # It bounds no unanswered ping (64 s were seen), but sets the kernel's time-out.
        ("grpc.keepalive_timeout_ms", unacknowledged_ms),
        ("grpc.http2.ping_timeout_ms", timeout_ms),
    )


_NEAR: Final = _keepalive(KEEPALIVE_MS, PING_TIMEOUT_MS, PING_TIMEOUT_MS)
_SLOW: Final = _keepalive(SLOW_KEEPALIVE_MS, SLOW_PING_TIMEOUT_MS, UNACKNOWLEDGED_MS)
_SERVER: Final = (
    *_COMMON,
    *_SLOW,
    ("grpc.so_reuseport", 0),  # else a second node binds the same port silently
    ("grpc.http2.min_ping_interval_without_data_ms", SLOW_KEEPALIVE_MS // 2),
    # These two together close connections that never speak TLS, or never begin a stream.
    ("grpc.server_handshake_timeout_ms", CONNECT_MS_MAX),
    ("grpc.max_connection_idle_ms", CONNECT_MS_MAX),
    ("grpc.max_allowed_incoming_connections", SYNC_STREAMS_MAX),
    ("grpc.max_concurrent_streams", 2),
)
_CLIENT: Final = (
    *_COMMON,
    ("grpc.ssl_target_name_override", LEAF_NAME),
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),
    # Our own back-off decides when to dial again; a channel is used for one session.
    ("grpc.use_local_subchannel_pool", 1),
)
_NEAR_CLIENT: Final = (*_CLIENT, *_NEAR)
_FAR_CLIENT: Final = (*_CLIENT, *_SLOW)


# gRPC passes bytes: if it decoded them itself, a peer's garbage would be an exception of protobuf
# in the midst of a read, and not a frame that wire/ finds malformed.
_SERVICE: Final = DESCRIPTOR.services_by_name["Sync"].full_name
_METHOD: Final = "Session"


_CUT: Final = (
    grpc.RpcError,
    grpc.aio.UsageError,
    grpc.aio.InternalError,
    asyncio.InvalidStateError,  # a dialler's call that is already over
)
"""What gRPC raises, by turns, for a write to a stream that is no more."""


class FrameStream(Protocol):
    """One side of a bidirectional stream. One reader and one writer at a time."""

    @property
    def dialler_host(self) -> str | None:
        """The address that dialled us; None of what we dialled, or where there is no such."""

    async def read(self) -> bytes | None:
        """The next frame; None when the stream ended, in whatever way."""

    async def write(self, frame: bytes) -> None:
        """Writes a frame, waiting while the peer reads slowly; `PeerLost` when it cannot."""

    async def close_writing(self) -> None:
        """Nothing more will be written; what was written still arrives."""


class ServerStream:
    """The answering side of a stream."""

    def __init__(self, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        self._context = context

    @property
    def dialler_host(self) -> str | None:
        """See `FrameStream`."""
        return _host_of(self._context.peer())

    async def read(self) -> bytes | None:
        """See `FrameStream`."""
        return await _read(self._context)

    async def write(self, frame: bytes) -> None:
        """See `FrameStream`."""
        await _write(self._context, frame)

    async def close_writing(self) -> None:
        """The return of the servicer's method closes it."""


class ClientStream:
    """The dialling side of a stream."""

    dialler_host: None = None
    """See `FrameStream`."""

    def __init__(self, call: grpc.aio.StreamStreamCall[bytes, bytes]) -> None:
        self._call = call

    async def read(self) -> bytes | None:
        """See `FrameStream`."""
        return await _read(self._call)

    async def write(self, frame: bytes) -> None:
        """See `FrameStream`."""
        await _write(self._call, frame)

    async def close_writing(self) -> None:
        """See `FrameStream`; a call that is over already needs nothing."""
        with contextlib.suppress(asyncio.InvalidStateError, grpc.RpcError):
            await self._call.done_writing()


Answer = Callable[[FrameStream], Awaitable[str | None]]
"""Called for every stream that is dialled, which ends when it returns: the code of the fault that
ended it, if one did."""


class Transport(Protocol):
    """How streams come to be. One owner; `stop` before it is let go."""

    @property
    def leaf_fingerprint(self) -> bytes:
        """Of the certificate that diallers see: it ties their proof to this transport."""

    async def listen(self, answer: Answer, endpoint: Endpoint) -> Endpoint:
        """Takes streams from now on; the endpoint as bound. `ListenFailed` when it is taken."""

    def dial(
        self, node_id: NodeId, endpoint: Endpoint, *, is_far: bool = False
    ) -> AbstractAsyncContextManager[FrameStream]:
        """A stream to `node_id` and nobody else; one that cannot be reached ends at the first
        read. `is_far`: the line may be slow."""

    async def stop(self, *, grace_s: float) -> None:
        """Takes no more streams; those open are cut after `grace_s`."""


class GrpcTransport:
    """`Transport` over TLS, with the leaf of an identity."""

    def __init__(self, identity: Identity) -> None:
        self._leaf = leaf(identity)
        self._server: grpc.aio.Server | None = None

    @property
    def leaf_fingerprint(self) -> bytes:
        """See `Transport`."""
        return self._leaf.fingerprint

    async def listen(self, answer: Answer, endpoint: Endpoint) -> Endpoint:
        """See `Transport`."""

        async def session(_: Any, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
            code = await answer(ServerStream(context))
            if code is not None:
                context.set_code(grpc.StatusCode[STATUSES[code].grpc])
                context.set_details(code)

        server = grpc.aio.server(options=_SERVER, maximum_concurrent_rpcs=SYNC_STREAMS_MAX)
        handlers: dict[str, Any] = {_METHOD: grpc.stream_stream_rpc_method_handler(session)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
        pair = (self._leaf.key_pem, self._leaf.chain_pem)
        try:
            port = server.add_secure_port(str(endpoint), grpc.ssl_server_credentials([pair]))
        except RuntimeError as error:
            raise ListenFailed(f"cannot listen for sync on {endpoint}: address in use") from error
        if port == 0:
            raise ListenFailed(f"cannot listen for sync on {endpoint}")
        await server.start()
        self._server = server
        return Endpoint(endpoint.host, port)

    @contextlib.asynccontextmanager
    async def dial(
        self, node_id: NodeId, endpoint: Endpoint, *, is_far: bool = False
    ) -> AsyncIterator[FrameStream]:
        """See `Transport`."""
        credentials = grpc.ssl_channel_credentials(trust_anchor(node_id))
        options = _FAR_CLIENT if is_far else _NEAR_CLIENT
        channel = grpc.aio.secure_channel(str(endpoint), credentials, options=options)
        async with channel:
            call: Any = channel.stream_stream(f"/{_SERVICE}/{_METHOD}")()
            try:
                yield ClientStream(call)
            finally:
                call.cancel()

    async def stop(self, *, grace_s: float) -> None:
        """See `Transport`."""
        if self._server is not None:
            await self._server.stop(grace=grace_s)


def _host_of(peer: str) -> str | None:
    """The address in gRPC's name of a peer: `ipv4:HOST:PORT`, `ipv6:[HOST]:PORT`, URL-encoded."""
    family, _, rest = urllib.parse.unquote(peer).partition(":")
    host = rest.rpartition(":")[0].strip("[]")
    return host if family in ("ipv4", "ipv6") else None


async def _read(side: Any) -> bytes | None:
    try:
        message = await side.read()
    except grpc.RpcError:
        return None
    return None if message is grpc.aio.EOF else message


async def _write(side: Any, frame: bytes) -> None:
    try:
        await side.write(frame)
    except _CUT as error:
        raise PeerLost("the stream was cut") from error
