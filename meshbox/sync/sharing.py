"""The ways out of this node, and which of its neighbours have the same (core/way_out.py).

A neighbour is a peer that is announced on the LAN, or whose address is on one of our own networks:
what a far peer says of its own ways out is no reason to wait for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from meshbox.core.address import bare_ip
from meshbox.core.ids import NodeId
from meshbox.core.reachability import Network
from meshbox.core.way_out import WayOut, tells_way, told_ways
from meshbox.discovery.routes import read_networks
from meshbox.sync.peers import INTERNET, Peer
from meshbox.sync.runner import SessionRunner


class WaysOut:
    """The ways out called `names`: of a meshbox node its id, of a web server its address."""

    def __init__(self, own: NodeId, names: Iterable[str]) -> None:
        self.by_name: Mapping[str, WayOut] = {name: WayOut(own) for name in names}

    def told(self, nonce: bytes) -> bytes:
        """What a hello with `nonce` says of them."""
        return told_ways(self.by_name, nonce)

    def share(self, peers: Iterable[Peer]) -> None:
        """Sessions began or ended: from now on those of `peers` that are connected count."""
        if not self.by_name:
            return
        networks = read_networks()
        near = [
            (peer.node_id, peer.runner)
            for peer in peers
            if peer.runner is not None and _is_near(peer, peer.runner, networks)
        ]
        for name, way in self.by_name.items():
            way.share(node_id for node_id, runner in near if _has(runner, name))


def _is_near(peer: Peer, runner: SessionRunner, networks: Iterable[Network]) -> bool:
    if peer.source == INTERNET:
        return False
    if peer.heard:
        return True
    ip = bare_ip(runner.peer_host or "")
    return ip is not None and any(ip in network for network in networks)


def _has(runner: SessionRunner, name: str) -> bool:
    hello = runner.session.peer_hello
    return hello is not None and tells_way(hello.ways_out, hello.nonce, name)
