"""The system's ways out, and the networks that it is on. Reads; what they mean is in `core`.

A UDP socket that is connected sends nothing: the system only looks up the route and the address
to send from.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Final

import ifaddr

from meshbox.core.reachability import Family, Network, Networks, answers_come_to

_FAR: Final = {
    Family.IPV4: "198.51.100.1",
    Family.IPV6: "2001:db8::1",
}
"""Addresses that belong to nobody (RFC 5737, RFC 3849): only a default route leads there."""

_DISCARD_PORT: Final = 9


def read_routes() -> frozenset[Family]:
    """The families in which there is a way out."""
    return frozenset(family for family in Family if _has_route(family))


def read_networks() -> Networks:
    """The networks of all addresses of this machine; none where they cannot be listed."""
    try:
        adapters = list(ifaddr.get_adapters())
    except OSError:
        return frozenset()
    return frozenset(_network(ip) for adapter in adapters for ip in adapter.ips)


def source_address(host: str) -> str | None:
    """The address from which this machine sends to the address `host`; None: it does not."""
    bare, _, zone = host.partition("%")
    kind = socket.AF_INET6 if ":" in bare else socket.AF_INET
    try:
        with socket.socket(kind, socket.SOCK_DGRAM) as sock:
            scope = (0, socket.if_nametoindex(zone)) if zone else ()
            sock.connect((bare, _DISCARD_PORT, *scope))
            return str(sock.getsockname()[0])
    except OSError:
        return None


def _has_route(family: Family) -> bool:
    source = source_address(_FAR[family])
    return source is not None and answers_come_to(source)


def _network(ip: ifaddr.IP) -> Network:
    address = ip.ip[0] if isinstance(ip.ip, tuple) else ip.ip
    bare = str(address).partition("%")[0]
    return ipaddress.ip_network(f"{bare}/{ip.network_prefix}", strict=False)
