"""Responses, and the bytes that they are sent as."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, NamedTuple

from meshbox.core.errors import MeshboxError, WorldError
from meshbox.http_api.cors import CORS_HEADERS, PREFLIGHT_HEADERS
from meshbox.http_api.request import Request
from meshbox.wire.statuses import STATUSES

SERVER: Final = "meshbox"
TEXT: Final = "text/plain; charset=utf-8"
RETRY_AFTER_S: Final = "1"

_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
_CLOSE: Final = b"connection: close\r\n"
_KEEP_ALIVE: Final = b"connection: keep-alive\r\n"


class Response(NamedTuple):
    """What is answered."""

    status: int
    headers: bytes
    """As `header_lines` makes them: all but those of the connection, the length and the date."""
    body: bytes = b""


def header_lines(*headers: tuple[str, str]) -> bytes:
    """Headers as they are sent, this server's name among them."""
    return b"".join(f"{name}: {value}\r\n".encode() for name, value in (*headers, _SERVER))


_SERVER = ("server", SERVER)
PLAIN_TEXT: Final = header_lines(*CORS_HEADERS, ("content-type", TEXT))
PREFLIGHT: Final = Response(200, header_lines(*PREFLIGHT_HEADERS))
_TRY_AGAIN: Final = header_lines(
    *CORS_HEADERS, ("content-type", TEXT), ("retry-after", RETRY_AFTER_S)
)


def refusal(error: MeshboxError) -> Response:
    """What a fault is answered with."""
    headers = _TRY_AGAIN if isinstance(error, WorldError) else PLAIN_TEXT
    return Response(STATUSES[error.code].http, headers, f"{error}\n".encode())


class Encoder:
    """Makes the bytes of responses. `wall_ms` tells the time in ms since 1970."""

    __slots__ = ("_date", "_date_s", "_wall_ms")

    def __init__(self, wall_ms: Callable[[], int]) -> None:
        self._wall_ms = wall_ms
        self._date_s = -1
        self._date = b""

    def head(self, response: Response, request: Request | None, *, closes: bool) -> bytes:
        """The bytes before the body; `request` is None when it could not be read."""
        if closes:
            connection = _CLOSE
        else:
            connection = _KEEP_ALIVE if request is not None and request.is_old else b""
        length = b"" if response.status == HTTPStatus.NO_CONTENT else b"content-length: %d\r\n"
        if length:
            length %= len(response.body)
        return b"".join(
            (
                _STATUS_LINES[response.status],
                response.headers,
                connection,
                self._dated(),
                length,
                b"\r\n",
            )
        )

    def _dated(self) -> bytes:
        now_s = self._wall_ms() // 1000
        if now_s != self._date_s:
            self._date_s = now_s
            self._date = f"date: {formatdate(now_s, usegmt=True)}\r\n".encode()
        return self._date
