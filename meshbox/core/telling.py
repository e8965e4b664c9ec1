"""What a node tells its peers of one another: where it proved them itself. Pure.

Told is a peer with a session, at the address where a TLS handshake of our own proved its key, and
nothing that was only told to us: a false address goes no further than to those who hear its
inventor. What is new is told within `TELL_INTERVAL_MS`, everything again every `TELL_AGAIN_MS`, for
who could make nothing of it before.

Invariant: a listener is told at most one frame in `TELL_INTERVAL_MS`, of `TOLD_FRAME_MAX` peers,
and never of itself.
"""

from __future__ import annotations

import itertools
from typing import Final

from meshbox.core.address import Endpoint
from meshbox.core.ids import NodeId
from meshbox.core.limits import TOLD_FRAME_MAX
from meshbox.core.session.frames import Addresses, PeerAt

TELL_INTERVAL_MS: Final = 1_000
"""What comes within it goes together: a node that starts is proven by all within a second."""

TELL_AGAIN_MS: Final = 5 * 60_000
"""Fifty peers are then 0.5 kB a minute."""


class Telling:
    """Peers that are told, and what of whom."""

    def __init__(self) -> None:
        self._proven: dict[NodeId, Endpoint] = {}
        self._listeners: dict[NodeId, _Listener] = {}

    def begin(self, node_id: NodeId) -> None:
        """A peer with a session is a neighbour: it is told from now on."""
        self._listeners.setdefault(node_id, _Listener())

    def prove(self, node_id: NodeId, endpoint: Endpoint) -> None:
        """The peer, which has a session, listens at `endpoint`."""
        self._proven[node_id] = endpoint

    def end(self, node_id: NodeId) -> None:
        """The session ended: it is not told, and nobody is told of it."""
        self._proven.pop(node_id, None)
        self._listeners.pop(node_id, None)

    def due(self, *, now_ms: int) -> list[tuple[NodeId, Addresses]]:
        """What is to be told now, which counts as told."""
        told = (
            (node_id, told.due(node_id, self._proven, now_ms=now_ms))
            for node_id, told in self._listeners.items()
        )
        return [(node_id, Addresses(peers)) for node_id, peers in told if peers]


class _Listener:
    """What one peer was told."""

    def __init__(self) -> None:
        self._told: dict[NodeId, Endpoint] = {}
        self._told_ms: int | None = None
        self._began_ms: int | None = None

    def due(
        self, own: NodeId, proven: dict[NodeId, Endpoint], *, now_ms: int
    ) -> tuple[PeerAt, ...]:
        if self._told_ms is not None and now_ms - self._told_ms < TELL_INTERVAL_MS:
            return ()
        if self._began_ms is None or now_ms - self._began_ms >= TELL_AGAIN_MS:
            self._began_ms = now_ms
            self._told.clear()
        news = (
            PeerAt(node_id, endpoint)
            for node_id, endpoint in proven.items()
            if node_id != own and self._told.get(node_id) != endpoint
        )
        peers = tuple(itertools.islice(news, TOLD_FRAME_MAX))
        if peers:
            self._told_ms = now_ms
            self._told.update(peers)
        return peers
