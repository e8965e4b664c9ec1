"""The sync service of a node: answers peers, dials those it knows, keeps one session a pair.

Composition of this layer; the rules are elsewhere: what a session says in core/session/, which of
two sessions stays in peers.py, what is asked of whom in core/wants.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import grpc.aio

from meshbox.core.address import Endpoint
from meshbox.core.errors import IdentityLost, MeshboxError, NodeStopping, SessionReplaced
from meshbox.core.filling import Filling
from meshbox.core.ids import LogId, NodeId, node_key_of
from meshbox.core.limits import BLOB_BYTES_MAX, FRAME_BYTES_LIMIT
from meshbox.core.session.frames import Hello, Totals
from meshbox.core.session.session import Session
from meshbox.core.wants import WantLedger
from meshbox.identity.certificate import leaf
from meshbox.identity.key import Identity
from meshbox.identity.proof import NONCE_BYTES
from meshbox.storage.interface import MailboxStore
from meshbox.sync.authenticator import NodeAuthenticator
from meshbox.sync.peers import STATIC, Peer, Peers, stays
from meshbox.sync.runner import SessionRunner
from meshbox.sync.status import PeerStatus
from meshbox.sync.transport import FrameStream, ServerStream, dial, listen
from meshbox.wire.v1 import sync_pb2 as pb
from meshbox.wire.v1.sync_pb2_grpc import SyncServicer

TICK_S: Final = 0.25
"""Seconds between ticks of the sessions: time-outs are in whole seconds."""

CROSSING_S: Final = 0.3
"""Seconds by which the larger node id lets the smaller dial first."""

STOP_S: Final = 2.5
"""Seconds for the sessions' last words when the node stops: those of `LAST_WORDS_S` twice."""

Log = Callable[..., None]
"""Takes an event name and its fields, such as `log("peer.connected", peer=…)`."""


