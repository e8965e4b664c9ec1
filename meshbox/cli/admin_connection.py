"""The connection over which a command asks a node: to its control socket, or its admin listener."""

from __future__ import annotations

import http.client
import os
import urllib.parse
from pathlib import Path
from typing import Final

from meshbox.admin.control_socket import connect
from meshbox.core.errors import WrongUse
from meshbox.node.data_folder import CONTROL_SOCKET_NAME
from meshbox.node.settings import locate_data_dir

CONNECT_TIMEOUT_S: Final = 5.0
"""Seconds for a connection to be taken."""


def connection_to(
    *, data_dir: str | None, admin: str | None
) -> tuple[http.client.HTTPConnection, str]:
    """A connection to the node of `data_dir` (None: the default one), or at the URL `admin`, not
    begun yet, and what to call that place. `WrongUse` for what names no place, or two."""
    if admin is None:
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
        self.sock = connect(self._path, self.timeout or CONNECT_TIMEOUT_S)
