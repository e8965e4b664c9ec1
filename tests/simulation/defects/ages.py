"""Planted defects of age: what expires when, and never comes back."""

from __future__ import annotations

from typing import Any, Final

from meshbox.core import clock
from meshbox.core.ids import BlobClass
from meshbox.core.inventory import Admission, LogDraft
from meshbox.storage.embedded.node_time import NodeTime
from meshbox.storage.embedded.sweep import Sweep
from meshbox.storage.embedded.trial import Trial
from meshbox.storage.interface import Outcome
from meshbox.sync.requests import StoreRequests
from tests.simulation.planting import Defects

AGES: Final = Defects()


@AGES.defect("an expired number returns as verified", LogDraft, "admit")
def _(admit: Any) -> Any:
    def returning(self: LogDraft, seq: int, blob_class: BlobClass) -> Admission:
        found: Admission = admit(self, seq, blob_class)
        verified = blob_class is BlobClass.VERIFIED
        return Admission.NEW if verified and found is Admission.EXPIRED else found

    return returning


@AGES.defect("what expired leaves seen", LogDraft, "expire")
def _(_: Any) -> Any:
    def forgetting(self: LogDraft, through_bucket: int) -> Any:
        gone = [run for run in self._runs if run.bucket <= through_bucket]
        self._runs = [run for run in self._runs if run.bucket > through_bucket]
        return gone

    return forgetting


@AGES.defect("the age of a blob begins anew at each hop", StoreRequests, "_new_blob")
def _(new_blob: Any) -> Any:
    def young(self: StoreRequests, blob: Any) -> Any:
        return new_blob(self, blob._replace(age_ms=0))

    return young


@AGES.defect("the same bytes again renew the age", Trial, "_admit")
def _(admit: Any) -> Any:
    def renewing(self: Trial, blob: Any) -> Outcome:
        log = self._log(blob)
        if log.draft.admit(blob.seq, blob.header.blob_class) is Admission.HELD:
            same = self._held(blob).header.content_hash == blob.header.content_hash
            if same and not blob.header.chunked:
                self._take_out(log, blob)
                self._put(log, blob)
        found: Outcome = admit(self, blob)
        return found

    return renewing


@AGES.defect("stamps are compared: the later blob wins", Trial, "_admit")
def _(admit: Any) -> Any:
    def later_wins(self: Trial, blob: Any) -> Outcome:
        found: Outcome = admit(self, blob)
        if found is Outcome.CONFLICT and not blob.header.chunked:
            log = self._log(blob)
            self._take_out(log, blob)
            self._put(log, blob)
            return Outcome.STORED
        return found

    return later_wins


@AGES.defect("stores and fetches have another test for age than offers", NodeTime, "due_through")
def _(due_through: Any) -> Any:
    def lenient(self: NodeTime) -> int:
        return int(due_through(self)) - 8

    return lenient


@AGES.defect("the sweep takes a bucket too many", Sweep, "step")
def _(step: Any) -> Any:
    def hasty(self: Sweep) -> Any:
        time = self._database.time
        own = time.due_through
        time.due_through = lambda: own() + 1  # type: ignore[method-assign]
        try:
            return step(self)
        finally:
            del time.due_through

    return hasty


@AGES.defect("time off is not counted", clock, "_time_off_ms")
def _(_: Any) -> Any:
    def none(before: Any, now: Any, *, build_date_ms: int) -> int:
        return 0

    return none
