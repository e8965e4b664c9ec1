"""Listening TCP sockets from a `HOST:PORT`, bound before anything is announced or told.

Sockets rather than addresses go to the servers: so a taken port is found out before the node does
anything, and what is reported is what is bound. `[::]` is dual stack, IPv4 and IPv6 on one socket,
and IPv4 alone on a machine without IPv6. A name (localhost) is bound on each address that it has,
all with the same port.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final, NamedTuple

from meshbox.core.address import Endpoint
from meshbox.core.errors import ListenFailed
from meshbox.core.limits import BACKLOG_CONNECTIONS

ANY_IPV6: Final = "::"
ANY_IPV4: Final = "0.0.0.0"  # noqa: S104

_NO_IPV6: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})


class Listener(NamedTuple):
    """Bound and listening sockets of one server, and the endpoint to tell others."""

    sockets: tuple[socket.socket, ...]
    endpoint: Endpoint

    def close(self) -> None:
        for listening in self.sockets:
            listening.close()


def listen(name: str, endpoint: Endpoint) -> Listener:
    """Binds and listens; `name` is the setting, for the message. `ListenFailed`.

    Port 0 takes a free one. Blocks for as long as a name takes to be resolved.
    """
    try:
        return _listen(endpoint)
    except OSError as error:
        raise ListenFailed(
            f"{name}: cannot listen on {endpoint}: {error.strerror or error}", hint=_advice(error)
        ) from error


def _listen(endpoint: Endpoint) -> Listener:
    if endpoint.host == ANY_IPV6:
        return _listen_any(endpoint)
    with ExitStack() as undo:
        sockets: list[socket.socket] = []
        for host in _addresses(endpoint):
            port = sockets[0].getsockname()[1] if sockets else endpoint.port
            sockets.append(_bind(host, port))
            undo.callback(sockets[-1].close)
        undo.pop_all()
    return _listener(sockets, endpoint.host)


def _listen_any(endpoint: Endpoint) -> Listener:
    try:
        return _listener([_bind(ANY_IPV6, endpoint.port, dual_stack=True)], ANY_IPV6)
    except OSError as error:
        if error.errno not in _NO_IPV6:
            raise
        return _listener([_bind(ANY_IPV4, endpoint.port)], ANY_IPV4)


def _listener(sockets: Sequence[socket.socket], host: str) -> Listener:
    return Listener(tuple(sockets), Endpoint(host, sockets[0].getsockname()[1]))


def _addresses(endpoint: Endpoint) -> list[str]:
    """The addresses of a host, each once; an address is its own."""
    found = socket.getaddrinfo(
        endpoint.host, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    # A zone is not in the text of the address that getaddrinfo returns.
    if ":" in endpoint.host:
        return [endpoint.host]
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _bind(host: str, port: int, *, dual_stack: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    *_, address = socket.getaddrinfo(
        host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
    )[0]
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual_stack else 1)
        listening.bind(address)
        listening.listen(BACKLOG_CONNECTIONS)
        listening.setblocking(False)  # noqa: FBT003 - its only form
    except OSError:
        listening.close()
        raise
    return listening


def _advice(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "another program has this port; choose another, or 0 for a free one"
        case errno.EACCES:
            return "ports below 1024 need a privilege; choose a higher one"
        case errno.EADDRNOTAVAIL:
            return "this machine does not have this address"
        case _:
            return "check the address"
