"""Who speaks on one network: the labels heard lately.

Pure. Their number sets everybody's pace (`cycle`). A label lapses after three of its shares of
silence, as it does at the apps, and after a minute at most.

Invariant: at most `DISCOVERED_PEERS_MAX` labels. The oldest of those that were heard only once
makes room, so that inventions do not push out who was heard again.
"""

from __future__ import annotations

from dataclasses import dataclass

from meshbox.core.limits import DISCOVERED_PEERS_MAX
from meshbox.discovery.swarm.cycle import lapse_ms

LAPSE_MS_MAX = 60_000.0
GRACE_MS = 860.0
"""The apps look for those that lapsed every 0.86 s, so they keep one for so much longer."""


@dataclass(slots=True)
class _Member:
    heard_ms: float
    is_known: bool = False


class Members:
    """The labels of one network, our own too."""

    def __init__(self) -> None:
        self._members: dict[str, _Member] = {}
        self._strangers: dict[str, None] = {}

    @property
    def size(self) -> int:
        """How many there are; at least one."""
        return max(len(self._members), 1)

    def heard(self, label: str, *, now_ms: float) -> str | None:
        """A packet told of `label`; the label that had to make room, if one had to.

        That is `label` itself where nobody may be pushed out.
        """
        member = self._members.get(label)
        if member is not None:
            member.heard_ms, member.is_known = now_ms, True
            self._strangers.pop(label, None)
            return None
        pushed_out = None
        if len(self._members) >= DISCOVERED_PEERS_MAX:
            pushed_out = next(iter(self._strangers), label)
            if pushed_out == label:
                return label
            self.left(pushed_out)
        self._members[label] = _Member(now_ms)
        self._strangers[label] = None
        return pushed_out

    def left(self, label: str) -> None:
        self._members.pop(label, None)
        self._strangers.pop(label, None)

    def take_lapsed(self, *, now_ms: float) -> list[str]:
        """The labels that were silent for too long; forgotten from now on."""
        patience_ms = min(lapse_ms(self.size), LAPSE_MS_MAX) + GRACE_MS
        lapsed = [
            label
            for label, member in self._members.items()
            if now_ms - member.heard_ms >= patience_ms
        ]
        for label in lapsed:
            self.left(label)
        return lapsed
