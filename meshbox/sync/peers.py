"""The peers that this node knows: where they are, how their sessions went, which one may stay.

Bookkeeping without I/O but for a look at the routes; `service.py` acts on it.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from meshbox.core.address import Endpoint, bare_host
from meshbox.core.errors import HandshakeTimeout, IdentityMismatch
from meshbox.core.ids import NodeId
from meshbox.core.limits import PEERS_MAX
from meshbox.discovery.routes import source_address
from meshbox.sync.backoff import Backoff
from meshbox.sync.probing import PROBE_S, Probe
from meshbox.sync.runner import SessionRunner
from meshbox.sync.status import PeerState, PeerStatus

SIMULTANEOUS_MS: Final = 5_000
"""Two sessions proven within so many milliseconds, dialled from both sides, crossed on the way."""

STATIC = "static"
INTERNET = "internet"
TOLD = "told"
INBOUND = "inbound"
CONFIGURED = frozenset({STATIC, INTERNET})
"""Where peers come from that are dialled for as long as the node runs, at the addresses named."""


_NOT_SOON_OVER: Final = frozenset({IdentityMismatch.code, HandshakeTimeout.code})


@dataclass(slots=True)
class Peer:
    """One known peer. Counters are of all its sessions since this node started."""

    node_id: NodeId
    backoff: Backoff
    source: str = INBOUND
    named: tuple[Endpoint, ...] = ()
    """Where the operator says that it is."""
    heard: tuple[Endpoint, ...] = ()
    """Where it is announced."""
    told: tuple[Endpoint, ...] = ()
    """Where other peers say that it is, which counts while it is not announced."""
    probe: Probe | None = None
    """Looks for it before it is dialled: of internet mailboxes."""
    path: tuple[str, str | None] | None = None
    """The address that a far peer's session was dialled at, and ours that it was dialled from."""
    dialling: bool = False
    runner: SessionRunner | None = None
    reason: str | None = None
    detail: str | None = None
    lost_ms: int = 0
    """Monotonic time of the last session's end, or of when it became known."""
    has_moved: bool = False
    """It announces no more the address of its session, which it did announce."""
    is_doubtful: bool = False
    """Its session began on another network, or at an address that it left: it may be dead."""
    followed_s: float = float("-inf")
    """When it was dialled last where it moved."""
    ended_sessions: list[int] = field(default_factory=lambda: [0, 0, 0, 0, 0])
    progress_ms: int | None = None
    misbehaved: int = 0
    """Sessions that it broke the rules of."""

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where it is dialled, the nearest first."""
        told = () if self.heard else self.told
        return tuple(dict.fromkeys((*self.heard, *self.named, *told)))

    @property
    def has_other_path(self) -> bool:
        """Whether what we send would leave by another address than its session's."""
        return self.path is not None and source_address(self.path[0]) != self.path[1]

    def announced(self, endpoints: Iterable[Endpoint]) -> None:
        """It announces `endpoints`, and no more what it did before."""
        before = _hosts(self.heard)
        self.heard = tuple(endpoints)
        host = self.runner.peer_host if self.runner else None
        if host in _hosts(self.endpoints):
            self.has_moved = False
        elif host in before:
            self.has_moved = self.is_doubtful = True

    def connected(self, runner: SessionRunner) -> None:
        """`runner` is its session from now on."""
        self.runner = runner
        self.reason = self.detail = None
        self.has_moved = self.is_doubtful = False

    def disconnected(self, runner: SessionRunner, *, now_ms: int) -> None:
        """`runner`, which was its session, ended."""
        self.runner = None
        self.reason, self.detail = runner.reason, runner.detail or None
        self.has_moved = self.is_doubtful = False
        self.lost_ms = now_ms

    def pause_s(self) -> float:
        """Seconds to wait before it is dialled again. A far peer was seen to be there: that it
        is another is not over soon, nor that it has more to greet than it can."""
        wait_s = self.backoff.next_s()
        if self.probe is None or self.reason in _NOT_SOON_OVER:
            return wait_s
        return min(wait_s, PROBE_S)

    def count_ended(self, runner: SessionRunner) -> None:
        """Adds the counters of a session that ended."""
        self.progress_ms = runner.session.progress_ms or self.progress_ms
        counts = zip(self.ended_sessions, _counters(runner), strict=True)
        self.ended_sessions = [before + more for before, more in counts]

    def status(self, *, wall_offset_ms: int) -> PeerStatus:
        """`wall_offset_ms`: what turns monotonic into wall milliseconds."""
        runner = self.runner
        present = _counters(runner) if runner else [0, 0, 0, 0, 0]
        totals = [a + b for a, b in zip(self.ended_sessions, present, strict=True)]
        progress_ms = (runner and runner.session.progress_ms) or self.progress_ms
        state = PeerState.CONNECTED if runner else PeerState.WAITING
        if runner is None and self.dialling:
            state = PeerState.CONNECTING
        reason, detail = (None, None) if runner else self._why()
        return PeerStatus(
            node_id=self.node_id,
            address=str(self.endpoints[0]) if self.endpoints else None,
            source=self.source,
            state=state,
            reason=reason,
            detail=detail,
            lag=runner.session.lag if runner else 0,
            since_ms=runner.proven_ms + wall_offset_ms if runner and runner.proven_ms else None,
            lost_ms=None if runner else self.lost_ms + wall_offset_ms,
            last_progress_ms=progress_ms + wall_offset_ms if progress_ms else None,
            bytes_in=totals[0],
            bytes_out=totals[1],
            blobs_in=totals[2],
            blobs_out=totals[3],
            duplicates_in=totals[4],
            misbehaved=self.misbehaved,
        )

    def _why(self) -> tuple[str | None, str | None]:
        """Code and text of why it is not connected."""
        if self.probe is not None and (failure := self.probe.failure) is not None:
            return failure.code, failure.message
        return self.reason, self.detail


