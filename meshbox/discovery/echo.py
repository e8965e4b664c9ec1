"""Whether mDNS gets out of an interface and comes in by it: a question of ours that we hear.

The system gives what is multicast to its own listeners too, by the same way and the same firewall
as what neighbours send. That they hear it is only shown by one that answers.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Final, NamedTuple

from meshbox.core.errors import DiscoveryFailed
from meshbox.core.limits import DISCOVERED_PEERS_MAX, SWARM_PACKET_BYTES_MAX
from meshbox.discovery.interfaces import Interface, read_interfaces
from meshbox.discovery.swarm import packet
from meshbox.discovery.swarm.link import GROUP, PORT, InterfaceGone, open_on

LISTEN_S: Final = 1.5
"""Seconds in which neighbours may answer: responders wait up to half a second (RFC 6762, 6)."""

_EVERYBODY: Final = "_services._dns-sd._udp.local."


class Echo(NamedTuple):
    """What was heard: ourselves, and the addresses of others."""

    is_heard: bool
    neighbours: frozenset[str]


async def listen_for_echo(interface: Interface) -> Echo:
    """Asks on `interface`, and listens for 1.5 s; `DiscoveryFailed`."""
    try:
        sock = open_on(interface.index)
    except InterfaceGone as error:
        raise DiscoveryFailed(f"{interface.name} went meanwhile") from error
    own = packet.query(f"_meshbox-{secrets.token_hex(4)}._tcp.local.")
    loop = asyncio.get_running_loop()
    ours = {address for each in read_interfaces() for address in each.addresses}
    neighbours: set[str] = set()
    is_heard = False
    try:
        for question in (own, packet.query(_EVERYBODY)):
            await loop.sock_sendto(sock, question, (GROUP, PORT))
        ends_s = loop.time() + LISTEN_S
        async with asyncio.timeout_at(ends_s):
            # A flood never lets the loop turn, so that no time-out would end it.
            while loop.time() < ends_s:
                data, (host, _) = await loop.sock_recvfrom(sock, SWARM_PACKET_BYTES_MAX)
                is_heard = is_heard or data == own
                if host not in ours and len(neighbours) < DISCOVERED_PEERS_MAX:
                    neighbours.add(host)
    except TimeoutError:
        pass
    except OSError as error:
        raise DiscoveryFailed(f"{interface.name}: {error.strerror}") from error
    finally:
        sock.close()
    return Echo(is_heard, frozenset(neighbours))
