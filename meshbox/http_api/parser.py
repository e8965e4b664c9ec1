"""`RequestParser`: the bytes of a connection in, requests out. No socket, no clock.

httptools (llhttp, the parser of Node.js) reads HTTP, strictly: two lengths, a length beside a
transfer coding, bare line ends and unknown methods are errors. What it leaves to its user:

- It bounds nothing. Here: header lines, bytes of a head, bytes of any chunk header or trailer.
- It takes HTTP/0.9 and 2.0 for versions of HTTP/1, and hands on a head with a transfer coding that
  nobody can read.
- An offer of another protocol ends its reading, and it gives back what follows without having read
  the body. Nothing is offered here but HTTP/1, so the offer is ignored (RFC 9110, 7.8): the parser
  is told the same request once more without the offer, and goes on where it was. CONNECT likewise.
- Trailers come as headers after the head: they are dropped.

Invariants: how the bytes are cut into pieces makes no difference to what comes out; after the first
`NotHttp` nothing more does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from meshbox.core.limits import HTTP_HEAD_BYTES_MAX, HTTP_HEADERS_MAX
from meshbox.http_api.request import IncomingBody, Request

_VERSIONS: Final = ("1.1", "1.0")
_LENGTH: Final = b"content-length"
_CODING: Final = b"transfer-encoding"


class NotHttp(Exception):
    """What came is not proper HTTP, and nothing after it can be understood."""


class RequestParser:
    """Reads one connection."""

    __slots__ = (
        "_begun",
        "_head_bytes",
        "_header_count",
        "_headers",
        "_is_offered",
        "_on_taken",
        "_parser",
        "_request",
        "_silent_bytes",
        "_target",
        "is_within",
    )

    def __init__(
        self, begun: Callable[[Request], None], *, on_body_taken: Callable[[], None]
    ) -> None:
        """`begun` gets each request when its head is complete; its body follows by itself.

        `on_body_taken` is called when a handler took something of a body.
        """
        self._begun = begun
        self._on_taken = on_body_taken
        self._parser = HttpRequestParser(self)
        self._request: Request | None = None
        """The request whose body is being read."""
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._header_count = self._head_bytes = 0
        self._silent_bytes = 0
        """Bytes since the last that were of a body or ended something."""
        self._is_offered = False
        """The request in progress offers another protocol, its body is still to come."""
        self.is_within = False
        """A request has begun to come and is not complete."""

    def feed(self, data: bytes) -> None:
        """Reads on. `NotHttp`; requests before the fault were handed on."""
        self._silent_bytes += len(data)
        try:
            self._feed(memoryview(data))
        except HttpParserError as error:
            cause = error.__context__
            text = str(cause if isinstance(cause, NotHttp) else error)
            raise NotHttp(text.lower()) from error
        if self._silent_bytes > HTTP_HEAD_BYTES_MAX:
            raise NotHttp("the header is too long")

    def break_off(self, why: str) -> None:
        """Nothing more comes."""
        if self._request is not None:
            self._request.body.break_off(why)

    def on_message_begin(self) -> None:
        self.is_within = True
        if self._request is None:
            self._target = b""
            self._headers = {}
            self._header_count = self._head_bytes = 0

    def on_url(self, part: bytes) -> None:
        if self._request is None:
            self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_count += 1
        self._head_bytes += len(name) + len(value)
        if self._header_count > HTTP_HEADERS_MAX or self._head_bytes > HTTP_HEAD_BYTES_MAX:
            raise NotHttp("the header is too long")
        if self._request is not None:
            return
        name = name.lower()
        headers = self._headers
        headers[name] = value if name not in headers else b"%b, %b" % (headers[name], value)

    def on_headers_complete(self) -> None:
        self._silent_bytes = 0
        if self._request is not None:
            return
        parser = self._parser
        version = parser.get_http_version()
        if version not in _VERSIONS:
            raise NotHttp(f"HTTP/{version} is not served")
        if len(self._target) + self._head_bytes > HTTP_HEAD_BYTES_MAX:
            raise NotHttp("the header is too long")
        coding = self._headers.get(_CODING)
        if coding is not None and (coding.lower() != b"chunked" or version == "1.0"):
            raise NotHttp("the only transfer coding is chunked, of HTTP/1.1")
        self._is_offered = parser.should_upgrade()
        self._request = Request(
            method=parser.get_method().decode(),
            target=self._target.decode("latin-1"),
            headers=self._headers,
            body=IncomingBody(self._on_taken),
            is_old=version == "1.0",
            keeps_alive=parser.should_keep_alive(),
        )
        self._begun(self._request)

    def on_body(self, piece: bytes) -> None:
        assert self._request is not None, "a body follows a head"
        self._silent_bytes = 0
        self._request.body.put(piece)

    def on_message_complete(self) -> None:
        if self._is_offered:
            return
        assert self._request is not None, "what ends has begun"
        self._silent_bytes = 0
        self.is_within = False
        request, self._request = self._request, None
        request.body.end()

    def _feed(self, data: memoryview) -> None:
        while True:
            try:
                self._parser.feed_data(data)
            except HttpParserUpgrade as offer:
                data = data[offer.args[0] :]
                self._ignore_offer()
            else:
                return

    def _ignore_offer(self) -> None:
        """Lets the parser read the body of the request that it believes to be over."""
        self._is_offered = False
        headers = self._headers
        if _CODING in headers:
            framing = b"%b: %b" % (_CODING, headers[_CODING])
        else:
            framing = b"%b: %b" % (_LENGTH, headers.get(_LENGTH, b"0"))
        self._parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n\r\n" % framing)
