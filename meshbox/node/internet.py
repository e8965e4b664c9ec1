"""The internet mailboxes that the operator named: handed to those who speak to them, and told of.

Knows both kinds; what is done with each is elsewhere: a meshbox node is a peer as any other
(`sync/service.py`), with a mailbox server of the apps' kind a bridge keeps equal (`sync/bridge/`).
"""

from __future__ import annotations

from collections.abc import Sequence

from meshbox.core.address import PeerAddress
from meshbox.core.internet import (
    InternetAddress,
    InternetKind,
    InternetMailbox,
    InternetState,
    WebAddress,
)
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
    ) -> None:
        """`bridges` has those of `addresses` that are mailbox servers."""
        self._addresses = addresses
        self._sync = sync
        self._bridges = bridges

    def start(self) -> None:
        """Has them reached from now on, for as long as the node runs."""
        for address in self._addresses:
            if isinstance(address, PeerAddress):
                self._sync.peer_found(address.node_id, address.endpoints, INTERNET)
        self._bridges.start()

    async def stop(self) -> None:
        """Leaves the mailbox servers."""
        await self._bridges.stop()

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
            elif address.node_id in peers:  # This node itself is not: one file may serve many.
                told.append(_mailbox(str(address), peers[address.node_id]))
        return tuple(told)


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
