"""Who asks, when a proxy stands in between.

A proxy writes the address that it was asked from at the end of `X-Forwarded-For`; before it stands
what the proxy was told, by another proxy or by anybody. So the list is read from its end, and as
long as its addresses are proxies that the operator named: the first that is none is the client.
A header that comes from anybody else, or is no list of addresses, changes nothing.

Source: MDN, X-Forwarded-For, "selecting an IP address"; RFC 7239, section 8.1.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

from meshbox.core.reachability import Network

FORWARDED_HEADER: Final = "x-forwarded-for"

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class TrustedProxies:
    """The proxies whose word on the client's address is taken."""

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        self._networks = tuple(networks)

    def client(self, sender: str, forwarded: str | None) -> str:
        """The address of the client of a request from `sender`, with this header."""
        if forwarded is None or not self._networks:
            return sender
        client = sender
        for text in reversed(forwarded.split(",")):
            if not self._trusts(_address(client)):
                break
            address = _address(text.strip())
            if address is None:
                break
            client = str(address)
        return client

    def _trusts(self, address: _Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)


def _address(text: str) -> _Address | None:
    """None for what is none. A listener of both families has IPv4 addresses as `::ffff:…`."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
