"""Planted defects of room: what goes, what is passed for lack of it, and how it comes back."""

from __future__ import annotations

from typing import Any, Final

from meshbox.core.inventory import LogDraft, LogRecord, Run
from meshbox.core.ranges import SEQ_END, SeqRanges
from meshbox.storage.embedded.eviction import Eviction
from meshbox.storage.embedded.peers import EpochCursors, PeerRecord
from meshbox.storage.embedded.release import Release
from meshbox.storage.interface import PeerCursor
from meshbox.sync.requests import _Unplaced
from tests.simulation.planting import Defects

ROOM: Final = Defects()


@ROOM.defect("what went for room is missing, uploaded, and goes", LogRecord, "missing")
def _(_: Any) -> Any:
    def missing(self: LogRecord, height: int) -> SeqRanges:
        seen = self.seen - self.evicted.all
        return SeqRanges.of(0, min(height + 1, SEQ_END)) - seen

    return missing


@ROOM.defect("what went for room leaves seen at once", LogDraft, "evict")
def _(evict: Any) -> Any:
    def forgetting(self: LogDraft, run: Run, **how: int) -> None:
        evicted = self._evicted
        evict(self, run, **how)
        self._evicted = evicted

    return forgetting


@ROOM.defect("what went for room never leaves seen", Release, "_release")
def _(_: Any) -> Any:
    def releasing(self: Release, changes: Any) -> list[Any]:
        return []

    return releasing


@ROOM.defect("what there is no room for is passed for good", EpochCursors, "adding")
def _(adding: Any) -> Any:
    def passing(self: EpochCursors, new: PeerCursor) -> EpochCursors:
        added: EpochCursors = adding(self, new._replace(passed=False))
        return added

    return passing


@ROOM.defect("a cursor tells only what its session had no room for", _Unplaced, "note")
def _(_: Any) -> Any:
    def noting(self: _Unplaced, size_bytes: int) -> None: ...

    return noting


@ROOM.defect("a peer's restart leaves behind what was passed", PeerRecord, "returned")
def _(_: Any) -> Any:
    def each_by_itself(self: PeerRecord) -> PeerRecord:
        epochs = (
            epoch if epoch.passed is None else EpochCursors(epoch.epoch_id, (epoch.passed,))
            for epoch in self.epochs
            if epoch.passed != b""
        )
        return self._replace(epochs=tuple(epochs), room_bytes=0)

    return each_by_itself


@ROOM.defect("what lies between evicted numbers stays seen", LogDraft, "narrow_evicted")
def _(_: Any) -> Any:
    def keeping(self: LogDraft, went: SeqRanges) -> None: ...

    return keeping


@ROOM.defect("a cursor goes back however little room there is", Eviction, "has_room_for")
def _(_: Any) -> Any:
    def always(self: Eviction, size_bytes: int) -> bool:
        return True

    return always
