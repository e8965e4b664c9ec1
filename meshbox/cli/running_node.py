"""How a command talks to a running node: its control socket, or the URL of its admin listener.

Without libraries beyond the standard one: a container's health check runs one of these every few
seconds. Every command imports this, for its options: what talks is loaded when there is to be talk.
"""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final

import typer

from meshbox.core.errors import CallerError, MeshboxError, NotRunning, WorldError

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
    import http.client

    from meshbox.cli.admin_connection import CONNECT_TIMEOUT_S, connection_to

    if query:
        path += "?" + urllib.parse.urlencode(query)
    connection, where = connection_to(data_dir=data_dir, admin=admin)
    try:
        connection.timeout = CONNECT_TIMEOUT_S
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


def _document(status: int, body: bytes, where: str) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise NotRunning(f"what answers at {where} is no meshbox node")
    if status == HTTPStatus.OK:
        return document
    fault = RemoteRefusal if status < HTTPStatus.INTERNAL_SERVER_ERROR else RemoteError
    raise fault(
        str(document.get("error", MeshboxError.code)),
        str(document.get("message", "the node gave no reason")),
        document.get("hint"),
    )


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return "start it with meshbox run, or name another with --data-dir or --admin"
    if isinstance(error, TimeoutError):
        return "it is too busy to answer"
    return str(error) or type(error).__name__
