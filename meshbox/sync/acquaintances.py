"""Makes the peers of this node known to each other: tells them where others are, dials whom they
tell of.

The shell around core/telling.py and core/told.py. Where a peer listens is proven by us before we
tell it: by the session, where we dialled an address; else by a handshake with the port that its
hello names, at the address that it dialled from, or at the name that we dialled.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from meshbox.core.address import Endpoint, is_address
from meshbox.core.ids import NodeId
from meshbox.core.neighbours import is_neighbour
from meshbox.core.reachability import Network
from meshbox.core.session.frames import Addresses, PeerAt
from meshbox.core.telling import Telling
from meshbox.core.told import ToldPeers
from meshbox.sync.runner import SessionRunner

Prove = Callable[[NodeId, Endpoint], Awaitable[Endpoint | None]]
"""The address at which `node_id` proved itself to listen, of an endpoint whose host may be a name;
None when it did not."""

Networks = Callable[[], Iterable[Network]]


class Dialler(Protocol):
    """What is done about whom others told of; `SyncService` does it."""

    def connected(self, node_id: NodeId) -> bool:
        """Whether a proven session with the peer is open."""

    def found(self, node_id: NodeId) -> bool:
        """Whether it is announced, so that no hint is needed."""

    def peer_told(self, node_id: NodeId, endpoints: tuple[Endpoint, ...]) -> None:
        """It may be reached there; nowhere: it is no more dialled where others said."""

    def tell(self, node_id: NodeId, addresses: Addresses) -> None:
        """Tells a peer with a session."""


class Acquaintances:
    """`own` is this node. Without `prove` it keeps to itself: neither tells nor listens."""

    def __init__(
        self, dialler: Dialler, *, own: NodeId, prove: Prove | None, networks: Networks
    ) -> None:
        self._dialler = dialler
        self._own = own
        self._prove = prove
        self._networks = networks
        self._telling = Telling()
        self._told = ToldPeers(is_connected=dialler.connected, is_found=dialler.found)
        self._proving: dict[NodeId, asyncio.Task[None]] = {}

    @property
    def hears(self) -> bool:
        """Whether peers may tell us of others."""
        return self._prove is not None

    def begin(self, node_id: NodeId, runner: SessionRunner) -> None:
        """A session with a peer began, in place of one that there may have been."""
        self.end(node_id)
        host, hello = runner.peer_host, runner.session.peer_hello
        if self._prove is None or host is None or hello is None:
            return
        if self._is_neighbour(host):
            self._telling.begin(node_id)
            if runner.dialled_at is not None:
                self._telling.prove(node_id, Endpoint(host, runner.dialled_at.port))
            elif hello.sync_port:
                self._begin_to_prove(node_id, Endpoint(host, hello.sync_port))
        elif runner.dialled_at is not None and not is_address(host):
            self._begin_to_prove(node_id, runner.dialled_at)

    def end(self, node_id: NodeId) -> None:
        """The session with a peer ended."""
        self._telling.end(node_id)
        self._told.teller_ended(node_id)
        task = self._proving.pop(node_id, None)
        if task is not None:
            task.cancel()

    def stop(self) -> None:
        """Nothing is under way any more."""
        for task in self._proving.values():
            task.cancel()

    def told(self, by: NodeId, peers: Iterable[PeerAt], *, now_ms: int) -> None:
        """A peer tells of others."""
        if self._prove is not None:
            fit = (p for p in peers if p.node_id != self._own)
            networks = functools.cache(self._networks)  # One frame names many.
            near = [peer for peer in fit if is_neighbour(peer.endpoint.host, networks)]
            self._told.told(by, near, now_ms=now_ms)

    def tick(self, *, now_ms: int) -> None:
        """Time passed; a few times a second."""
        for node_id, addresses in self._telling.due(now_ms=now_ms):
            self._dialler.tell(node_id, addresses)
        turns = self._told.turns(now_ms=now_ms)
        for node_id in turns.drop:
            self._dialler.peer_told(node_id, ())
        for node_id, endpoints in turns.dial:
            self._dialler.peer_told(node_id, endpoints)

    def _is_neighbour(self, host: str) -> bool:
        return is_neighbour(host, self._networks)

    def _begin_to_prove(self, node_id: NodeId, endpoint: Endpoint) -> None:
        self._proving[node_id] = asyncio.create_task(self._find_out(node_id, endpoint))

    async def _find_out(self, node_id: NodeId, endpoint: Endpoint) -> None:
        assert self._prove is not None
        at = await self._prove(node_id, endpoint)
        if at is not None and self._is_neighbour(at.host):
            self._telling.begin(node_id)
            self._telling.prove(node_id, at)
