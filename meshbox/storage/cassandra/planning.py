"""What a group of deposits changes: pure, decided before anything is written.

Each deposit is tried on top of those before it, and dropped when it is refused. Blobs win or lose
by `LogDraft.admit` alone (design.md 4.2), and what is due is treated as expired already.

A log's change is a step where blobs were only added. Where any took another's place, were pushed
out or had expired, the whole record is written, since no step could say so (merging.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from meshbox.core.errors import StoreDamaged
from meshbox.core.ids import LogKey
from meshbox.core.inventory import Admission, LogDraft, LogRecord, Run
from meshbox.core.ranges import SeqRanges
from meshbox.storage.cassandra.blobs import PreparedBlob
from meshbox.storage.interface import Outcome
from meshbox.storage.refusing import refuse_pushed

Place = tuple[LogKey, int]
"""A log and a number."""


class HeldBlob(NamedTuple):
    """What is compared of a blob that is held."""

    content_hash: bytes
    size_bytes: int


@dataclass(slots=True)
class LogChange:
    """What becomes of one log."""

    before: LogRecord | None
    """Without what is due."""
    after: LogRecord
    added: list[Run] = field(default_factory=list)
    blobs: list[PreparedBlob] = field(default_factory=list)
    """To be written."""
    whole: bool = False
    """It did not only grow."""
    pushed: list[Run] = field(default_factory=list)
    """Runs that left it for its bound; what came back since is among them, too."""

    @property
    def gone(self) -> Iterator[Run]:
        """Parts of `pushed` that it does not hold."""
        held = self.after.held
        for run in self.pushed:
            for first, end in SeqRanges.of(run.first, run.end) - held:
                yield run._replace(first=first, end=end)


@dataclass(slots=True)
class _Tried:
    """A log of a deposit that is being tried."""

    draft: LogDraft
    before: LogRecord | None
    whole: bool
    added: list[Run] = field(default_factory=list)
    blobs: list[PreparedBlob] = field(default_factory=list)
    pushed: list[Run] = field(default_factory=list)


class GroupPlan:
    """The deposits of one group, one after another."""

    def __init__(
        self,
        records: Mapping[LogKey, LogRecord | None],
        held: Mapping[Place, HeldBlob],
        *,
        due_through: int,
    ) -> None:
        """`records` of every log of the group, `held` of every blob where one of it would go."""
        self._records = records
        self._held = dict(held)
        self._due_through = due_through
        self.changes: dict[LogKey, LogChange] = {}
        self.conflicts = 0

    def add(self, blobs: Sequence[PreparedBlob], *, whole: bool) -> tuple[Outcome, ...]:
        """What becomes of each blob; `TooManyRanges` when a `whole` deposit has no place."""
        tried: dict[LogKey, _Tried] = {}
        held: dict[Place, HeldBlob] = {}
        outcomes = [self._admit(blob, tried, held) for blob in blobs]
        pushed = {key: _trim(log) for key, log in tried.items() if log.blobs}
        refuse_pushed(outcomes, ((blob.key, blob.seq) for blob in blobs), pushed, whole=whole)
        self.conflicts += outcomes.count(Outcome.CONFLICT)
        self._held.update(held)
        for key, log in tried.items():
            if log.blobs:
                self._keep(key, log)
        return tuple(outcomes)

    def _admit(
        self, blob: PreparedBlob, tried: dict[LogKey, _Tried], held: dict[Place, HeldBlob]
    ) -> Outcome:
        log = tried.get(blob.key)
        if log is None:
            log = tried[blob.key] = self._try(blob)
        place = (blob.key, blob.seq)
        admission = log.draft.admit(blob.seq, blob.blob_class)
        if admission is Admission.HELD:
            old = self._held_at(place, held)
            return Outcome.KNOWN if old.content_hash == blob.content_hash else Outcome.CONFLICT
        if admission is Admission.EXPIRED or blob.bucket <= self._due_through:
            return Outcome.EXPIRED
        if admission is Admission.UPGRADE:
            log.whole = True
            log.draft.remove(blob.seq, size_bytes=self._held_at(place, held).size_bytes)
        log.draft.add(
            blob.seq, blob_class=blob.blob_class, bucket=blob.bucket, size_bytes=blob.size_bytes
        )
        size = blob.size_bytes
        log.added.append(Run(blob.seq, blob.seq + 1, blob.bucket, blob.blob_class, size, size))
        log.blobs.append(blob)
        held[place] = HeldBlob(blob.content_hash, blob.size_bytes)
        return Outcome.REPLACED if admission is Admission.UPGRADE else Outcome.STORED

    def _try(self, blob: PreparedBlob) -> _Tried:
        changed = self.changes.get(blob.key)
        if changed is not None:
            return _Tried(LogDraft(changed.after), changed.before, changed.whole)
        record = self._records[blob.key]
        draft = LogDraft(record or LogRecord(blob.log, 0))
        if record is None or not any(run.bucket <= self._due_through for run in record.runs):
            return _Tried(draft, record, whole=False)
        draft.expire(self._due_through)
        before = draft.finish(record.change)
        return _Tried(LogDraft(before), before, whole=True)

    def _held_at(self, place: Place, held: Mapping[Place, HeldBlob]) -> HeldBlob:
        found = held.get(place) or self._held.get(place)
        if found is None:
            raise StoreDamaged("a blob that Cassandra should hold is not there")
        return found

    def _keep(self, key: LogKey, log: _Tried) -> None:
        change = self.changes.get(key)
        after = log.draft.finish(0)
        if change is None:
            change = self.changes[key] = LogChange(log.before, after)
        change.after = after
        change.added += log.added
        change.blobs += log.blobs
        change.whole |= log.whole
        change.pushed += log.pushed


def _trim(log: _Tried) -> SeqRanges:
    """Holds a log to its bound; the numbers of the blobs that this pushed out."""
    before = log.draft.finish(0)
    log.pushed = log.draft.trim()
    log.whole |= bool(log.pushed) or log.draft.finish(0) != before
    return SeqRanges((run.first, run.end) for run in log.pushed)
