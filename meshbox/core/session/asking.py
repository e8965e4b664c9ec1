"""How much of what we lack is asked of one peer now: within its budgets, and if the ledger lets us.

What comes in parts is asked for while the peer has a turn (core/turns.py).
A log is asked for in ascending order, and never for a number that is in flight already, from
whatever page. What cannot be asked for now leaves its place in `short`, for want of room, or in
`denied`, when another peer is asked or has the turn; its record is read again before anything is.
So it is when something of the log was stored while its record was being read.
"""

from __future__ import annotations

from collections.abc import Iterable

from meshbox.core.ids import LogId, NodeId
from meshbox.core.limits import WANT_RANGES_MAX, WANT_SEQS_LOG_MAX
from meshbox.core.ranges import EMPTY, SeqRanges, union
from meshbox.core.session.frames import Begun, PageRanges, Want
from meshbox.core.session.lanes import Budget, Lane, lane_of
from meshbox.core.session.pacing import FlightSize
from meshbox.core.session.pages import OpenLog, OpenPage, OpenPages
from meshbox.core.turns import Turn
from meshbox.core.wants import WantLedger
from meshbox.core.yielding import BacklogTurn


class Asker:
    """Asks one peer for what its open pages offer."""

    def __init__(self, peer: NodeId, ledger: WantLedger, pages: OpenPages) -> None:
        self._peer = peer
        self._ledger = ledger
        self._pages = pages
        self._budgets = {lane: Budget(lane) for lane in Lane}
        self.flight = FlightSize()
        """How much the line takes."""
        self.turn = Turn(peer)
        """For what comes in parts."""
        self.backlog_turn = BacklogTurn(ledger.yielding)
        """For what the feed's pages lack."""

    @property
    def is_waiting(self) -> bool:
        """Whether anything that was asked for is not committed or gone yet."""
        return any(budget.seqs for budget in self._budgets.values())

    def lane(self, page: OpenPage, log: OpenLog, lacking: SeqRanges) -> Lane:
        """The lane of a log of which nothing is in flight; that of what goes before it."""
        others = self._pages.of_log(log.log)
        if any(other.lane is Lane.BULK and other.in_flight for other in others):
            return Lane.BULK
        return lane_of(log.runs, lacking, fresh=page.fresh, flight_bytes=self.flight.bytes)

    def ask(self, page: OpenPage, place: int, *, now_ms: int) -> SeqRanges:
        """What to ask for now of a log whose record was just read."""
        log = page.logs[place]
        page.short.discard(place)
        page.denied.discard(place)
        self.declare(log.log, now_ms=now_ms)
        unasked = log.open - log.asked
        if not unasked:
            return EMPTY
        if self._ledger.gained_since(log.log, page.gains):
            log.stale = True
            page.short.add(place)
            return EMPTY
        flying = self._flying(log)
        if unasked & flying:
            page.short.add(place)
            unasked -= flying
        room = min(self._room_seqs(log), WANT_SEQS_LOG_MAX - flying.count)
        if room <= 0 or not unasked or (page.fresh and flying):
            page.short.add(place)
            return EMPTY
        if not self._has_turn(log, now_ms) or not self._ledger.claim(
            self._peer, log.log, now_ms=now_ms
        ):
            page.denied.add(place)
            self._end_turn()
            return EMPTY
        ask = SeqRanges(unasked.pairs[:WANT_RANGES_MAX]).take_lowest(room)
        log.asked |= ask
        self._budgets[log.lane].take(ask.count, ask.count * log.size_guess_bytes)
        if log.lane is Lane.FEED:
            self.backlog_turn.asked(ask.count * log.size_guess_bytes)
        self.flight.asked(now_ms=now_ms)
        if ask != unasked:
            page.short.add(place)
        return ask

    def came(self, log: OpenLog) -> None:
        """Something of `log` is stored now."""
        for other in self._pages.of_log(log.log):
            other.stale |= other is not log and bool(other.open)

    def free(self, log: OpenLog, seqs: int) -> None:
        """So many numbers of `log` are not in flight any more."""
        self._budgets[log.lane].take(-seqs, -seqs * log.size_guess_bytes)
        self._end_turn()
        if not self.is_waiting:
            self.flight.answered()

    def declare(self, log_id: LogId, *, now_ms: int) -> None:
        """Tells the ledger what the peer's open pages could give us of a log."""
        logs = self._pages.of_log(log_id)
        lacking = union(ranges for log in logs for ranges in (log.open, log.uncommitted))
        self._ledger.declare(self._peer, log_id, lacking, now_ms=now_ms)
        if not any(log.in_flight for log in logs):
            self._ledger.release(self._peer, log_id)

    def to_read(self, page: OpenPage) -> set[int]:
        """The places whose records are to be read again: stale ones, and the lowest of
        `page.short` that the budgets have room for.

        Not those that must wait for what is in flight of their log: reading their records again
        would change nothing, and be done again and again.
        """
        places = {at for at in page.short | page.denied if page.logs[at].stale}
        left = {lane: budget.copy() for lane, budget in self._budgets.items()}
        full: set[Lane] = set()
        for place in sorted(page.short):
            log = page.logs[place]
            if log.lane in full:
                continue
            if self._room_of(left[log.lane], log) <= 0:
                full.add(log.lane)
                continue
            flying = self._flying(log)
            free = min((log.open - flying).count, WANT_SEQS_LOG_MAX - flying.count)
            if free > 0 and not (page.fresh and flying):
                places.add(place)
                left[log.lane].take(free, free * log.size_guess_bytes)
        return places

    def _has_turn(self, log: OpenLog, now_ms: int) -> bool:
        """Whether `log` needs no turn, or the peer has one."""
        return log.lane is not Lane.BULK or self._ledger.turns.take(
            self.turn, log.largest_bytes, now_ms=now_ms
        )

    def _end_turn(self) -> None:
        """Unless something is in flight in parts."""
        if not self._budgets[Lane.BULK].seqs:
            self._ledger.turns.give_back(self.turn)

    def _flying(self, log: OpenLog) -> SeqRanges:
        """What is in flight of a log, for any of its pages."""
        return union(other.in_flight for other in self._pages.of_log(log.log))

    def _room_seqs(self, log: OpenLog) -> int:
        """How many more numbers of `log` may be asked for."""
        return self._room_of(self._budgets[log.lane], log)

    def _room_of(self, budget: Budget, log: OpenLog) -> int:
        flight_bytes = self.flight.bytes
        if log.lane is Lane.FEED:
            if self.backlog_turn.is_over:
                return 0
            flight_bytes = min(flight_bytes, self._ledger.yielding.backlog_bytes)
        return budget.room_seqs(log.size_guess_bytes, flight_bytes=flight_bytes)


def want_frames(
    page: int, wants: list[PageRanges], begun: list[Begun], credit: int
) -> Iterable[Want]:
    """`wants` in frames of at most `WANT_RANGES_MAX` ranges, each with what is `begun` of its; the
    last has the `credit`."""
    batch: list[PageRanges] = []
    ranges = 0
    for want in wants:
        if batch and ranges + len(want.ranges) > WANT_RANGES_MAX:
            yield _want(page, batch, begun)
            batch, ranges = [], 0
        batch.append(want)
        ranges += len(want.ranges)
    if batch:
        yield _want(page, batch, begun)._replace(credit=credit)


def _want(page: int, batch: list[PageRanges], begun: list[Begun]) -> Want:
    places = {want.log for want in batch} if begun else ()
    return Want(page, tuple(batch), tuple(each for each in begun if each.log in places))
