"""The planted defects: each takes one rule from the product, and the simulation must notice.

What notices is not said here: whatever promise is broken first. A defect that is no longer found
means that a check, or a kind of fault, went missing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from meshbox.core import clock, wanting
from meshbox.core.ids import BlobClass
from meshbox.core.inventory import Admission, LogDraft, LogRecord
from meshbox.core.ranges import EMPTY, SEQ_END, SeqRanges
from meshbox.core.session import assembly
from meshbox.core.session.asking import Asker
from meshbox.core.session.claims import PeerClaims
from meshbox.core.session.comparing import Comparison
from meshbox.core.session.effects import Compared
from meshbox.core.session.pages import OpenPages
from meshbox.core.session.reading import FeedReader
from meshbox.core.wants import WantLedger
from meshbox.mailbox import fetch_plan
from meshbox.storage.embedded import commit as commits
from meshbox.storage.embedded.cursors import CursorMint
from meshbox.storage.embedded.feed import Feed, FeedSlice
from meshbox.storage.embedded.node_time import NodeTime
from meshbox.storage.embedded.state import Epochs
from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.storage.embedded.sweep import Sweep
from meshbox.storage.embedded.trial import Trial
from meshbox.storage.interface import Deposit, Outcome, PeerCursor
from meshbox.sync.ordering import CommitOrder
from meshbox.sync.requests import StoreRequests
from meshbox.sync.service import LedgerFilling
from tests.simulation.planting import Defect

DEFECTS: Final[list[Defect]] = []

Make = Callable[[Any], Any]


def defect(name: str, owner: Any, attribute: str) -> Callable[[Make], Make]:
    """The function below makes what is put in the place of `owner.attribute`."""

    def add(make: Make) -> Make:
        DEFECTS.append(Defect(name, owner, attribute, make))
        return make

    return add


@defect("the read barrier is left out", EmbeddedStore, "_barrier")
def _(_: Any) -> Any:
    async def no_barrier(self: EmbeddedStore) -> None: ...

    return no_barrier


@defect("what is written is called durable before it is", commits.Writer, "_confirm")
def _(_: Any) -> Any:
    async def confirm(self: commits.Writer) -> None:
        assert self._unconfirmed is not None
        self._unconfirmed.set()
        self._unconfirmed = None
        self.durable_change = self._database.counts.change
        self._note_moved()

    return confirm


@defect("a cursor's view is not looked at", CursorMint, "honoured")
def _(_: Any) -> Any:
    def honoured(self: CursorMint, cursor: bytes, *, change: int) -> Any:
        said = self._parse(cursor)
        known = said is not None and self._ids.get(said.epoch.number) == said.epoch.id
        return said if known else None

    return honoured


@defect("an epoch is kept by the next opening", Epochs, "succeeded_by")
def _(_: Any) -> Any:
    def succeeded_by(self: Epochs, epoch_id: bytes, *, last_change: int) -> Epochs:
        return self

    return succeeded_by


@defect("a page of the feed passes what it has no room for", Feed, "read")
def _(read: Any) -> Any:
    def passing(self: Feed, after: int, **bounds: int) -> FeedSlice:
        page: FeedSlice = read(self, after, **bounds)
        return page._replace(through=self._database.counts.change)

    return passing


@defect("a cursor is durable before its blobs", StoreRequests, "_commit")
def _(commit: Any) -> Any:
    async def cursor_first(self: StoreRequests, request: Any) -> Any:
        if request.cursor is not None:
            cursor = PeerCursor(self._peer, self._epoch_id, request.cursor)
            await self._store.commit(Deposit((), (cursor,)))
        return await commit(self, request)

    return cursor_first


@defect("commits of a session overtake one another", CommitOrder, "run")
def _(_: Any) -> Any:
    async def at_once(self: CommitOrder, commit: Any, *, alone: bool) -> Any:
        return await commit()

    return at_once


@defect("what is asked of another counts as settled", Asker, "ask")
def _(ask: Any) -> Any:
    def settling(self: Asker, page: Any, place: int, *, now_ms: int) -> SeqRanges:
        asked: SeqRanges = ask(self, page, place, now_ms=now_ms)
        if place in page.denied:
            page.denied.discard(place)
            page.set_open(page.logs[place], EMPTY)
        return asked

    return settling


@defect("a page is settled when all of it was asked for", OpenPages, "close_feed")
def _(close_feed: Any) -> Any:
    def closing(self: OpenPages) -> Any:
        for page in self._feed.values():
            if not page.reading and not any(log.open - log.asked for log in page.logs):
                page.open_logs = 0
        return close_feed(self)

    return closing


@defect("a cursor passes a page that is open", OpenPages, "close_feed")
def _(_: Any) -> Any:
    def closing(self: OpenPages) -> Any:
        done = [p for p in self._feed.values() if not (p.open_logs or p.reading or p.closing)]
        for page in done:
            page.closing = True
        cursors = [page.cursor for page in done if page.cursor]
        return tuple(page.number for page in done), cursors[-1] if cursors else None

    return closing


@defect("wants are kept after a cut", FeedReader, "close")
def _(_: Any) -> Any:
    def close(self: FeedReader) -> None: ...

    return close


@defect("what a peer no longer has stays wanted", FeedReader, "_answer")
def _(answer: Any) -> Any:
    def keeping(self: FeedReader, page: Any, log: Any, ranges: SeqRanges) -> None:
        open_before = log.open
        answer(self, page, log, ranges)
        if ranges.count > 1:
            page.set_open(log, open_before)

    return keeping


@defect("every peer is asked for the same log", WantLedger, "claim")
def _(claim: Any) -> Any:
    def claimed_by_all(self: WantLedger, peer: Any, log: Any, *, now_ms: int) -> bool:
        claim(self, peer, log, now_ms=now_ms)
        return True

    return claimed_by_all


@defect("a gap is read past while it is filled", LedgerFilling, "stop_below")
def _(_: Any) -> Any:
    def stop_below(self: LedgerFilling, log: Any, *, above: int | None) -> None: ...

    return stop_below


@defect("fetches leave out a number between others", fetch_plan, "new_in")
def _(new_in: Any) -> Any:
    def leaving_out(record: LogRecord, height: int | None, **how: Any) -> Any:
        new = new_in(record, height, **how)
        if new is None or new.seqs.count < 3:
            return new
        return new._replace(seqs=new.seqs - SeqRanges.single(new.seqs.pairs[0][0] + 1))

    return leaving_out


@defect("a verified blob is not wanted behind an opaque one", wanting, "wanted")
def _(wanted: Any) -> Any:
    def by_number(runs: Any, record: LogRecord | None, **how: Any) -> SeqRanges:
        lacking: SeqRanges = wanted(runs, record, **how)
        return lacking - record.seen if record is not None else lacking

    return by_number


@defect("an opaque blob takes a verified one's place", LogDraft, "admit")
def _(admit: Any) -> Any:
    def newest_wins(self: LogDraft, seq: int, blob_class: BlobClass) -> Admission:
        found: Admission = admit(self, seq, blob_class)
        return Admission.UPGRADE if found is Admission.HELD else found

    return newest_wins


@defect("an expired number returns as verified", LogDraft, "admit")
def _(admit: Any) -> Any:
    def returning(self: LogDraft, seq: int, blob_class: BlobClass) -> Admission:
        found: Admission = admit(self, seq, blob_class)
        verified = blob_class is BlobClass.VERIFIED
        return Admission.NEW if verified and found is Admission.EXPIRED else found

    return returning


@defect("what expired leaves seen", LogDraft, "expire")
def _(_: Any) -> Any:
    def forgetting(self: LogDraft, through_bucket: int) -> Any:
        gone = [run for run in self._runs if run.bucket <= through_bucket]
        self._runs = [run for run in self._runs if run.bucket > through_bucket]
        return gone

    return forgetting


@defect("ranges lack their last number where one ends before another", SeqRanges, "__and__")
def _(common: Any) -> Any:
    def short(self: SeqRanges, other: SeqRanges) -> SeqRanges:
        both: SeqRanges = common(self, other)
        last = both.highest
        odd = last is not None and both.count > 2 and last < SEQ_END - 1 and last % 5 == 3
        return SeqRanges((a, b - (b == (last or 0) + 1)) for a, b in both.pairs) if odd else both

    return short


@defect("the age of a blob begins anew at each hop", StoreRequests, "_new_blob")
def _(new_blob: Any) -> Any:
    def young(self: StoreRequests, blob: Any) -> Any:
        return new_blob(self, blob._replace(age_ms=0))

    return young


@defect("the same bytes again renew the age", Trial, "_admit")
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


@defect("stamps are compared: the later blob wins", Trial, "_admit")
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


@defect("stores and fetches have another test for age than offers", NodeTime, "due_through")
def _(due_through: Any) -> Any:
    def lenient(self: NodeTime) -> int:
        return int(due_through(self)) - 8

    return lenient


@defect("the sweep takes a bucket too many", Sweep, "step")
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


@defect("a sketch that tells nothing is taken for equality", Comparison, "compared")
def _(compared: Any) -> Any:
    def trusting(self: Comparison, result: Compared | None) -> Any:
        if result is not None and result.logs is None:
            result = result._replace(logs=(), theirs=())
        return compared(self, result)

    return trusting


@defect("a peer is taken to hold whatever log it named", PeerClaims, "unclaimed")
def _(unclaimed: Any) -> Any:
    def naive(self: PeerClaims, log: Any, runs: Any) -> Any:
        return () if log in self._logs else unclaimed(self, log, runs)

    return naive


@defect("time off is not counted", clock, "_time_off_ms")
def _(_: Any) -> Any:
    def none(before: Any, now: Any, *, build_date_ms: int) -> int:
        return 0

    return none


@defect("any bytes are taken for the announced ones", assembly, "_checked")
def _(_: Any) -> Any:
    def unchecked(data: bytes, part: Any) -> bytes:
        return data

    return unchecked


@defect("what was not asked for is stored", SeqRanges, "__contains__")
def _(contains: Any) -> Any:
    def lenient(self: SeqRanges, seq: object) -> bool:
        return contains(self, seq) or (self.highest is not None and seq == self.highest + 1)

    return lenient
