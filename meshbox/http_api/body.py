"""Reads a request's body: what it must say of itself, how large and how slow it may be.

In this order, so that nothing is read of what is refused: Content-Encoding, Content-Type, length,
expectation; then the bytes. A body beyond `BODY_SMALL_BYTES_MAX` waits for memory with the rest
unread, and the client waits in its socket.
"""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Callable
from typing import Final

from meshbox.core.errors import BodySlow, BodyUnsupported, TooLarge
from meshbox.core.limits import BODY_BYTES_MAX, BODY_SMALL_BYTES_MAX
from meshbox.http_api.memory_leases import Lease
from meshbox.http_api.request import IncomingBody, Request
from meshbox.http_api.settings import HttpSettings

_JSON: Final = re.compile(r"application/(json|[!#$&^_.+\w-]+\+json)\s*(;.*)?", re.IGNORECASE)


def check_json_headers(request: Request) -> None:
    """`BodyUnsupported` unless it says that it is plain JSON, `TooLarge` if it is too long."""
    content_type = request.header("content-type") or ""
    if content_type != "application/json" and not _JSON.fullmatch(content_type):
        raise BodyUnsupported("expected a request with Content-Type: application/json")
    if request.header("content-encoding") is not None:
        raise BodyUnsupported("no Content-Encoding is served, send the body as it is")
    length = request.content_length
    if length is not None and length > BODY_BYTES_MAX:
        raise _too_large()


async def read_body(
    request: Request, *, invite: Callable[[], None], lease: Lease, settings: HttpSettings
) -> bytes:
    """The whole body; its memory is lent with `lease` when it is large.

    `invite` tells a client that asks first to send it. Raises `TooLarge`, `BodySlow`,
    `BodyMalformed` (it broke off), `BodyUnsupported` (an unknown expectation), `NodeBusy`.
    """
    expectation = request.header("expect")
    if expectation is not None:
        _check_expectation(expectation)
        invite()
    body = request.body
    if body.is_complete and body.held_bytes <= BODY_SMALL_BYTES_MAX:
        return body.take()
    return await _receive(request, lease=lease, settings=settings)


async def _receive(request: Request, *, lease: Lease, settings: HttpSettings) -> bytes:
    clock = asyncio.get_running_loop().time
    started = clock()
    received = io.BytesIO()
    size = leased = 0
    while piece := await _next_piece(request.body, deadline=started + settings.body_s_max(size)):
        size += len(piece)
        if size > BODY_BYTES_MAX:
            raise _too_large()
        if size > BODY_SMALL_BYTES_MAX and not leased:
            asked = clock()
            leased = _weight(request.content_length or BODY_BYTES_MAX)
            await lease.take(leased, patience_s=settings.body_leave_ms_max / 1000)
            started += clock() - asked
        received.write(piece)
    return received.getvalue()


async def _next_piece(body: IncomingBody, *, deadline: float) -> bytes:
    try:
        async with asyncio.timeout_at(deadline):
            return await body.next()
    except TimeoutError as error:
        raise BodySlow("the body came too slowly") from error


def _check_expectation(expectation: str) -> None:
    if expectation.lower() != "100-continue":
        raise BodyUnsupported("the only expectation that is met is 100-continue")


def _weight(body_bytes: int) -> int:
    """Bytes of memory: the body, and the blobs in it."""
    return body_bytes + body_bytes * 3 // 4


def _too_large() -> TooLarge:
    return TooLarge(f"the body is larger than {BODY_BYTES_MAX} bytes")
