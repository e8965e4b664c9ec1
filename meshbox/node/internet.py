"""The internet mailboxes that the operator named: handed to those who speak to them, and told of.

Knows both kinds; what is done with each is elsewhere: a meshbox node is a peer as any other
(`sync/service.py`), with a mailbox server of the apps' kind a bridge keeps equal (`sync/bridge/`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from meshbox.core.address import PeerAddress
from meshbox.core.internet import (
    InternetAddress,
    InternetKind,
    InternetMailbox,
    InternetState,
    WebAddress,
)
from meshbox.discovery.network_watch import watch_network
from meshbox.discovery.routes import read_networks, read_routes
from meshbox.sync.bridge.bridges import Bridges
from meshbox.sync.peers import INTERNET
from meshbox.sync.service import SyncService
from meshbox.sync.status import PeerStatus


def names(addresses: Sequence[InternetAddress]) -> tuple[str, ...]:
    """What neighbours with the same mailboxes call them too (core/way_out.py)."""
    return tuple(
        address.node_id if isinstance(address, PeerAddress) else str(address)
        for address in addresses
    )


class Internet:
    """All internet mailboxes of this node, in the order of the settings."""

    def __init__(
        self,
        addresses: Sequence[InternetAddress],
        *,
        sync: SyncService,
        bridges: Bridges,
        is_only_watch: bool = False,
    ) -> None:
        """`bridges` has those of `addresses` that are mailbox servers. `is_only_watch`: nobody else
        tells `sync` of changes of the network, as discovery does."""
        self._is_only_watch = is_only_watch
        self._addresses = addresses
        self._sync = sync
        self._bridges = bridges
        self._network: object = None
        self._watch: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Has them reached from now on, for as long as the node runs."""
        if self._addresses or self._is_only_watch:
            self._network = _network()
            self._watch = asyncio.create_task(watch_network(self._look))
        for address in self._addresses:
            if isinstance(address, PeerAddress):
                self._sync.peer_found(address.node_id, address.endpoints, INTERNET)
        self._bridges.start()

    async def stop(self) -> None:
        """Looks at the network no more, and leaves the mailbox servers."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
        await self._bridges.stop()

    async def _look(self) -> None:
        network = _network()
        if network != self._network:
            self._network = network
            self._sync.network_changed()
            self._bridges.network_changed()

    def mailboxes(self) -> tuple[InternetMailbox, ...]:
        """How they are now."""
        peers = {peer.node_id: peer for peer in self._sync.peers()}
        told = []
        for address in self._addresses:
            if isinstance(address, WebAddress):
                told.append(self._bridges.mailbox(address))
            elif address.node_id in peers:  # This node itself is not: one file may serve many.
                told.append(_mailbox(str(address), peers[address.node_id]))
        return tuple(told)


def _network() -> object:
    """What is equal as long as the network is the same, as far as this machine can tell."""
    return read_networks(), read_routes()


def _mailbox(url: str, peer: PeerStatus) -> InternetMailbox:
    """What is told of the peer that is configured as an internet mailbox."""
    return InternetMailbox(
        url=url,
        kind=InternetKind.MESHBOX,
        node_id=peer.node_id,
        state=InternetState(peer.state.value),
        reason=peer.reason,
        detail=peer.detail,
        since_ms=peer.since_ms or peer.lost_ms,
        last_progress_ms=peer.last_progress_ms,
        bytes_in=peer.bytes_in,
        bytes_out=peer.bytes_out,
        blobs_in=peer.blobs_in,
        blobs_out=peer.blobs_out,
    )
