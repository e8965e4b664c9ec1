"""Where other nodes reach this one: the peer address that is told, as text and as a QR code."""

from __future__ import annotations

from collections.abc import Sequence

from meshbox.core.address import Endpoint, PeerAddress
from meshbox.core.errors import DiscoveryFailed
from meshbox.core.ids import NodeId
from meshbox.core.limits import ADDRESS_ENDPOINTS_MAX
from meshbox.discovery.announcement import reachable_addresses
from meshbox.discovery.interfaces import choose, read_interfaces


def own_address(
    node_id: NodeId, sync: Endpoint | None, *, interfaces: Sequence[str]
) -> PeerAddress | None:
    """The address at which a neighbour dials the sync listener, as it is bound, at this moment.

    `interfaces` are those that the settings name. None where sync is off or nobody could reach it.
    What one neighbour alone understands, an IPv6 address of the link, is left out.
    """
    if sync is None:
        return None
    try:
        chosen = choose(read_interfaces(), interfaces)
    except DiscoveryFailed:
        return None
    hosts = [
        address
        for address in reachable_addresses(sync, chosen)
        if not address.lower().startswith("fe80:")
    ]
    if not hosts:
        return None
    endpoints = tuple(Endpoint(host, sync.port) for host in hosts[:ADDRESS_ENDPOINTS_MAX])
    return PeerAddress(node_id, endpoints)
