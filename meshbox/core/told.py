"""Peers that other peers told of: hints, of which some are dialled at a time. Pure.

| state   | leaves it                                                                      |
|---------|--------------------------------------------------------------------------------|
| WAITING | its turn comes, and nothing else found it: DIALLED                             |
| DIALLED | a session: PROVEN; none within `TRIAL_MS`: WAITING, a while; the last of       |
|         | `TRIES_MAX`: forgotten                                                         |
| PROVEN  | no session for `KEPT_MS`: forgotten                                            |

Anybody can tell anything, and identities cost nothing. So each teller has at most `TOLD_BY_MAX`
places, all together `TOLD_MAX`, where the one who has most makes room; `TOLD_DIALLED_MAX` are
dialled at a time, of the teller first who has the fewest of them, and whose turn is longest ago.

Invariant: what is told never takes anything from what mDNS found or the operator named.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from meshbox.core.address import Endpoint
from meshbox.core.ids import NodeId
from meshbox.core.limits import TOLD_BY_MAX, TOLD_DIALLED_MAX, TOLD_ENDPOINTS_MAX, TOLD_MAX
from meshbox.core.session.frames import PeerAt

HEAR_INTERVAL_MS: Final = 250
"""Frames of one teller that come faster are not looked at: they are told once a second."""

TRIAL_MS: Final = 10_000
"""A handshake may take 5 s, and an address that nobody answers at comes before the true one."""

TRIES_MAX: Final = 3

RETRY_MS: Final = 30_000
"""Before the second try; before the third it is twice that."""

KEPT_MS: Final = 10 * 60_000
"""Whoever is there is told of again within half of it."""


class State(Enum):
    """See the table above."""

    WAITING = "waiting"
    DIALLED = "dialled"
    PROVEN = "proven"


class Turns(NamedTuple):
    """Whom to dial where from now on, and whom no more."""

    dial: list[tuple[NodeId, tuple[Endpoint, ...]]]
    drop: list[NodeId]


@dataclass(slots=True)
class _Entry:
    node_id: NodeId
    by: NodeId
    """Who told of it first."""
    endpoints: tuple[Endpoint, ...]
    state: State = State.WAITING
    tries: int = 0
    since_ms: int = 0
    """When it may be dialled, was dialled, or had a session last: as the state is."""
    is_changed: bool = False
    """It is dialled, and at other endpoints from now on."""


class ToldPeers:
    """`is_connected` and `is_found` say of a peer that it has a session, or is dialled anyway."""

    def __init__(
        self, *, is_connected: Callable[[NodeId], bool], is_found: Callable[[NodeId], bool]
    ) -> None:
        self._is_connected = is_connected
        self._is_found = is_found
        self._entries: dict[NodeId, _Entry] = {}
        self._heard_ms: dict[NodeId, int] = {}
        self._dropped: list[NodeId] = []
        self._serial = itertools.count()
        self._served: dict[NodeId, int] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def told(self, by: NodeId, peers: Iterable[PeerAt], *, now_ms: int) -> list[PeerAt]:
        """`by` tells of `peers`; those that are news, and are kept."""
        last_ms = self._heard_ms.get(by)
        if last_ms is not None and now_ms - last_ms < HEAR_INTERVAL_MS:
            return []
        self._heard_ms[by] = now_ms
        return [peer for peer in peers if self._take(by, peer)]

    def teller_ended(self, by: NodeId) -> None:
        """Its session is over; what it told stays."""
        self._heard_ms.pop(by, None)

    def turns(self, *, now_ms: int) -> Turns:
        """Call about once a second: who comes to be dialled, and who is given up."""
        for entry in list(self._entries.values()):
            self._look(entry, now_ms=now_ms)
        dial = [self._begin(entry, now_ms=now_ms) for entry in self._next(now_ms=now_ms)]
        dial += [self._dialled_at(e) for e in self._entries.values() if e.is_changed]
        drop, self._dropped = self._dropped, []
        return Turns(dial, drop)

    def _take(self, by: NodeId, peer: PeerAt) -> bool:
        entry = self._entries.get(peer.node_id)
        if entry is None:
            if self._is_connected(peer.node_id) or self._is_found(peer.node_id):
                return False
            self._make_room(by)
            self._entries[peer.node_id] = _Entry(peer.node_id, by, (peer.endpoint,))
            return True
        if peer.endpoint in entry.endpoints:
            return False
        first, *others = entry.endpoints
        entry.endpoints = (first, peer.endpoint, *others)[:TOLD_ENDPOINTS_MAX]
        entry.is_changed = entry.state is not State.WAITING
        return True

    def _make_room(self, by: NodeId) -> None:
        held = Counter(entry.by for entry in self._entries.values())
        if held[by] < TOLD_BY_MAX:
            if len(self._entries) < TOLD_MAX:
                return
            by = max(held, key=lambda teller: held[teller])
        of_it = [entry for entry in self._entries.values() if entry.by == by]
        # Those that proved themselves stay the longest; else the oldest goes.
        self._forget(min(of_it, key=lambda entry: entry.state is State.PROVEN))

    def _look(self, entry: _Entry, *, now_ms: int) -> None:
        if self._is_connected(entry.node_id):
            entry.state, entry.since_ms = State.PROVEN, now_ms
        elif entry.state is State.PROVEN and now_ms - entry.since_ms >= KEPT_MS:
            self._forget(entry)
        elif entry.state is State.DIALLED and now_ms - entry.since_ms >= TRIAL_MS:
            self._put_off(entry, now_ms=now_ms)

    def _put_off(self, entry: _Entry, *, now_ms: int) -> None:
        if entry.tries >= TRIES_MAX:
            self._forget(entry)
            return
        self._dropped.append(entry.node_id)
        entry.state = State.WAITING
        entry.since_ms = now_ms + RETRY_MS * 2 ** (entry.tries - 1)

    def _forget(self, entry: _Entry) -> None:
        del self._entries[entry.node_id]
        if all(other.by != entry.by for other in self._entries.values()):
            self._served.pop(entry.by, None)
        if entry.state is not State.WAITING:
            self._dropped.append(entry.node_id)

    def _next(self, *, now_ms: int) -> list[_Entry]:
        """Those whose turn it is."""
        chosen: list[_Entry] = []
        under_way = Counter(e.by for e in self._entries.values() if e.state is State.DIALLED)
        waiting = [
            entry
            for entry in self._entries.values()
            if entry.state is State.WAITING
            and entry.since_ms <= now_ms
            and not self._is_found(entry.node_id)
        ]
        while waiting and under_way.total() < TOLD_DIALLED_MAX:
            entry = min(waiting, key=lambda e: (under_way[e.by], self._served.get(e.by, -1)))
            waiting.remove(entry)
            under_way[entry.by] += 1
            self._served[entry.by] = next(self._serial)
            chosen.append(entry)
        return chosen

    def _begin(self, entry: _Entry, *, now_ms: int) -> tuple[NodeId, tuple[Endpoint, ...]]:
        entry.state, entry.since_ms = State.DIALLED, now_ms
        entry.tries += 1
        return self._dialled_at(entry)

    @staticmethod
    def _dialled_at(entry: _Entry) -> tuple[NodeId, tuple[Endpoint, ...]]:
        entry.is_changed = False
        return entry.node_id, entry.endpoints