class SyncService(SyncServicer):
    """Keeps this node equal with the peers it is told of."""

    def __init__(
        self, *, store: MailboxStore, identity: Identity, node_version: str, log: Log
    ) -> None:
        self.failed: asyncio.Future[MeshboxError] = asyncio.get_running_loop().create_future()
        self.ledger = WantLedger()
        self._store = store
        self._identity = identity
        self._software = f"meshbox/{node_version}"
        self._log = log
        self._leaf = leaf(identity)
        self._authenticator = NodeAuthenticator(identity, self._leaf.fingerprint)
        self._peers = Peers(random.SystemRandom())
        self._runners: dict[SessionRunner, asyncio.Future[None]] = {}
        self._dialling: dict[NodeId, asyncio.Task[None]] = {}
        self._announced: dict[NodeId, asyncio.Event] = {}
        self._server: grpc.aio.Server | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def filling(self) -> Filling:
        """What tells fetches where to stop (design.md 4.12)."""
        return LedgerFilling(self.ledger)

    async def start(self, endpoint: Endpoint | None) -> Endpoint | None:
        """Listens (None: only dials) and begins; the endpoint as bound. `ListenFailed`."""
        bound = None
        if endpoint is not None:
            self._server, bound = await listen(self, leaf=self._leaf, endpoint=endpoint)
        self._ticker = asyncio.create_task(self._tick())
        return bound

    def peer_found(self, node_id: NodeId, endpoints: Iterable[Endpoint], source: str) -> None:
        """A peer may be reached at `endpoints`: dials it now, and again whenever it is lost."""
        if node_id == self._identity.node_id:
            return
        peer = self._peers.known(node_id)
        if peer.source != STATIC:
            peer.source = source
        peer.endpoints = tuple(endpoints)
        peer.backoff.reset()
        self._announced.setdefault(node_id, asyncio.Event()).set()
        if node_id not in self._dialling:
            self._dialling[node_id] = asyncio.create_task(self._keep_connected(peer))

    def peer_gone(self, node_id: NodeId) -> None:
        """A peer's announcement ended: it is dialled no more unless somebody configured it."""
        peer = self._peers.get(node_id)
        if peer is not None and peer.source != STATIC:
            peer.endpoints = ()
            if node_id in self._announced:
                self._announced[node_id].set()

    def connected(self, node_id: NodeId) -> bool:
        """Whether a proven session with the peer is open."""
        peer = self._peers.get(node_id)
        return peer is not None and peer.runner is not None

    def peers(self) -> tuple[PeerStatus, ...]:
        """All known peers, in the order in which they became known."""
        wall_offset_ms = time.time_ns() // 1_000_000 - _now_ms()
        return tuple(peer.status(wall_offset_ms=wall_offset_ms) for peer in self._peers)

    async def stop(self) -> None:
        """Ends all sessions with a word, then closes the listener; within about 2 s."""
        self._stopping = True
        for runner in tuple(self._runners):
            runner.close(NodeStopping.code, "the node is being stopped")
        if self._runners:
            await asyncio.wait(self._runners.values(), timeout=STOP_S)
        for task in (*self._dialling.values(), self._ticker):
            if task is not None:
                task.cancel()
        if self._server is not None:
            await self._server.stop(grace=0.2)

    async def Session(  # type: ignore[override]  # noqa: N802 (the name is the protocol's)
        self,
        request_iterator: Any,
        context: grpc.aio.ServicerContext[pb.Frame, pb.Frame],
    ) -> None:
        """The answering side of a session."""
        await self._run(ServerStream(context), dialled=None)

    async def _keep_connected(self, peer: Peer) -> None:
        """Dials `peer` whenever there is no session with it, for as long as it is announced."""
        announced = self._announced[peer.node_id]
        if self._identity.node_id > peer.node_id:
            await asyncio.sleep(CROSSING_S)
        while peer.endpoints and not self._stopping:
            announced.clear()
            if peer.runner is None:
                peer.dialling = True
                await self._dial(peer)
                peer.dialling = False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(peer.backoff.next_s()):
                    await announced.wait()
        del self._dialling[peer.node_id], self._announced[peer.node_id]

    async def _dial(self, peer: Peer) -> None:
        for endpoint in peer.endpoints:
            async with dial(peer.node_id, endpoint) as stream:
                runner = await self._run(stream, dialled=peer.node_id)
            if runner.proven_ms is not None:
                return
            if peer.runner is None:
                peer.reason = runner.reason
                self._log(
                    "peer.unreachable",
                    peer=peer.node_id,
                    address=str(endpoint),
                    reason=runner.reason,
                )

    async def _run(self, stream: FrameStream, *, dialled: NodeId | None) -> SessionRunner:
        session = Session(
            hello=await self._hello(answering=dialled is None),
            dialled=dialled,
            authenticator=self._authenticator,
            ledger=self.ledger,
            now_ms=_now_ms(),
        )
        runner = SessionRunner(
            session,
            stream,
            self._store,
            dialled=dialled is not None,
            clock=_now_ms,
            on_proven=self._proven,
            on_step=self._wake,
            on_store_error=self._store_failed,
        )
        self._runners[runner] = asyncio.get_running_loop().create_future()
        try:
            await runner.run()
        except Exception as bug:  # noqa: BLE001
            # What one peer's input brought to light must not take the node from all the others.
            runner.reason = MeshboxError.code
            self._log("peer.bug", peer=session.peer, error=repr(bug), exc_info=bug)
        finally:
            self._runners.pop(runner).set_result(None)
            self._ended(runner)
        return runner

    async def _hello(self, *, answering: bool) -> Hello:
        held = await self._store.statistics()
        return Hello(
            node_key=node_key_of(self._identity.node_id),
            nonce=secrets.token_bytes(NONCE_BYTES),
            epoch_id=self._store.epoch.id,
            leaf_fingerprint=self._leaf.fingerprint if answering else b"",
            frame_bytes_max=FRAME_BYTES_LIMIT,
            blob_bytes_max=BLOB_BYTES_MAX,
            software=self._software,
            totals=Totals(held.logs, held.blobs, held.bytes),
        )

    def _proven(self, runner: SessionRunner, node_id: NodeId) -> None:
        peer = self._peers.known(node_id)
        old = peer.runner
        if old is not None and not old.ended:
            keep = stays(self._identity.node_id, node_id, old, runner)
            loser = old if keep is runner else runner
            loser.close(SessionReplaced.code, "another session with this peer took its place")
            if loser is runner:
                return
        peer.runner = runner
        peer.reason = None
        self._log("peer.connected", peer=node_id, dialled=runner.dialled)

    def _ended(self, runner: SessionRunner) -> None:
        node_id = runner.session.peer
        if node_id is None:
            if not runner.dialled:
                self._log("peer.refused", reason=runner.reason, detail=runner.detail)
            return
        peer = self._peers.known(node_id)
        peer.count_ended(runner)
        if peer.runner is runner:
            peer.runner = None
            peer.reason = runner.reason
            lasted_ms = _now_ms() - (runner.proven_ms or _now_ms())
            peer.backoff.succeeded(lasted_s=lasted_ms / 1000)
            self._log("peer.ended", peer=node_id, reason=runner.reason, detail=runner.detail)

    def _store_failed(self, error: MeshboxError) -> None:
        if isinstance(error, IdentityLost) and not self.failed.done():
            self.failed.set_result(error)

    def _wake(self) -> None:
        """Lets sessions ask for what another session no longer asks for."""
        for node_id in self.ledger.take_woken():
            peer = self._peers.get(node_id)
            if peer is not None and peer.runner is not None:
                asyncio.get_running_loop().call_soon(peer.runner.wake)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            for runner in tuple(self._runners):
                runner.tick()


class LedgerFilling:
    """`core.filling.Filling` from the ledger of wants."""

    def __init__(self, ledger: WantLedger) -> None:
        self._ledger = ledger

    def stop_below(self, log: LogId, *, above: int | None) -> int | None:
        """See `Filling`."""
        return self._ledger.stop_below(log, above=above, now_ms=_now_ms())


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
