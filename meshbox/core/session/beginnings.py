"""Beginnings of blobs in parts whose end has not come: kept by a node, over its sessions.

A session that is cut in the midst of a large blob leaves here what came of it, and the next one,
with that peer or another, names it in its want (`Begun`): a sender that holds the same bytes, by
their hash, goes on from there (assembly.py). So a cut repeats no more than what was in flight.

What came from several peers is a mixture: when the whole has another hash than announced, nobody
can say who lied. It is asked for anew, and what its bringers begin after that is continued by
themselves alone; so a peer spoils one blob for another, once.

Bounded by `BEGINNINGS_MAX`, `BEGINNINGS_BYTES_MAX` and `BEGINNINGS_KEPT_MS`; what grew longest ago
is forgotten first, and comes again from its first byte.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from meshbox.core.ids import LogId, NodeId
from meshbox.core.limits import (
    BEGINNINGS_BYTES_MAX,
    BEGINNINGS_KEPT_MS,
    BEGINNINGS_MAX,
    SYNC_STREAMS_MAX,
)
from meshbox.core.ranges import SeqRanges


@dataclass(slots=True, eq=False)
class Beginning:
    """The first bytes of a blob of `size_bytes`; it only grows."""

    content_hash: bytes
    size_bytes: int
    bringers: frozenset[NodeId]
    data: bytearray
    grown_ms: int = 0

    def continued(self, offset: int, *, by: NodeId) -> Beginning:
        """A copy of its first `offset` bytes, to go on with `by`: another may still add to it."""
        bringers = self.bringers | {by}
        return Beginning(self.content_hash, self.size_bytes, bringers, self.data[:offset])


class Beginnings:
    """What one node has of blobs that are not whole."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[LogId, int], Beginning] = OrderedDict()
        self._alone: OrderedDict[NodeId, None] = OrderedDict()
        """Those whose beginnings nobody else continues."""

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def bytes(self) -> int:
        """Of all that is kept."""
        return sum(len(beginning.data) for beginning in self._kept.values())

    def keep(self, log: LogId, seq: int, beginning: Beginning, *, now_ms: int) -> None:
        """It grew. A longer one of the same blob stays; one of another content is replaced."""
        former = self._kept.get((log, seq))
        if former is not None and former.content_hash == beginning.content_hash:
            beginning = max(beginning, former, key=lambda each: len(each.data))
        beginning.grown_ms = now_ms
        self._kept[log, seq] = beginning
        self._kept.move_to_end((log, seq))
        while len(self._kept) > BEGINNINGS_MAX or self.bytes > BEGINNINGS_BYTES_MAX:
            self._kept.popitem(last=False)

    def of(self, log: LogId, ranges: SeqRanges, peer: NodeId) -> Iterable[tuple[int, Beginning]]:
        """Those of a log, by number, that `peer` may be asked to go on with."""
        for (other, seq), beginning in self._kept.items():
            if other == log and seq in ranges and self._may_go_on(beginning, peer):
                yield seq, beginning

    def done(self, log: LogId, seq: int) -> None:
        """The blob came whole, or its beginning is worth nothing."""
        self._kept.pop((log, seq), None)

    def mixed_up(self, bringers: frozenset[NodeId]) -> None:
        """What these brought together was not what was announced."""
        for bringer in sorted(bringers):
            self._alone[bringer] = None
            self._alone.move_to_end(bringer)
        while len(self._alone) > SYNC_STREAMS_MAX:
            self._alone.popitem(last=False)

    def tick(self, now_ms: int) -> None:
        """Forgets what nobody went on with."""
        while self._kept:
            oldest = next(iter(self._kept))
            if now_ms - self._kept[oldest].grown_ms < BEGINNINGS_KEPT_MS:
                return
            del self._kept[oldest]

    def _may_go_on(self, beginning: Beginning, peer: NodeId) -> bool:
        alone = self._alone.keys()
        return beginning.bringers == {peer} or (
            peer not in alone and beginning.bringers.isdisjoint(alone)
        )
