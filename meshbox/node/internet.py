"""The internet mailboxes that the operator named: handed to those who speak to them, and told of.

Knows both kinds; what is done with each is elsewhere: a meshbox node is a peer as any other
(`sync/service.py`), with a mailbox server of the apps' kind a bridge keeps equal (`sync/bridge/`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from meshbox.core.address import PeerAddress
from meshbox.core.ids import NodeId
from meshbox.core.internet import (
    InternetAddress,
    InternetKind,
    InternetMailbox,
    InternetState,
    WebAddress,
)
from meshbox.storage.leases import Leases
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
        leases: Leases,
    ) -> None:
        """`bridges` has those of `addresses` that are mailbox servers. `leases` say which of
        several processes of this node reaches them."""
        # One file may serve many nodes: this one may be named itself.
        self._addresses = [
            address
            for address in addresses
            if isinstance(address, WebAddress) or address.node_id != sync.node_id
        ]
        self._sync = sync
        self._bridges = bridges
        self._leases = leases
        self._reached: set[NodeId] = set()
        self._reaching: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Has them reached from now on, for as long as the node runs."""
        for address in self._addresses:
            if isinstance(address, PeerAddress):
                self._reaching.append(asyncio.create_task(self._reach(address)))
        self._bridges.start()

    async def stop(self) -> None:
        """Leaves the mailbox servers, and lets other processes reach the nodes."""
        for reaching in self._reaching:
            reaching.cancel()
        left = asyncio.gather(*self._reaching, return_exceptions=True)
        await self._bridges.stop()
        await left

    def network_changed(self) -> None:
        """Tries all of them now, since there may be a way again."""
        self._sync.network_changed()
        self._bridges.network_changed()

    def mailboxes(self) -> tuple[InternetMailbox, ...]:
        """How they are now."""
        peers = {peer.node_id: peer for peer in self._sync.peers()}
        told = []
        for address in self._addresses:
            if isinstance(address, WebAddress):
                told.append(self._bridges.mailbox(address))
            elif address.node_id in self._reached:
                told.append(_mailbox(str(address), peers[address.node_id]))
            else:
                told.append(_standby(address))
        return tuple(told)

    async def _reach(self, address: PeerAddress) -> None:
        """Has a node reached whenever that is this process's to do."""
        while True:
            async with self._leases.lease(address.node_id) as over:
                self._sync.peer_found(address.node_id, address.endpoints, INTERNET)
                self._reached.add(address.node_id)
                await over.wait()
                self._reached.discard(address.node_id)  # It may be named twice.
                self._sync.peer_left(address.node_id)


def _standby(address: PeerAddress) -> InternetMailbox:
    """What is told of one that another process of this node reaches."""
    return InternetMailbox(
        url=str(address),
        kind=InternetKind.MESHBOX,
        node_id=address.node_id,
        state=InternetState.STANDBY,
        reason=None,
        detail=None,
        since_ms=None,
        last_progress_ms=None,
        bytes_in=0,
        bytes_out=0,
        blobs_in=0,
        blobs_out=0,
    )


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
