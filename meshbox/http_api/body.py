"""Reads a request's body: what it must say of itself, how large and how slow it may be.

In this order, so that nothing is read of what is refused: Content-Encoding, Content-Type, length,
expectation; then the bytes. A body beyond `BODY_SMALL_BYTES_MAX` waits for memory with the rest
unread, and the client waits in its socket.

aiohttp (3.14) on its own bounds neither the size nor the time of a body, and leaves "Expect:
100-continue" to the application.
"""

from __future__ import annotations

import asyncio
import io
import re
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from meshbox.core.errors import BodyMalformed, BodySlow, BodyUnsupported, TooLarge
from meshbox.core.limits import BODY_BYTES_MAX, BODY_SMALL_BYTES_MAX
from meshbox.http_api.memory_leases import Lease
from meshbox.http_api.settings import HttpSettings

_JSON: Final = re.compile(r"application/(json|[!#$&^_.+\w-]+\+json)\s*(;.*)?", re.IGNORECASE)
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_BROKEN: Final = (web.RequestPayloadError, HttpProcessingError, ConnectionError, RuntimeError)
"""What aiohttp raises for a body that is malformed or cut off; RuntimeError says "Connection
closed." of a connection that was lost before the read."""


def check_json_headers(request: web.BaseRequest) -> None:
    """`BodyUnsupported` unless it says that it is plain JSON, `TooLarge` if it is too long."""
    headers = request.headers
    content_type = headers.get("Content-Type", "")
    if content_type != "application/json" and not _JSON.fullmatch(content_type):
        raise BodyUnsupported("expected a request with Content-Type: application/json")
    if "Content-Encoding" in headers:
        raise BodyUnsupported("no Content-Encoding is served, send the body as it is")
    length = request.content_length
    if length is not None and length > BODY_BYTES_MAX:
        raise _too_large()


async def read_body(request: web.BaseRequest, *, lease: Lease, settings: HttpSettings) -> bytes:
    """The whole body; its memory is lent with `lease` when it is large.

    Raises `TooLarge`, `BodySlow`, `BodyMalformed` (it broke off), `BodyUnsupported` (an unknown
    expectation), `NodeBusy`.
    """
    await _meet_expectation(request)
    content = request.content
    try:
        if content.is_eof():
            body = content.read_nowait()
            if len(body) <= BODY_SMALL_BYTES_MAX:
                return body
            await lease.take(_weight(len(body)), patience_s=settings.body_leave_ms_max / 1000)
            return body
        return await _receive(request, lease=lease, settings=settings)
    except _BROKEN as error:
        raise BodyMalformed(f"the body broke off: {error}") from error


async def _receive(request: web.BaseRequest, *, lease: Lease, settings: HttpSettings) -> bytes:
    clock = asyncio.get_running_loop().time
    started = clock()
    received = io.BytesIO()
    size = leased = 0
    while chunk := await _next_chunk(request, deadline=started + settings.body_s_max(size)):
        size += len(chunk)
        if size > BODY_BYTES_MAX:
            raise _too_large()
        if size > BODY_SMALL_BYTES_MAX and not leased:
            asked = clock()
            leased = _weight(request.content_length or BODY_BYTES_MAX)
            await lease.take(leased, patience_s=settings.body_leave_ms_max / 1000)
            started += clock() - asked
        received.write(chunk)
    return received.getvalue()


async def _next_chunk(request: web.BaseRequest, *, deadline: float) -> bytes:
    try:
        async with asyncio.timeout_at(deadline):
            return await request.content.readany()
    except TimeoutError as error:
        raise BodySlow("the body came too slowly") from error


async def _meet_expectation(request: web.BaseRequest) -> None:
    expectation = request.headers.get("Expect")
    if expectation is None:
        return
    if expectation.lower() != "100-continue":
        raise BodyUnsupported("the only expectation that is met is 100-continue")
    if request.transport is not None:
        request.transport.write(_CONTINUE)


def _weight(body_bytes: int) -> int:
    """Bytes of memory: the body, and the blobs in it."""
    return body_bytes + body_bytes * 3 // 4


def _too_large() -> TooLarge:
    return TooLarge(f"the body is larger than {BODY_BYTES_MAX} bytes")
