"""Which addresses peers tell each other of: those of neighbours, to neighbours. Pure.

Who is reached on our own networks, or by a private address, is a neighbour. So no address of the
internet is told to anybody, nor one of a LAN to the internet; and none that means something else
to each machine (loopback), to each of its links (IPv6 of a link), or nothing (multicast, "any").
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable

from meshbox.core.reachability import Network


def is_neighbour(host: str, networks: Callable[[], Iterable[Network]]) -> bool:
    """Whether `host` is an address that neighbours may be told of. `networks` tells which this node
    is on; it costs a millisecond, so it is asked only about a global address."""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:  # A name, or an address with a zone.
        return False
    if ip.is_loopback or ip.is_multicast or ip.is_unspecified:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and (ip.is_link_local or ip.ipv4_mapped):
        return False
    return not ip.is_global or any(ip in network for network in networks())
