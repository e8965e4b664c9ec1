"""Planted defects of one log: its gaps, its classes, its ranges, the bytes of its blobs."""

from __future__ import annotations

from typing import Any, Final

from meshbox.core import wanting
from meshbox.core.ids import BlobClass
from meshbox.core.inventory import Admission, LogDraft, LogRecord
from meshbox.core.ranges import SEQ_END, SeqRanges
from meshbox.core.session import assembly
from meshbox.core.wanting import Wanted
from meshbox.mailbox import fetch_plan
from meshbox.sync.ledger_filling import LedgerFilling
from tests.simulation.planting import Defects

LOGS: Final = Defects()


@LOGS.defect("a gap is read past while it is filled", LedgerFilling, "stop_below")
def _(_: Any) -> Any:
    def stop_below(self: LedgerFilling, log: Any, *, above: int | None) -> None: ...

    return stop_below


@LOGS.defect("fetches leave out a number between others", fetch_plan, "new_in")
def _(new_in: Any) -> Any:
    def leaving_out(record: LogRecord, height: int | None, **how: Any) -> Any:
        new = new_in(record, height, **how)
        if new is None or new.seqs.count < 3:
            return new
        return new._replace(seqs=new.seqs - SeqRanges.single(new.seqs.pairs[0][0] + 1))

    return leaving_out


@LOGS.defect("a verified blob is not wanted behind an opaque one", wanting, "wanted")
def _(wanted: Any) -> Any:
    def by_number(runs: Any, record: LogRecord | None, **how: Any) -> Wanted:
        lacking: Wanted = wanted(runs, record, **how)
        if record is None:
            return lacking
        return lacking._replace(ranges=lacking.ranges - record.seen)

    return by_number


@LOGS.defect("an opaque blob takes a verified one's place", LogDraft, "admit")
def _(admit: Any) -> Any:
    def newest_wins(self: LogDraft, seq: int, blob_class: BlobClass) -> Admission:
        found: Admission = admit(self, seq, blob_class)
        return Admission.UPGRADE if found is Admission.HELD else found

    return newest_wins


@LOGS.defect("ranges lack their last number where one ends before another", SeqRanges, "__and__")
def _(common: Any) -> Any:
    def short(self: SeqRanges, other: SeqRanges) -> SeqRanges:
        both: SeqRanges = common(self, other)
        last = both.highest
        odd = last is not None and both.count > 2 and last < SEQ_END - 1 and last % 5 == 3
        return SeqRanges((a, b - (b == (last or 0) + 1)) for a, b in both.pairs) if odd else both

    return short


@LOGS.defect("any bytes are taken for the announced ones", assembly, "_checked")
def _(_: Any) -> Any:
    def unchecked(data: bytes, part: Any) -> bytes:
        return data

    return unchecked


@LOGS.defect("what was not asked for is stored", SeqRanges, "__contains__")
def _(contains: Any) -> Any:
    def lenient(self: SeqRanges, seq: object) -> bool:
        return contains(self, seq) or (self.highest is not None and seq == self.highest + 1)

    return lenient
