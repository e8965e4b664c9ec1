"""Asks an address how far it is, and whether who listens there holds a node's key.

A TLS handshake whose only trust anchor is made from the node id, as every dialler of a node does
it; nothing is sent inside. So a name, an address or a copied announcement proves nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final, NamedTuple

from meshbox.core.address import Endpoint, bare_host
from meshbox.core.ids import NodeId
from meshbox.identity.certificate import LEAF_NAME
from meshbox.identity.tls import client_context

REACH_S_MAX: Final = 2.0
"""Seconds for a connection and as many for the handshake: a neighbour needs milliseconds."""

_GRPC_PROTOCOL: Final = "h2"
"""gRPC ends a handshake that does not offer it; the https listener does not look."""


class Reached(NamedTuple):
    """Somebody listens at `endpoint`. `rtt_ms`: from the request for a connection to its answer."""

    endpoint: Endpoint
    rtt_ms: float
    is_proven: bool


async def reach(endpoint: Endpoint, node_id: NodeId | None) -> Reached | None:
    """Who is at `endpoint`; None when nobody takes a connection. No id, no proof."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    writer = await _connected(endpoint)
    if writer is None:
        return None
    rtt_ms = (loop.time() - began_s) * 1000
    try:
        is_proven = node_id is not None and await _proves(writer, node_id)
    finally:
        writer.transport.abort()
    return Reached(endpoint, rtt_ms, is_proven)


async def prove(node_id: NodeId, endpoint: Endpoint) -> Endpoint | None:
    """`endpoint`, its host as the address that it stands for, where `node_id` proves itself."""
    writer = await _connected(endpoint)
    if writer is None:
        return None
    try:
        host = writer.get_extra_info("peername")[0]
        return Endpoint(bare_host(host), endpoint.port) if await _proves(writer, node_id) else None
    finally:
        writer.transport.abort()


async def reach_any(endpoints: Iterable[Endpoint], node_id: NodeId) -> Reached | None:
    """The first of `endpoints` where `node_id` proves itself, else the first that answers."""
    answering = None
    for endpoint in endpoints:
        reached = await reach(endpoint, node_id)
        if reached is not None and reached.is_proven:
            return reached
        answering = answering or reached
    return answering


async def reach_mailbox(
    endpoints: Iterable[Endpoint], node_id: NodeId | None, https_port: int | None
) -> Reached | None:
    """The first of a mailbox's plain HTTP `endpoints` that answers.

    It is proven when `node_id` proves itself on that host, at `https_port`.
    """
    for endpoint in endpoints:
        reached = await reach(endpoint, None)
        if reached is not None:
            host = Endpoint(endpoint.host, https_port) if https_port else None
            beside = await reach(host, node_id) if host and node_id else None
            return reached._replace(is_proven=beside is not None and beside.is_proven)
    return None


async def _connected(endpoint: Endpoint) -> asyncio.StreamWriter | None:
    try:
        async with asyncio.timeout(REACH_S_MAX):
            _, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
    except OSError:  # A time-out too.
        return None
    return writer


async def _proves(writer: asyncio.StreamWriter, node_id: NodeId) -> bool:
    context = client_context(node_id)
    context.set_alpn_protocols([_GRPC_PROTOCOL])
    try:
        async with asyncio.timeout(REACH_S_MAX):
            await writer.start_tls(context, server_hostname=LEAF_NAME)
    except OSError:  # Another key (`ssl.SSLError`), no TLS at all, or a time-out.
        return False
    return True
