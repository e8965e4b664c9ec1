"""Whether this node and the internet reach each other, for each address family. Pure.

    route     there is a way out: the system would send from an address that answers can come to
    dialled   a peer from beyond our own networks dialled us, and proved its key

Nobody else's server is asked. So nothing but a peer can show that a firewall or a router lets
connections in: until one does it is unknown, and it is unknown again on other networks.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from meshbox.core.address import bare_ip

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Networks = frozenset[Network]

_UNIQUE_LOCAL = ipaddress.IPv6Network("fc00::/7")


class Family(StrEnum):
    """The two kinds of addresses."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"


class Dialled(StrEnum):
    """Whether others reach this node. That they do not cannot be known."""

    YES = "yes"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """One family's reachability."""

    has_route: bool
    dialled: Dialled


def family_of(network: Network) -> Family:
    return Family.IPV4 if network.version == 4 else Family.IPV6


def answers_come_to(source: str) -> bool:
    """Whether packets from the address `source` of this machine can be answered from afar.

    A private IPv4 address can (its router translates); IPv6 ones of a link or a site cannot.
    """
    ip = ipaddress.ip_address(source.partition("%")[0])
    if ip.is_loopback or ip.is_link_local or ip.is_unspecified:
        return False
    return ip.version == 4 or ip not in _UNIQUE_LOCAL


class Diallers:
    """Who dialled this node from beyond its networks: one memory a family."""

    def __init__(self) -> None:
        self._seen: dict[Family, Networks] = {}

    def note(self, host: str, networks: Callable[[], Iterable[Network]]) -> None:
        """The address `host` dialled us, and proved a key. `networks` tells which we are on now; it
        costs a millisecond, so it is asked only about an address that may be from beyond them."""
        ip = bare_ip(host)
        if ip is None or not ip.is_global:
            return
        own = list(networks())
        if not any(ip in network for network in own):
            family = Family.IPV4 if ip.version == 4 else Family.IPV6
            self._seen[family] = _of_family(own, family)

    def reach(self, routes: Iterable[Family], networks: Iterable[Network]) -> dict[Family, Reach]:
        """What is known on `networks`, with a way out in `routes`."""
        own, out = list(networks), frozenset(routes)
        return {
            family: Reach(
                has_route=family in out,
                dialled=Dialled.YES
                if self._seen.get(family) == _of_family(own, family)
                else Dialled.UNKNOWN,
            )
            for family in Family
        }


def _of_family(networks: Iterable[Network], family: Family) -> Networks:
    return frozenset(network for network in networks if family_of(network) is family)
