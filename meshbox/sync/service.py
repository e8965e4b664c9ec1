"""The sync service of a node: answers peers, dials those it knows, keeps one session a pair.

Composition of this layer; the rules are elsewhere: what a session says in core/session/, which of
two sessions stays in peers.py, what is asked of whom in core/wants.py.

Over 300 lines: one composition; who dials, greets and tells is beside it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from typing import Final

from meshbox.core.address import Endpoint
from meshbox.core.errors import (
    IdentityLost,
    MeshboxError,
    NodeStopping,
    PathChanged,
    PeerBackedOff,
    PeerMisbehaved,
    RoomReturned,
    SessionReplaced,
    StoreFailed,
)
from meshbox.core.filling import Filling
from meshbox.core.ids import NodeId
from meshbox.core.session.beginnings import Beginnings
from meshbox.core.session.frames import Addresses, PeerAt
from meshbox.core.session.session import Session
from meshbox.core.topics import ALL_TOPICS, OwnTopics
from meshbox.core.wants import WantLedger
from meshbox.identity.key import Identity
from meshbox.storage.interface import MailboxStore
from meshbox.storage.openings import Log
from meshbox.sync.acquaintances import Acquaintances, Networks, Prove
from meshbox.sync.authenticator import NodeAuthenticator
from meshbox.sync.ledger_filling import LedgerFilling
from meshbox.sync.own_hello import OwnHello
from meshbox.sync.peers import CONFIGURED, INBOUND, INTERNET, TOLD, Peers, stays
from meshbox.sync.reaching import Reaching
from meshbox.sync.runner import NO_BOUND, Rates, SessionRunner
from meshbox.sync.sharing import WaysOut
from meshbox.sync.status import PeerStatus
from meshbox.sync.summaries import Summaries
from meshbox.sync.transport import FrameStream, Transport

TICK_S: Final = 0.25
"""Seconds between ticks of the sessions: time-outs are in whole seconds."""

HELD_UP_MS: Final = 500
"""Milliseconds by which a tick is late when this node, and not its peers, was silent."""

STOP_S: Final = 2.5
"""Seconds for the sessions' last words when the node stops: those of `LAST_WORDS_S` twice."""

_REPLACED: Final = SessionReplaced.code, "another session with this peer took its place"


def _nobody_asks(_host: str) -> None:
    pass


