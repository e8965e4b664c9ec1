"""Which of several nodes of a LAN acts for a log on the way out that they share (design.md 10).

Pure. There is no leader and no agreement: for each log the nodes that say they have the same way
out are ranked by hash(node, log). Rank 0 acts at once, rank r only after r times `STEP_MS` in which
neither the far side's feed nor the LAN has shown what is to be carried. Whoever uses this looks for
that evidence in its own store: what is there, or known to be there, is not carried again.

A claim delays and never silences: whatever others say, this node acts after `RANK_MAX` steps. And
a node that lets others wait in vain, since it hangs, lies or has lost its way out, is not counted
for a while: after `MISSES_MAX` times in a row, each of which this node had to act in its place.

A node tells its neighbours which ways out it has in its hello, as hashes keyed with the hello's
nonce: who has the same one knows it, and nobody else learns which it is.

    due_ms    when this node acts, for what it has known of since `since_ms`
    acting    it acts: whoever was to act before missed its turn
    shown     it need not: those who were to act before have not missed theirs
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from meshbox.core.ids import LogKey, NodeId
from meshbox.core.limits import WAY_OUT_SHARERS_MAX

STEP_MS: Final = 3_000
"""Milliseconds that each rank waits for the one before it (design.md 10)."""
STEP_MS_MAX: Final = 30_000
"""The same on a line that was measured slow."""
TYPICAL_TIMES: Final = 2
"""Times the usual time of the way out that a step lasts, where that is more than `STEP_MS`."""
RANK_MAX: Final = 2
"""Ranks above are taken for this one: so the last one acts before 10 s are over."""
MISSES_MAX: Final = 3
"""Turns missed in a row after which a node is not counted."""
UNCOUNTED_MS: Final = 30_000
"""Milliseconds that it is not counted the first time; doubled each time."""
UNCOUNTED_MS_MAX: Final = 15 * 60_000
"""Milliseconds that it is not counted at most: its way out may be back."""

WAY_HASH_BYTES: Final = 8

_RANK_BYTES: Final = 8


def told_ways(names: Iterable[str], nonce: bytes) -> bytes:
    """What a hello with `nonce` says of the ways out called `names`."""
    return b"".join(sorted(_hash(name, nonce) for name in names))


def tells_way(told: bytes, nonce: bytes, name: str) -> bool:
    """Whether a hello with `nonce` that says `told`, in whole hashes, names the way out `name`."""
    hashes = (told[at : at + WAY_HASH_BYTES] for at in range(0, len(told), WAY_HASH_BYTES))
    return _hash(name, nonce) in hashes


@dataclass(slots=True)
class _Sharer:
    """Another node with the same way out."""

    misses: int = 0
    lapses: int = 0
    """How often it was not counted any more."""
    until_ms: int = 0
    """Until then it is not counted."""


class WayOut:
    """One way out of this node `own`, and who shares it."""

    def __init__(self, own: NodeId) -> None:
        self._own = own
        self._sharing: frozenset[NodeId] = frozenset()
        self._sharers: dict[NodeId, _Sharer] = {}

    def share(self, nodes: Iterable[NodeId]) -> None:
        """From now on it is shared with `nodes`, at most `WAY_OUT_SHARERS_MAX` of them."""
        chosen = sorted(node for node in nodes if node != self._own)[:WAY_OUT_SHARERS_MAX]
        self._sharing = frozenset(chosen)
        for node in chosen:
            self._sharers.setdefault(node, _Sharer())
        for node in tuple(self._sharers):
            if len(self._sharers) > WAY_OUT_SHARERS_MAX and node not in self._sharing:
                del self._sharers[node]

    def due_ms(self, log: LogKey, *, since_ms: int, now_ms: int, typical_ms: float = 0.0) -> int:
        """When this node acts for what it has known of since `since_ms`.

        `typical_ms`: what carrying something usually takes there. O(nodes that share it).
        """
        rank = min(len(self._before(log, now_ms)), RANK_MAX)
        step_ms = min(max(STEP_MS, TYPICAL_TIMES * typical_ms), STEP_MS_MAX)
        return since_ms + int(rank * step_ms)

    def acting(self, log: LogKey, *, now_ms: int) -> None:
        """This node acts now: those before it missed their turn."""
        for node in self._before(log, now_ms):
            sharer = self._sharers[node]
            sharer.misses += 1
            if sharer.misses < MISSES_MAX:
                continue
            if now_ms - sharer.until_ms > UNCOUNTED_MS_MAX:
                sharer.lapses = 0
            uncounted_ms = min(UNCOUNTED_MS * 2**sharer.lapses, UNCOUNTED_MS_MAX)
            sharer.misses, sharer.until_ms = 0, now_ms + uncounted_ms
            sharer.lapses = min(sharer.lapses + 1, UNCOUNTED_MS_MAX.bit_length())

    def shown(self, log: LogKey, *, now_ms: int) -> None:
        """What this node waited with was shown by others in time."""
        for node in self._before(log, now_ms):
            self._sharers[node].misses = 0

    def _before(self, log: LogKey, now_ms: int) -> list[NodeId]:
        """Those who are to act before this node."""
        own = _place(self._own, log)
        return [
            node
            for node in self._sharing
            if self._sharers[node].until_ms <= now_ms and _place(node, log) < own
        ]


def _place(node: NodeId, log: LogKey) -> bytes:
    return hashlib.blake2b(node.encode() + log, digest_size=_RANK_BYTES).digest()


def _hash(name: str, nonce: bytes) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=WAY_HASH_BYTES, key=nonce).digest()
