"""How many of the nodes that mDNS tells of are dialled at a time.

Pure. A name is a hint, and anybody can invent thousands: each that is dialled costs a connection
and its time-out. So only some who never proved themselves are dialled at once. The next in the
queue takes the place of one that proved itself, or that did not within `TRIAL_MS` (it queues up
again). Where there are few, which is always but under an attack, nobody waits.

Invariant: at most `INTRODUCED_MAX` unproven peers are introduced, however many are found.
"""

from __future__ import annotations

from collections.abc import Callable

from meshbox.core.address import Endpoint
from meshbox.core.ids import NodeId
from meshbox.core.limits import INTRODUCED_MAX
from meshbox.discovery.found import Peer

TRIAL_MS = 3_000.0
"""Connecting takes some 10 ms on a LAN, and a second on a slow machine."""


class Introductions:
    """`introduce` begins the dialling of a peer, `withdraw` ends it."""

    def __init__(
        self,
        *,
        introduce: Callable[[NodeId, tuple[Endpoint, ...]], None],
        withdraw: Callable[[NodeId], None],
        is_connected: Callable[[NodeId], bool],
    ) -> None:
        self._introduce = introduce
        self._withdraw = withdraw
        self._is_connected = is_connected
        self._found: dict[NodeId, Peer] = {}
        self._tried_ms: dict[NodeId, float] = {}
        self._queue: dict[NodeId, None] = {}

    @property
    def is_waiting(self) -> bool:
        """Whether somebody waits: then `take_turns` is to be called again and again."""
        return bool(self._queue)

    def found(self, peer: Peer, *, now_ms: float) -> None:
        """A peer was found, or is elsewhere now."""
        self._found[peer.node_id] = peer
        if peer.node_id in self._tried_ms or self._is_connected(peer.node_id):
            self._introduce(peer.node_id, peer.endpoints)
        elif peer.node_id not in self._queue:
            self._queue[peer.node_id] = None
            self.take_turns(now_ms=now_ms)

    def gone(self, node_id: NodeId, *, now_ms: float) -> None:
        """Its announcement ended."""
        self._found.pop(node_id, None)
        self._queue.pop(node_id, None)
        self._tried_ms.pop(node_id, None)
        self._withdraw(node_id)
        self.take_turns(now_ms=now_ms)

    def take_turns(self, *, now_ms: float) -> None:
        """Lets those who wait take the places that are free."""
        if not self._queue:
            return
        for node_id, since_ms in list(self._tried_ms.items()):
            if self._is_connected(node_id):
                del self._tried_ms[node_id]
            elif now_ms - since_ms >= TRIAL_MS:
                del self._tried_ms[node_id]
                self._withdraw(node_id)
                self._queue[node_id] = None
        while self._queue and len(self._tried_ms) < INTRODUCED_MAX:
            node_id = next(iter(self._queue))
            del self._queue[node_id]
            self._tried_ms[node_id] = now_ms
            self._introduce(node_id, self._found[node_id].endpoints)
