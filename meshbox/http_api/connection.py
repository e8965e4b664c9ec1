"""One HTTP connection: its requests answered one after another, its deadlines.

Bytes go to the parser, requests wait in the order in which they came, one task answers them and
ends when none is left. Taken from the socket is only what is needed: while a complete request waits
or a handler has not taken what came of its body, the rest stays with the client.

    state            ends after                    then
    header expected  head_ms_max, from the start   cut, however it drips
    request handled  what the handler allows       (body.py, exchange.py)
    idle             idle_ms_max                   cut, with whatever was not read
    last answer out  body_unread_ms_max            cut: until then what comes is dropped, since a
                                                   close with unread bytes would take the answer
                                                   with it (RFC 9112, 9.6)

A connection is cut with a reset: closing would wait for a reader that never reads. How many there
may be is in live_connections.py.

Over 300 lines: one connection, whose reading, serving and writing hold each other back.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, cast

from meshbox.core.limits import BODY_SMALL_BYTES_MAX, HTTP_SLICE_BYTES_MAX
from meshbox.http_api.live_connections import LiveConnections
from meshbox.http_api.parser import NotHttp, RequestParser
from meshbox.http_api.request import Request
from meshbox.http_api.responses import PLAIN_TEXT, Encoder, Response
from meshbox.http_api.settings import HttpSettings

_REFUSAL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\n"
    b"connection: close\r\naccess-control-allow-origin: *\r\n\r\n"
)
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

RequestHandler = Callable[[Request, "Connection"], Awaitable[None]]
"""Answers a request by `Connection.send`, once."""


class Connection(asyncio.Protocol):
    """One client. Times are those of the event loop, in seconds."""

    __slots__ = (
        "_clock",
        "_drained",
        "_encoder",
        "_fault",
        "_handle",
        "_has_end",
        "_is_last",
        "_is_paused",
        "_leaves_unread",
        "_left",
        "_live",
        "_parser",
        "_requests",
        "_settings",
        "_socket",
        "_unparsed",
        "client",
        "deadline",
        "is_ending",
        "is_idle",
        "task",
    )

    def __init__(
        self,
        handle: RequestHandler,
        *,
        live: LiveConnections,
        settings: HttpSettings,
        encoder: Encoder,
    ) -> None:
        self._handle = handle
        self._live = live
        self._settings = settings
        self._encoder = encoder
        self._clock = asyncio.get_running_loop().time
        self._socket: asyncio.Transport | None = None
        self._parser = RequestParser(self._request_begun, on_body_taken=self._read_on)
        self._requests: deque[Request] = deque()
        """Begun and not answered; the first is being handled."""
        self._unparsed = b""
        self._is_paused = False
        self._drained: asyncio.Future[None] | None = None
        """What is to be sent has become too much; done when it has become little."""
        self._left: asyncio.Future[None] | None = None
        """Somebody wants to know when the client leaves."""
        self._fault: NotHttp | None = None
        self._has_end = False
        """The client sends nothing more."""
        self._is_last = False
        """After the request that is handled now the connection ends."""
        self._leaves_unread = False
        """What the client sends on was not read, and will not be."""
        self.is_ending = False
        """The last answer is written."""
        self.client = ""
        """The address of the other side."""
        self.deadline = math.inf
        self.is_idle = False
        self.task: asyncio.Task[None] | None = None
        """Answers the requests that came."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        self._socket = cast("asyncio.Transport", transport)
        if not self._live.admit(self):
            self._socket.write(_REFUSAL)
            self._socket.close()
            self.is_ending = True
            return
        peer = transport.get_extra_info("peername")
        self.client = peer[0] if isinstance(peer, tuple) else ""
        self.deadline = self._clock() + self._settings.head_ms_max / 1000

    def connection_lost(self, exc: BaseException | None) -> None:
        del exc
        self._live.forget(self)
        self._socket = None
        self._unparsed = b""
        self._parser.break_off("the connection was lost")
        self._tell_left()
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        if self.is_ending:
            return
        if self.is_idle:
            self.is_idle = False
            self.deadline = self._clock() + self._settings.head_ms_max / 1000
        self._unparsed = self._unparsed + data if self._unparsed else data
        self._read_on()

    def eof_received(self) -> bool:
        """Whether the connection stays open: until what was asked for is answered."""
        self._has_end = True
        self._unparsed = b""
        self._parser.break_off("nothing more came")
        self._tell_left()
        assert self._socket is not None, "an end comes by a connection"
        # With TLS the loops close at once and complain when asked not to.
        return self.task is not None and not _is_secure(self._socket)

    def pause_writing(self) -> None:
        self._drained = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    def when_left(self) -> asyncio.Future[None]:
        """Is done as soon as the client is gone, or says that it will send nothing more: an
        answer that need not come yet had better come now."""
        if self._left is None:
            self._left = asyncio.get_running_loop().create_future()
            if self._socket is None or self._has_end:
                self._tell_left()
        return self._left

    def invite_body(self) -> None:
        """Tells a client that asked first to send its body."""
        if self._socket is not None:
            self._socket.write(_CONTINUE)

    async def send(self, request: Request, response: Response) -> None:
        """Sends an answer; a large one until most of it was read, by a reader not too slow."""
        if self._socket is None:
            return
        # What is left of a body would be taken for the next request.
        self._leaves_unread = not request.body.is_complete
        self._is_last |= self._leaves_unread or not request.keeps_alive or self._live.is_draining
        head = self._encoder.head(response, request, closes=self._is_last)
        if request.method == "HEAD" or not response.body:
            self._socket.write(head)
        elif len(response.body) <= BODY_SMALL_BYTES_MAX:
            self._socket.write(head + response.body)
        else:
            self._socket.writelines((head, response.body))
            try:
                async with asyncio.timeout(self._settings.body_s_max(len(response.body))):
                    await self._written()
            except TimeoutError:
                self.cut()

    def stop(self) -> None:
        """Ends the connection when the request in progress is answered, or at once."""
        self._is_last = True
        if self.task is None and self._socket is not None:
            self._socket.close()

    def cut(self) -> None:
        """Ends the connection at once."""
        self._is_last = True
        if self._socket is not None:
            self._socket.abort()

    def _tell_left(self) -> None:
        if self._left is not None and not self._left.done():
            self._left.set_result(None)

    def _request_begun(self, request: Request) -> None:
        self._requests.append(request)

    def _read_on(self) -> None:
        """Reads what came as far as it is wanted, and lets the rest wait."""
        data, at = self._unparsed, 0
        while at < len(data) and self._wants_more():
            try:
                self._parser.feed(data[at : at + HTTP_SLICE_BYTES_MAX])
            except NotHttp as error:
                self._fault = error
                self._parser.break_off(str(error))
            at += HTTP_SLICE_BYTES_MAX
        self._unparsed = b"" if self._fault is not None else data[at:]
        if self.task is None and (self._requests or self._fault is not None):
            self.task = asyncio.get_running_loop().create_task(self._serve())
        if bool(self._unparsed) is not self._is_paused:
            self._pause_reading(pause=not self._is_paused)

    def _wants_more(self) -> bool:
        if self._fault is not None:
            return False
        if not self._requests:
            return True
        body = self._requests[-1].body
        return not body.is_complete and body.held_bytes <= BODY_SMALL_BYTES_MAX

    def _pause_reading(self, *, pause: bool) -> None:
        if self._socket is None or self._socket.is_closing():
            return
        self._is_paused = pause
        if pause:
            self._socket.pause_reading()
        else:
            self._socket.resume_reading()

    async def _serve(self) -> None:
        """Answers what came, until nothing is left to answer."""
        try:
            while self._requests and not self._is_last:
                self.is_idle = False
                self.deadline = math.inf
                await self._handle(self._requests[0], self)
                self._requests.popleft()
                await self._written()
                self._read_on()
        finally:
            self.task = None
        if self._fault is not None and not self._is_last:
            self._refuse(self._fault)
        elif self._is_last or self._has_end:
            self._end()
        else:
            self._rest()

    async def _written(self) -> None:
        """Waits while too much is on its way out; the reader has `idle_ms_max` for it."""
        if self._drained is not None:
            self._rest()
        while self._drained is not None:
            await self._drained

    def _rest(self) -> None:
        """Nothing is asked for, or nothing more is answered now."""
        now = self._clock()
        if self._parser.is_within:
            self.deadline = now + self._settings.head_ms_max / 1000
            return
        self.is_idle = True
        self.deadline = now + self._settings.idle_ms_max / 1000
        self._live.mark_idle(self)

    def _refuse(self, fault: NotHttp) -> None:
        """What is not HTTP gets 400, and no traceback."""
        if self._socket is not None:
            response = Response(400, PLAIN_TEXT, f"{fault}\n".encode())
            head = self._encoder.head(response, None, closes=True)
            self._socket.write(head + response.body)
            self._leaves_unread = True
            self._end()

    def _end(self) -> None:
        """The last answer is written: closes, when the other side does if it may still send."""
        self.is_ending = True
        if self._socket is None or self._socket.is_closing():
            return
        if self._leaves_unread and not self._has_end:
            self.deadline = self._clock() + self._settings.body_unread_ms_max / 1000
            if self._socket.can_write_eof():
                self._socket.write_eof()
            self._pause_reading(pause=False)
        else:
            self.deadline = self._clock() + self._settings.idle_ms_max / 1000
            self._socket.close()


def _is_secure(transport: asyncio.Transport) -> bool:
    return transport.get_extra_info("sslcontext") is not None
