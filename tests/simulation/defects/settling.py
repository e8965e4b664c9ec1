"""Planted defects of who is asked for what, and when a page is settled."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from meshbox.core.ranges import EMPTY, SeqRanges
from meshbox.core.session.asking import Asker
from meshbox.core.session.claims import PeerClaims
from meshbox.core.session.comparing import Comparison
from meshbox.core.session.effects import Compared, Send
from meshbox.core.session.frames import Offers
from meshbox.core.session.offering import OfferedPages
from meshbox.core.session.pages import Closing, OpenPages
from meshbox.core.session.reading import FeedReader
from meshbox.core.session.relaying import Relaying
from meshbox.core.session.sending import FeedSender
from meshbox.core.wants import WantLedger
from meshbox.sync.ordering import CommitOrder
from tests.simulation.planting import Defects

SETTLING: Final = Defects()


@SETTLING.defect("what is asked of another counts as settled", Asker, "ask")
def _(ask: Any) -> Any:
    def settling(self: Asker, page: Any, place: int, *, now_ms: int) -> SeqRanges:
        asked: SeqRanges = ask(self, page, place, now_ms=now_ms)
        if place in page.denied:
            page.denied.discard(place)
            page.set_open(page.logs[place], EMPTY)
        return asked

    return settling


@SETTLING.defect("a page is settled when all of it was asked for", OpenPages, "close_feed")
def _(close_feed: Any) -> Any:
    def closing(self: OpenPages) -> Any:
        for page in self._feed.values():
            if not page.reading and not any(log.open - log.asked for log in page.logs):
                page.open_logs = 0
        return close_feed(self)

    return closing


@SETTLING.defect("a cursor passes a page that is open", OpenPages, "close_feed")
def _(_: Any) -> Any:
    def closing(self: OpenPages) -> Any:
        done = [p for p in self._feed.values() if not (p.open_logs or p.reading or p.closing)]
        for page in done:
            page.closing = True
        cursors = [page.cursor for page in done if page.cursor]
        numbers = tuple(page.number for page in done)
        return Closing(numbers, cursors[-1] if cursors else None, any(p.answers for p in done))

    return closing


@SETTLING.defect("wants are kept after a cut", FeedReader, "close")
def _(_: Any) -> Any:
    def close(self: FeedReader) -> None: ...

    return close


@SETTLING.defect("what a peer no longer has stays wanted", FeedReader, "_answer")
def _(answer: Any) -> Any:
    def keeping(self: FeedReader, page: Any, log: Any, ranges: SeqRanges) -> None:
        open_before = log.open
        answer(self, page, log, ranges)
        if ranges.count > 1:
            page.set_open(log, open_before)

    return keeping


@SETTLING.defect("every peer is asked for the same log", WantLedger, "claim")
def _(claim: Any) -> Any:
    def claimed_by_all(self: WantLedger, peer: Any, log: Any, *, now_ms: int) -> bool:
        claim(self, peer, log, now_ms=now_ms)
        return True

    return claimed_by_all


@SETTLING.defect("a sketch that tells nothing is taken for equality", Comparison, "compared")
def _(compared: Any) -> Any:
    def trusting(self: Comparison, result: Compared | None) -> Any:
        if result is not None and result.logs is None:
            result = result._replace(logs=(), theirs=())
        return compared(self, result)

    return trusting


@SETTLING.defect("a peer is taken to hold whatever log it named", PeerClaims, "unclaimed")
def _(unclaimed: Any) -> Any:
    def naive(self: PeerClaims, log: Any, runs: Any) -> Any:
        return () if log.key in self._logs else unclaimed(self, log, runs)

    return naive


@SETTLING.defect("fresh pages are sent without room for them", OfferedPages, "has_fresh_room")
def _(_: Any) -> Any:
    return property(lambda self: True)


@SETTLING.defect("a cursor passes what is held back", Relaying, "sift")
def _(sift: Any) -> Any:
    def passing(self: Relaying, records: Any, *, after: bytes | None) -> Any:
        found = sift(self, records, after=after)
        self.held = None
        return found

    return passing


@SETTLING.defect("the cursor of what differs is true from its first page", FeedSender, "logs_read")
def _(logs_read: Any) -> Any:
    def early(self: FeedSender, result: Any) -> Any:
        effects = logs_read(self, result)
        first = effects[0] if effects else None
        if isinstance(first, Send) and isinstance(first.frame, Offers) and self._cursor:
            effects[0] = Send(first.frame._replace(cursor=self._cursor))
        return effects

    return early


@SETTLING.defect("a commit overtakes one that waits for another", CommitOrder, "run")
def _(_: Any) -> Any:
    async def overtaking(self: Any, commit: Any, *, alone: bool) -> Any:
        under_way = self.__dict__.setdefault("under_way", {})
        mine = asyncio.Event()
        before = [done for done, was_alone in under_way.items() if alone or was_alone]
        under_way[mine] = alone
        try:
            await asyncio.gather(*(done.wait() for done in before))
            return await commit()
        finally:
            del under_way[mine]
            mine.set()

    return overtaking
