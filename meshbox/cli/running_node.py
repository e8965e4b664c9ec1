"""How a command talks to a running node: its control socket, or the URL of its admin listener.

Without libraries beyond the standard one: a container's health check runs one of these every few
seconds.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from meshbox.core.errors import CallerError, MeshboxError, NotRunning, WorldError, WrongUse

DataDir = Annotated[
    str | None,
    typer.Option("--data-dir", metavar="PATH", help="The data folder of the node."),
]
Admin = Annotated[
    str | None,
    typer.Option(
        "--admin", metavar="URL", help="Its admin listener, such as http://127.0.0.1:3002."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document, for programs.")]

ANSWER_TIMEOUT_S: Final = 10.0
"""Seconds for an answer that needs no work."""

WORK_TIMEOUT_S: Final = 600.0
"""Seconds for an answer that reads or frees everything that is stored."""

_CONNECT_TIMEOUT_S: Final = 5.0


class RemoteError(WorldError):
    """The node answered that it could not; `code` is the one that it named."""

    def __init__(self, code: str, message: str, hint: str | None) -> None:
        super().__init__(message, hint=hint)
        self.code = code  # type: ignore[misc]  # of the instance here, of the class elsewhere


class RemoteRefusal(CallerError):
    """The node answered that what was asked for cannot be; `code` is the one that it named."""

    def __init__(self, code: str, message: str, hint: str | None) -> None:
        super().__init__(message, hint=hint)
        self.code = code  # type: ignore[misc]


def ask(
    method: str,
    path: str,
    *,
    data_dir: str | None,
    admin: str | None,
    query: Mapping[str, str] | None = None,
    timeout_s: float = ANSWER_TIMEOUT_S,
) -> dict[str, Any]:
    """The document with which the node answers. `NotRunning` when none does."""
    if query:
        path += "?" + urllib.parse.urlencode(query)
    connection, where = _connection(data_dir, admin)
    try:
        connection.timeout = _CONNECT_TIMEOUT_S
        connection.connect()
        assert connection.sock is not None
        connection.sock.settimeout(timeout_s)
        connection.request(method, path)
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise NotRunning(f"no node answers at {where}", hint=_reason(error)) from error
    finally:
        connection.close()
    return _document(response.status, body, where)


def _connection(data_dir: str | None, admin: str | None) -> tuple[http.client.HTTPConnection, str]:
    if admin is None:
        from meshbox.node.data_folder import CONTROL_SOCKET_NAME
        from meshbox.node.settings import locate_data_dir

        folder = locate_data_dir(data_dir, os.environ)
        return _ControlConnection(folder / CONTROL_SOCKET_NAME), str(folder)
    if data_dir is not None:
        raise WrongUse("--data-dir and --admin name two nodes", hint="use one of them")
    try:
        url = urllib.parse.urlsplit(admin)
        host, port = url.hostname, url.port
    except ValueError as error:
        raise WrongUse(f"--admin: {admin!r} is not a URL: {error}") from error
    if url.scheme != "http" or not host or url.path not in ("", "/"):
        raise WrongUse(f"--admin: {admin!r} is not a URL such as http://127.0.0.1:3002")
    return http.client.HTTPConnection(host, port or 80), admin


class _ControlConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        from meshbox.admin.control_socket import connect

        self.sock = connect(self._path, self.timeout or _CONNECT_TIMEOUT_S)


def _document(status: int, body: bytes, where: str) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise NotRunning(f"what answers at {where} is no meshbox node")
    if status == http.client.OK:
        return document
    fault = RemoteRefusal if status < http.client.INTERNAL_SERVER_ERROR else RemoteError
    raise fault(
        str(document.get("error", MeshboxError.code)),
        str(document.get("message", "the node gave no reason")),
        document.get("hint"),
    )


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return "start it with meshbox run, or name another with --data-dir or --admin"
    if isinstance(error, socket.timeout | TimeoutError):
        return "it is too busy to answer"
    return str(error) or type(error).__name__