class Peers:
    """The peers in the order in which they became known.

    At most `PEERS_MAX`, but for those with a session or an address, which others bound: for a
    newcomer the oldest without either goes.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._peers: dict[NodeId, Peer] = {}

    def __iter__(self) -> Iterator[Peer]:
        return iter(tuple(self._peers.values()))

    def get(self, node_id: NodeId) -> Peer | None:
        """The peer, if known."""
        return self._peers.get(node_id)

    def known(self, node_id: NodeId, *, now_ms: int) -> Peer:
        """The peer, made known when it is not."""
        peer = self._peers.get(node_id)
        if peer is None:
            self._make_room()
            peer = self._peers[node_id] = Peer(node_id, Backoff(self._rng), lost_ms=now_ms)
        return peer

    def forget_told(self, peer: Peer) -> None:
        """Others told of it, and it never proved itself nor did anybody else find it."""
        was_here = peer.runner is not None or any(peer.ended_sessions)
        if peer.source == TOLD and not was_here and not peer.endpoints:
            self._peers.pop(peer.node_id, None)

    def _make_room(self) -> None:
        if len(self._peers) < PEERS_MAX:
            return
        for peer in self._peers.values():
            if peer.runner is None and not peer.endpoints:
                del self._peers[peer.node_id]
                return


def stays(own: NodeId, peer: NodeId, old: SessionRunner, new: SessionRunner) -> SessionRunner:
    """Which of two sessions of one pair stays (design.md 7).

    A newly proven session replaces an older one. (Also one that is doubtful: so it is not asked for
    then.) Of two that crossed, dialled from both sides at
    once, the one from the smaller node id stays, so that both sides choose the same.
    """
    assert old.proven_ms is not None
    assert new.proven_ms is not None
    crossed = old.dialled != new.dialled and new.proven_ms - old.proven_ms < SIMULTANEOUS_MS
    if not crossed:
        return new
    ours_stays = own < peer
    return old if old.dialled == ours_stays else new


def _hosts(endpoints: Iterable[Endpoint]) -> set[str]:
    return {bare_host(endpoint.host) for endpoint in endpoints}


def _counters(runner: SessionRunner) -> list[int]:
    session = runner.session
    return [
        runner.bytes_in,
        runner.bytes_out,
        session.blobs_in,
        session.blobs_out,
        session.duplicates_in,
    ]
