"""What the peer says that it holds: not told to it again.

A blob that came from a peer is in our feed like any other, and the peer is the one node that surely
needs no offer of it. What it offered is remembered here, and runs that lie wholly within are left
out of our offers to it. A peer that claims what it does not hold hides that from itself alone. What
it asks for by name it lost: its claims of those logs are forgotten, also where we hold nothing of
them, since somebody may bring it to us later.

Bounded by `CLAIMED_RANGES_MAX`: the log that was claimed longest ago is forgotten first, and
offered needlessly.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from meshbox.core.ids import BlobClass, LogId, LogKey
from meshbox.core.inventory import NONE_SEEN, ClassedRanges, Run
from meshbox.core.limits import CLAIMED_RANGES_MAX, LOG_RANGES_MAX
from meshbox.core.ranges import SeqRanges
from meshbox.core.session.frames import OfferedLog, OfferedRun


class PeerClaims:
    """What one peer offered in this session, by log."""

    def __init__(self) -> None:
        self._logs: OrderedDict[LogKey, ClassedRanges] = OrderedDict()
        self._ranges = 0

    def offered(self, logs: Iterable[OfferedLog]) -> None:
        """The peer offered `logs`."""
        for log, runs in logs:
            claimed = self._pop(log.key)
            for blob_class in BlobClass:
                claimed = claimed.adding(_ranges_of(runs, blob_class), blob_class)
            if claimed.range_count <= LOG_RANGES_MAX:
                self._logs[log.key] = claimed
                self._ranges += claimed.range_count
        while self._ranges > CLAIMED_RANGES_MAX:
            self._pop(next(iter(self._logs)))

    def forget(self, logs: Iterable[LogKey]) -> None:
        """The peer says that it lacks something of `logs` after all."""
        for log in logs:
            self._pop(log)

    def unclaimed(self, log: LogId, runs: Iterable[Run]) -> tuple[Run, ...]:
        """Those of `runs` of which the peer has not claimed every number, as good as ours."""
        claimed = self._logs.get(log.key)
        if claimed is None:
            return tuple(runs)
        runs = tuple(runs)
        held = {BlobClass.OPAQUE: claimed.all, BlobClass.VERIFIED: claimed.verified}
        left = {c: _ranges_of(runs, c) - held[c] for c in BlobClass}
        return tuple(run for run in runs if left[run.blob_class].meets(run.first, run.end))

    def _pop(self, log: LogKey) -> ClassedRanges:
        claimed = self._logs.pop(log, NONE_SEEN)
        self._ranges -= claimed.range_count
        return claimed


def _ranges_of(runs: Iterable[Run | OfferedRun], blob_class: BlobClass) -> SeqRanges:
    return SeqRanges((run.first, run.end) for run in runs if run.blob_class is blob_class)
