"""One request over one TCP connection, byte for byte as a row has it.

Nothing is added to a request but `host` and, unless its headers speak of the length, its
`content-length`. A server may answer before it has read a body, and close; that answer counts.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from contextlib import suppress
from urllib.parse import urlsplit

from tests.interop.row import Answer, Request, Scene

ANSWER_S_MAX = 20.0
"""Seconds for each wait: the apps give up after so long (compat 2.2)."""

_FRAMING = {"content-length", "transfer-encoding"}


class NoAnswer(Exception):
    """The connection failed, was closed, or stayed silent."""


def exchange(url: str, request: Request, scene: Scene) -> Answer:
    """Sends `request` to the server at the base URL `url`; its answer, or `NoAnswer`."""
    body = request.body.render(scene) if request.body else b""
    try:
        with _connect(url) as connection:
            # The answer to a body that was not read may come with a reset right behind it.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(_head(url, request, len(body)) + body)
            return _receive(connection, request.method)
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(
            f"{request.method} {request.path}: {type(error).__name__}: {error}"
        ) from error


def _connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    assert parts.hostname, f"{url!r} is not a URL"
    port = parts.port or (443 if parts.scheme == "https" else 80)
    connection = socket.create_connection((parts.hostname, port), timeout=ANSWER_S_MAX)
    if parts.scheme != "https":
        return connection
    # Certificates are no matter of this table; the node's own has no authority behind it.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connection, server_hostname=parts.hostname)


def _head(url: str, request: Request, body_bytes: int) -> bytes:
    parts = urlsplit(url)
    lines = [f"{request.method} {parts.path.rstrip('/')}{request.path} HTTP/1.1"]
    lines.append(f"host: {parts.netloc}")
    lines += [f"{name}: {value}" for name, value in request.headers]
    has_body = request.body is not None
    if has_body and not _FRAMING & {name.lower() for name, _ in request.headers}:
        lines.append(f"content-length: {body_bytes}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _receive(connection: socket.socket, method: str) -> Answer:
    response = http.client.HTTPResponse(connection, method=method)
    try:
        response.begin()
        headers = tuple((name.lower(), value) for name, value in response.getheaders())
        return Answer(response.status, headers, response.read())
    finally:
        response.close()
