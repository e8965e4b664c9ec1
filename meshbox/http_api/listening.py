"""Opens listening sockets. `::` and an empty host mean both IPv6 and IPv4, wherever that is
possible; uvloop and aiohttp would bind IPv6 only (`::` does not reach 127.0.0.1 with either)."""

from __future__ import annotations

import socket
from typing import Final

from meshbox.core.errors import ListenFailed

BACKLOG: Final = 1_024
"""Connections that the kernel holds until they are accepted (it takes at most its somaxconn)."""

PORT_MAX: Final = 65_535


def open_listener(host: str, port: int) -> socket.socket:
    """A listening TCP socket; port 0 takes a free one. `ListenFailed` when it cannot be had.

    `host` is an address, a name (its first address), or "" or "::" for all interfaces.
    """
    if not 0 <= port <= PORT_MAX:
        raise ListenFailed(f"{port} is not a port", hint="ports are 0 to 65535")
    try:
        if host in ("", "::") and socket.has_dualstack_ipv6():
            return socket.create_server(
                ("::", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True
            )
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, _, _, _, address = found[0]
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ListenFailed(
            f"cannot listen on {host or '*'}:{port}: {reason}",
            hint="is another program using the port? port 0 takes a free one",
        ) from error