class SyncService:
    """Keeps this node equal with the peers it is told of."""

    def __init__(
        self,
        *,
        store: MailboxStore,
        identity: Identity,
        transport: Transport,
        rng: random.Random,
        node_version: str,
        log: Log,
        carried: OwnTopics = ALL_TOPICS,
        rates: Rates = NO_BOUND,
        ways_out: Iterable[str] = (),
        on_dialled: Callable[[str], None] = _nobody_asks,
        prove: Prove | None = None,
        networks: Networks = frozenset,
    ) -> None:
        """`rng` makes nonces: the system's, but for a simulation.

        `ways_out` are the names of the internet mailboxes (sync/sharing.py).
        `on_dialled` hears the address of each peer that dialled us and proved its key. With `prove`
        peers are told of each other, and those that they tell of are dialled (acquaintances.py).
        """
        self.failed: asyncio.Future[MeshboxError] = asyncio.get_running_loop().create_future()
        self.ways_out = WaysOut(identity.node_id, ways_out)
        self.ledger = WantLedger(self.ways_out.by_name)
        self._beginnings = Beginnings()
        self._store = store
        self._summaries = Summaries(store)
        self._identity = identity
        self._log = log
        self._carried = carried
        self._rates = rates
        self._on_dialled = on_dialled
        self._transport = transport
        self._authenticator = NodeAuthenticator(identity, transport.leaf_fingerprint)
        self._peers = Peers(rng)
        self._acquaintances = Acquaintances(
            self, own=identity.node_id, prove=prove, networks=networks
        )
        self._own_hello = OwnHello(
            store,
            node_id=identity.node_id,
            leaf_fingerprint=transport.leaf_fingerprint,
            software=f"meshbox/{node_version}",
            carried=carried,
            ways_out=self.ways_out,
            hears_addresses=self._acquaintances.hears,
            rng=rng,
        )
        self._runners: dict[SessionRunner, asyncio.Future[None]] = {}
        self._reaching = Reaching(transport, self._dialled, own=identity.node_id, log=log)
        self._ticker: asyncio.Task[None] | None = None
        self._returning: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def node_id(self) -> NodeId:
        """Ours."""
        return self._identity.node_id

    @property
    def filling(self) -> Filling:
        """What tells fetches where to stop (design.md 4.12)."""
        return LedgerFilling(self.ledger, _now_ms)

    async def start(self, endpoint: Endpoint | None) -> Endpoint | None:
        """Listens (None: only dials) and begins; the endpoint as bound. `ListenFailed`."""
        bound = None
        if endpoint is not None:
            bound = await self._transport.listen(self._answer, endpoint)
            self._own_hello.sync_port = bound.port
        self._ticker = asyncio.create_task(self._tick())
        self._returning = asyncio.create_task(self._begin_anew())
        return bound

    def peer_found(self, node_id: NodeId, endpoints: Iterable[Endpoint], source: str) -> None:
        """A peer may be reached at `endpoints`: dials it now, and again whenever it is lost."""
        if node_id == self._identity.node_id or self._stopping:
            return
        peer = self._peers.known(node_id, now_ms=_now_ms())
        if source in CONFIGURED:
            peer.source, peer.named = source, tuple(dict.fromkeys((*peer.named, *endpoints)))
        else:
            peer.source = peer.source if peer.named else source
            peer.announced(endpoints)
        if source == INTERNET:
            self._reaching.look_beyond(peer)
        if peer.probe is not None:
            peer.probe.hurry()
        peer.backoff.reset()
        self._reaching.reach(peer)

    def peer_told(self, node_id: NodeId, endpoints: tuple[Endpoint, ...]) -> None:
        """Others say that a peer may be reached at `endpoints`; none: they say so no more."""
        if self._stopping:
            return
        peer = self._peers.known(node_id, now_ms=_now_ms())
        peer.told = endpoints
        if endpoints:
            peer.source = TOLD if peer.source == INBOUND else peer.source
            self._log("peer.told", peer=node_id, addresses=[str(at) for at in endpoints])
            self._reaching.reach(peer)
            return
        self._reaching.look(peer)
        self._peers.forget_told(peer)

    def found(self, node_id: NodeId) -> bool:
        """Whether a peer is announced."""
        peer = self._peers.get(node_id)
        return peer is not None and bool(peer.heard)

    def tell(self, node_id: NodeId, addresses: Addresses) -> None:
        """Tells a peer, if there is a session, where others are."""
        peer = self._peers.get(node_id)
        if peer is not None and peer.runner is not None:
            peer.runner.tell(addresses)

    def peer_gone(self, node_id: NodeId) -> None:
        """A peer's announcement ended: it is dialled no more unless somebody configured it."""
        peer = self._peers.get(node_id)
        if peer is not None and peer.heard:
            peer.heard = ()
            self._reaching.look(peer)

    def peer_left(self, node_id: NodeId) -> None:
        """A peer is another process' of this node to reach: it is dialled no more unless it is
        announced. Its session ends when that of the other process takes its place."""
        peer = self._peers.get(node_id)
        if peer is not None:
            peer.named = ()
            self._reaching.look(peer)

    def network_changed(self) -> None:
        """Interfaces, addresses or routes are others: peers may be reached from now on."""
        for peer in self._peers:
            peer.backoff.reset()
            peer.is_doubtful = peer.runner is not None
            self._reaching.look(peer)
            if peer.probe is None:
                continue
            peer.probe.hurry()
            if peer.runner is not None and peer.runner.dialled and peer.has_other_path:
                peer.runner.close(PathChanged.code, "this node sends from another address now")

    def connected(self, node_id: NodeId) -> bool:
        """Whether a proven session with the peer is open."""
        peer = self._peers.get(node_id)
        return peer is not None and peer.runner is not None

    def peers(self) -> tuple[PeerStatus, ...]:
        """All known peers, in the order in which they became known."""
        wall_offset_ms = time.time_ns() // 1_000_000 - _now_ms()
        return tuple(peer.status(wall_offset_ms=wall_offset_ms) for peer in self._peers)

    async def stop(self) -> None:
        """Ends all sessions with a word and takes no more; within about 2 s."""
        self._stopping = True
        self._reaching.no_more()
        self._acquaintances.stop()
        for runner in tuple(self._runners):
            runner.close(NodeStopping.code, "the node is being stopped")
        await asyncio.gather(self._transport.stop(grace_s=STOP_S), self._last_words())
        for task in (self._ticker, self._returning):
            if task is not None:
                task.cancel()
        await self._reaching.stop()

    async def _last_words(self) -> None:
        if self._runners:
            await asyncio.wait(self._runners.values(), timeout=STOP_S)

    async def _answer(self, stream: FrameStream) -> str | None:
        """The answering side of a session; the reason for which it ended."""
        return (await self._run(stream, dialled=None, at=None)).reason

    async def _dialled(self, stream: FrameStream, peer: NodeId, at: Endpoint) -> SessionRunner:
        """The dialling side."""
        return await self._run(stream, dialled=peer, at=at)

    async def _run(
        self, stream: FrameStream, *, dialled: NodeId | None, at: Endpoint | None
    ) -> SessionRunner:
        session = Session(
            hello=await self._own_hello.anew(answering=dialled is None),
            dialled=dialled,
            authenticator=self._authenticator,
            ledger=self.ledger,
            beginnings=self._beginnings,
            carried=self._carried,
            now_ms=_now_ms(),
        )
        runner = SessionRunner(
            session,
            stream,
            self._store,
            self._summaries,
            dialled_at=at,
            rates=self._rates,
            clock=_now_ms,
            on_proven=self._proven,
            on_told=self._told,
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

    def _proven(self, runner: SessionRunner, node_id: NodeId) -> None:
        if runner.dialler_host is not None:
            self._on_dialled(runner.dialler_host)
        peer = self._peers.known(node_id, now_ms=_now_ms())
        barred_s = peer.backoff.barred_s(now_s=_now_ms() / 1000)
        if barred_s:
            detail = f"misbehaved; not for another {barred_s:.0f} s"
            runner.close(PeerBackedOff.code, detail)
            self._log("peer.refused", reason=PeerBackedOff.code, detail=detail)
            return
        old = peer.runner
        if old is not None and not old.ended:
            own = self._identity.node_id
            if not peer.is_doubtful and stays(own, node_id, old, runner) is old:
                runner.close(*_REPLACED)
                return
            old.close(*_REPLACED)
        peer.connected(runner)
        if peer.source != INTERNET:
            self._acquaintances.begin(node_id, runner)
        self._reaching.proven(peer)
        self.ways_out.share(self._peers)
        self._log("peer.connected", peer=node_id, dialled=runner.dialled)

    def _ended(self, runner: SessionRunner) -> None:
        node_id = runner.session.peer
        if node_id is None:
            if not runner.dialled:
                self._log("peer.refused", reason=runner.reason, detail=runner.detail)
            return
        peer = self._peers.known(node_id, now_ms=_now_ms())
        peer.count_ended(runner)
        if isinstance(runner.session.ended_by, PeerMisbehaved):
            peer.misbehaved += 1
            peer.backoff.misbehaved(now_s=_now_ms() / 1000)
        if peer.runner is runner:
            peer.disconnected(runner, now_ms=_now_ms())
            self.ways_out.share(self._peers)
            self._acquaintances.end(node_id)
            lasted_ms = _now_ms() - (runner.proven_ms or _now_ms())
            peer.backoff.succeeded(lasted_s=lasted_ms / 1000)
            self._log("peer.ended", peer=node_id, reason=runner.reason, detail=runner.detail)
            self._reaching.session_ended(peer)

    def _told(self, runner: SessionRunner, peers: tuple[PeerAt, ...]) -> None:
        teller = runner.session.peer
        assert teller is not None
        known = self._peers.get(teller)
        # Who has a mailbox beyond the LAN in common with us is not on the LAN for that, even where
        # all addresses are private ones, as between containers.
        if known is not None and known.source != INTERNET:
            self._acquaintances.told(teller, peers, now_ms=_now_ms())

    def _store_failed(self, error: MeshboxError) -> None:
        if isinstance(error, IdentityLost) and not self.failed.done():
            self.failed.set_result(error)

    def _wake(self) -> None:
        """Lets sessions ask for what another session no longer asks for."""
        for node_id in sorted(self.ledger.take_woken()):
            peer = self._peers.get(node_id)
            if peer is not None and peer.runner is not None:
                asyncio.get_running_loop().call_soon(peer.runner.wake)

    async def _begin_anew(self) -> None:
        """Ends the sessions with peers whose cursors went back: the next one begins there."""
        since = self._store.returns
        while True:
            try:
                since, peers = await self._store.wait_returned(since)
            except StoreFailed:
                # It is being opened again, and no session outlives that.
                await asyncio.sleep(TICK_S)
                since = self._store.returns
                continue
            for node_id in peers:
                peer = self._peers.get(node_id)
                if peer is not None and peer.runner is not None:
                    peer.runner.close(RoomReturned.code, "there is room again for what was passed")

    async def _tick(self) -> None:
        before_ms = _now_ms()
        while True:
            await asyncio.sleep(TICK_S)
            before_ms, late_ms = _now_ms(), _now_ms() - before_ms - int(TICK_S * 1_000)
            if late_ms > HELD_UP_MS:
                self.ledger.held_up(late_ms)
            for runner in tuple(self._runners):
                runner.tick()
            self._acquaintances.tick(now_ms=_now_ms())


def _now_ms() -> int:
    return int(asyncio.get_running_loop().time() * 1_000)
