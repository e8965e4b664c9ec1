"""Reaches peers: dials those that may be reached, and follows those that moved.

A session is only begun here, by `Begin`; what it says and whether it stays is told elsewhere
(service.py, core/session/).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from meshbox.core.address import Endpoint
from meshbox.core.errors import IdentityMismatch, WorldError
from meshbox.core.ids import NodeId
from meshbox.discovery.routes import source_address
from meshbox.sync.dialling import Dialling
from meshbox.sync.peers import Peer
from meshbox.sync.probing import Probe, is_another
from meshbox.sync.runner import SessionRunner
from meshbox.sync.transport import FrameStream, Transport

FOLLOW_INTERVAL_S: Final = 5.0
"""Seconds between two tries to follow a peer to where it moved: who forges what it announces may
not have us dial at every word."""

CROSSING_S: Final = 0.3
"""Seconds by which the larger node id lets the smaller dial first."""

Begin = Callable[[FrameStream, NodeId, Endpoint], Awaitable[SessionRunner]]
"""Runs a session with the peer that was dialled at an address; returns when it is over."""


class Reaching:
    """The tasks that dial and follow peers. `own` is our node id."""

    def __init__(
        self, transport: Transport, begin: Begin, *, own: NodeId, log: Callable[..., None]
    ) -> None:
        self._transport = transport
        self._begin = begin
        self._own = own
        self._log = log
        self._dialling: dict[NodeId, Dialling] = {}
        self._following: dict[NodeId, asyncio.Task[None]] = {}
        self._followed: set[asyncio.Task[None]] = set()

    def reach(self, peer: Peer) -> None:
        """Dials a peer now unless it is connected, and from now on whenever it is lost; and where
        it moved to, if it left the address of its session."""
        if peer.has_moved:
            self._follow_from_now_on(peer)
        dialling = self._dialling.get(peer.node_id)
        if dialling is not None and not dialling.task.done():
            dialling.announced()
        else:
            self._dial_from_now_on(peer)

    def look(self, peer: Peer) -> None:
        """Where a peer may be reached is another: who waits to dial it waits no longer."""
        if peer.node_id in self._dialling:
            self._dialling[peer.node_id].announced()

    def look_beyond(self, peer: Peer) -> None:
        """The peer is beyond the LAN: is looked for before it is dialled, from now on."""
        if peer.probe is None:
            peer.probe = Probe(lambda failure: self._not_reached(peer, failure))

    def proven(self, peer: Peer) -> None:
        """A session with the peer is proven: it is followed no further."""
        self._following.pop(peer.node_id, None)

    def session_ended(self, peer: Peer) -> None:
        """The peer's session is over."""
        if peer.node_id in self._dialling:
            self._dialling[peer.node_id].session_ended()

    def no_more(self) -> None:
        """Dials nobody any more; the sessions that it led to go on."""
        for following in self._following.values():
            following.cancel()
        for dialling in self._dialling.values():
            dialling.no_more()

    async def stop(self) -> None:
        """Cancels whatever is left."""
        tasks = [*self._followed, *(dialling.task for dialling in self._dialling.values())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _dial_from_now_on(self, peer: Peer) -> None:
        ours_is_larger = self._own > peer.node_id
        dialling = Dialling(peer, self._dial, first_wait_s=CROSSING_S if ours_is_larger else 0.0)
        self._dialling[peer.node_id] = dialling
        dialling.task.add_done_callback(lambda task: self._dialled_enough(peer, task))

    def _dialled_enough(self, peer: Peer, task: asyncio.Task[None]) -> None:
        dialling = self._dialling.get(peer.node_id)
        if dialling is not None and dialling.task is task:
            del self._dialling[peer.node_id]
        self._log_bug(peer, task)

    def _follow_from_now_on(self, peer: Peer) -> None:
        if peer.node_id not in self._following:
            task = asyncio.create_task(self._follow(peer))
            self._following[peer.node_id] = task
            self._followed.add(task)
            task.add_done_callback(lambda task: self._followed_enough(peer, task))

    async def _follow(self, peer: Peer) -> None:
        """Dials a peer that left the address of its session, until another one is proven, which it
        then holds.

        The old one stays meanwhile: what is announced may be forged.
        """
        while self._following.get(peer.node_id) is asyncio.current_task() and peer.has_moved:
            clock_s = asyncio.get_running_loop().time
            await asyncio.sleep(peer.followed_s + FOLLOW_INTERVAL_S - clock_s())
            peer.followed_s = clock_s()
            await self._dial(peer)

    def _followed_enough(self, peer: Peer, task: asyncio.Task[None]) -> None:
        self._followed.discard(task)
        if self._following.get(peer.node_id) is task:
            del self._following[peer.node_id]
        self._log_bug(peer, task)

    async def _dial(self, peer: Peer) -> None:
        for endpoint in await self._likely(peer):
            is_far = peer.probe is not None
            async with self._transport.dial(peer.node_id, endpoint, is_far=is_far) as stream:
                runner = await self._begin(stream, peer.node_id, endpoint)
            if runner.proven_ms is not None:
                return
            if peer.runner is None:
                await self._not_proven(peer, endpoint, runner)

    async def _likely(self, peer: Peer) -> tuple[Endpoint, ...]:
        """Where to dial: of a far peer where it takes connections, once it does."""
        if peer.probe is None or peer.runner is not None:
            return peer.endpoints
        peer.dialling = False
        reached = await peer.probe.reached(lambda: peer.endpoints)
        if peer.runner is not None:
            return ()
        peer.dialling = True
        peer.path = reached.host, source_address(reached.host)
        return (reached,)

    async def _not_proven(self, peer: Peer, endpoint: Endpoint, runner: SessionRunner) -> None:
        """Notes why nothing came of dialling `endpoint`."""
        peer.reason, peer.detail = runner.reason, runner.detail or None
        if peer.probe is not None and await is_another(endpoint, peer.node_id):
            peer.reason = IdentityMismatch.code
            peer.detail = f"who answers at {endpoint} is not this node"
        self._log("peer.unreachable", peer=peer.node_id, address=str(endpoint), reason=peer.reason)

    def _not_reached(self, peer: Peer, failure: WorldError) -> None:
        addresses = ",".join(map(str, peer.endpoints))
        self._log("peer.unreachable", peer=peer.node_id, address=addresses, reason=failure.code)

    def _log_bug(self, peer: Peer, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (bug := task.exception()) is not None:
            self._log("peer.bug", peer=peer.node_id, error=repr(bug), exc_info=bug)
