"""Whom this node finds: tells `sync` of peers that mDNS hears of or that the operator named.

Knows `discovery` and `sync`, which do not know each other. What mDNS says is a hint; sync dials it
and TLS decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping

from meshbox.core.address import Endpoint
from meshbox.core.ids import NodeId
from meshbox.discovery.announcement import Announcement
from meshbox.discovery.discovery import Discovery
from meshbox.discovery.events import (
    CloneSeen,
    Event,
    NetworkChanged,
    PeerChanged,
    PeerFound,
    PeerGone,
    Troubled,
)
from meshbox.discovery.names import parse_mesh
from meshbox.node.introductions import Introductions
from meshbox.node.log import Log
from meshbox.node.settings import Settings
from meshbox.sync.service import SyncService

SOURCE_MDNS = "mdns"
SOURCE_STATIC = "static"

TURN_S = 0.25
"""How soon a place that became free is taken by the next that waits."""


class Finding:
    """Introduces peers to `sync`. `warnings` is where what an operator should know is kept."""

    def __init__(
        self,
        settings: Settings,
        *,
        node_id: NodeId,
        sync: SyncService,
        log: Log,
        warnings: MutableMapping[str, str],
    ) -> None:
        self._settings = settings
        self._sync = sync
        self._log = log
        self._warnings = warnings
        self._introductions = Introductions(
            introduce=lambda node_id, at: sync.peer_found(node_id, at, SOURCE_MDNS),
            withdraw=sync.peer_gone,
            is_connected=sync.connected,
        )
        self._turns: asyncio.Task[None] | None = None
        self._discovery = Discovery(
            node_id,
            on_event=self._heard,
            mesh=parse_mesh(settings.mesh),
            interfaces=settings.interface,
            is_connected=sync.connected,
        )

    async def start(
        self, *, http: Endpoint | None, https: Endpoint | None, sync: Endpoint | None
    ) -> None:
        """Begins with the listeners as bound: announces them, and looks for others."""
        for peer in self._settings.peer:
            self._sync.peer_found(peer.node_id, peer.endpoints, SOURCE_STATIC)
        if self._settings.mdns:
            await self._discovery.start(
                Announcement(
                    http=http, https=https, sync=sync, http_advertised=self._settings.advertise
                )
            )

    async def stop(self) -> None:
        """Says goodbye to the LAN."""
        if self._turns is not None:
            self._turns.cancel()
        await self._discovery.stop()

    async def _take_turns(self) -> None:
        while self._introductions.is_waiting:
            await asyncio.sleep(TURN_S)
            self._introductions.take_turns(now_ms=_now_ms())

    async def _heard(self, event: Event) -> None:
        self._meet(event)
        if self._introductions.is_waiting and (self._turns is None or self._turns.done()):
            self._turns = asyncio.create_task(self._take_turns())

    def _meet(self, event: Event) -> None:
        match event:
            case PeerFound(peer):
                self._log.info("peer.found", peer=peer.node_id, addresses=_shown(peer.endpoints))
                self._introductions.found(peer, now_ms=_now_ms())
            case PeerChanged(peer):
                self._log.info("peer.moved", peer=peer.node_id, addresses=_shown(peer.endpoints))
                self._introductions.found(peer, now_ms=_now_ms())
            case PeerGone(peer):
                self._log.info("peer.gone", peer=peer.node_id)
                self._introductions.gone(peer.node_id, now_ms=_now_ms())
            case NetworkChanged(addresses):
                self._log.info("network.changed", addresses=list(addresses))
                self._warnings.pop("discovery", None)
                self._sync.network_changed()
            case Troubled(error):
                self._log.warning("discovery.troubled", reason=error.code, detail=str(error))
                self._warnings["discovery"] = str(error)
            case CloneSeen(peer):
                self._log.warning("identity.cloned", addresses=_shown(peer.endpoints))
                self._warnings["clone"] = (
                    "another process announces this node's id: a copy of its data folder is in "
                    f"use at {', '.join(_shown(peer.endpoints))}"
                )
            case _:
                raise AssertionError(f"mailboxes are not browsed: {event}")


def _now_ms() -> float:
    return asyncio.get_running_loop().time() * 1_000


def _shown(endpoints: tuple[Endpoint, ...]) -> list[str]:
    return [str(endpoint) for endpoint in endpoints]
