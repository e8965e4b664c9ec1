"""The peer's feed, settled here: offers assessed, blobs asked for and committed, cursors moved.

A page goes through: offered → its records are read and what we lack is known (assessed) → asked
for, log by log, as far as the budget and the ledger allow → received or gone → committed →
settled. A number is settled when it is seen in the offered class or better, due, gone, or was
received and committed, whatever its outcome. "Asked of another" is not settled: such a log waits
until the ledger wakes us, and its record is read again before anything is asked.

Invariants:
- The cursor of a page travels in the commit that settles it, never before the blobs of that page
  and of all pages before it: commits reach the store in order.
- What is asked stays within `WANT_SEQS_LOG_MAX` a log, `WANT_SEQS_MAX` and `WANT_BYTES_MAX` a
  peer until it is committed: this bounds what a peer can make us hold.
- Only what was asked of this peer is accepted.
- A peer that offers small blobs and sends large ones fills no memory: `bytes_uncommitted` counts
  what came, and the shell reads no further while it is above `RECEIVED_BYTES_MAX`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from meshbox.core.errors import BlobUnasked, FrameUnexpected, PeerStalled, PromiseBroken
from meshbox.core.ids import LogId, NodeId
from meshbox.core.limits import (
    GONE_PROMISES_MAX,
    PAGES_UNSETTLED_MAX,
    WANT_BYTES_MAX,
    WANT_PATIENCE_MS,
    WANT_RANGES_MAX,
    WANT_SEQS_LOG_MAX,
    WANT_SEQS_MAX,
    WANT_STALL_MS,
)
from meshbox.core.ranges import EMPTY, SeqRanges, union
from meshbox.core.session.assembly import Assembly
from meshbox.core.session.effects import (
    Commit,
    Committed,
    Effect,
    ReadRecords,
    ReceivedBlob,
    RecordsRead,
    Send,
)
from meshbox.core.session.frames import (
    Blobs,
    Gone,
    OfferedRun,
    Offers,
    PageRanges,
    Settled,
    Want,
)
from meshbox.core.wanting import size_guess_bytes, wanted
from meshbox.core.wants import WantLedger


@dataclass(slots=True, eq=False)
class _Log:
    """One offered log on its way to settled."""

    log: LogId
    runs: tuple[OfferedRun, ...]
    size_guess_bytes: int
    open: SeqRanges = EMPTY
    """What we lack and have neither received nor been told is gone."""
    asked: SeqRanges = EMPTY
    """The part of `open` that this peer was asked for."""
    answered: SeqRanges = EMPTY
    """Received or gone: not asked for again, whatever a record read meanwhile says."""
    asked_node_ms: int = 0
    uncommitted: SeqRanges = EMPTY
    """Received, and in commits under way."""

    @property
    def in_flight(self) -> SeqRanges:
        """Asked for and not committed yet."""
        return self.asked | self.uncommitted


@dataclass(slots=True)
class _Page:
    """One page of the peer's feed."""

    number: int
    cursor: bytes
    logs: tuple[_Log, ...]
    assessed: bool = False
    """The records of all its logs were read once."""
    reading: bool = True
    """A read of records is under way."""
    short: set[int] = field(default_factory=set)
    """Places with something to ask for once there is room, or once it came by another page."""
    denied: set[int] = field(default_factory=set)
    """Places that are being asked of another peer."""
    open_logs: int = 0
    """Places whose `open` is not empty, plus those never assessed."""
    closing: bool = False
    """Its cursor is in a commit under way."""


@dataclass(slots=True)
class _Commit:
    """What a commit under way will settle."""

    places: dict[tuple[int, int], SeqRanges]
    """What it holds, by (page, place)."""
    budget_bytes: int
    received_bytes: int
    pages: tuple[int, ...]


class FeedReader:
    """Settles one peer's feed."""

    def __init__(self, *, peer: NodeId, ledger: WantLedger, now_ms: int) -> None:
        self.blobs_in = 0
        self.duplicates_in = 0
        self.progress_ms = now_ms
        self.bytes_uncommitted = 0
        self._peer = peer
        self._ledger = ledger
        self._pages: dict[int, _Page] = {}
        self._by_log: dict[LogId, list[_Log]] = {}
        self._page_last = 0
        self._assembly = Assembly()
        self._commits: dict[int, _Commit] = {}
        self._asked_seqs = 0
        self._asked_bytes = 0
        self._heard_ms = now_ms
        self._retry_ms = now_ms
        self._gone_ranges = 0

    @property
    def lag(self) -> int:
        """Blobs offered by the peer that we lack still."""
        return sum(log.open.count for page in self._pages.values() for log in page.logs)

    def offers(self, frame: Offers, *, now_ms: int) -> list[Effect]:
        """A page of offers arrived."""
        if frame.page != self._page_last + 1:
            raise FrameUnexpected(f"page {frame.page} after page {self._page_last}")
        if len(self._pages) >= PAGES_UNSETTLED_MAX:
            raise FrameUnexpected(f"more than {PAGES_UNSETTLED_MAX} unsettled pages")
        self._page_last = frame.page
        logs = tuple(_Log(log.log, log.runs, size_guess_bytes(log.runs)) for log in frame.logs)
        page = _Page(frame.page, frame.cursor, logs, open_logs=len(logs))
        self._pages[page.number] = page
        for log in logs:
            self._by_log.setdefault(log.log, []).append(log)
        self.progress_ms = now_ms
        return [self._read_records(page, range(len(logs)))]

    def records_read(
        self, request: ReadRecords, result: RecordsRead, *, now_ms: int
    ) -> list[Effect]:
        """What we know of some logs of a page: asks for what they lack."""
        page = self._pages[request.page]
        first, page.assessed, page.reading = not page.assessed, True, False
        wants: list[PageRanges] = []
        for place, record in zip(request.places, result.records, strict=True):
            log = page.logs[place]
            lacking = wanted(log.runs, record, retention=result.retention, now_ms=result.now_ms)
            self._set_open(page, log, (lacking - log.answered) | log.asked, first=first)
            ask = self._ask(page, place, now_ms=now_ms)
            if ask:
                log.asked_node_ms = result.now_ms
                wants.append(PageRanges(place, ask))
        effects: list[Effect] = [Send(frame) for frame in _want_frames(page.number, wants)]
        return effects + self._close_pages() + self._ask_more(page)

    def blobs(self, frame: Blobs, *, now_ms: int) -> list[Effect]:
        """Blobs, or a part of one, arrived."""
        self._heard_ms = self.progress_ms = now_ms
        whole: list[ReceivedBlob] = []
        taken: dict[tuple[int, int], list[int]] = {}
        for part in frame.parts:
            log = self._asked_log(part.page, part.log)
            seqs = taken.setdefault((part.page, part.log), [])
            if part.seq not in log.asked or (seqs and part.seq <= seqs[-1]):
                raise BlobUnasked(f"blob {part.seq} of a log was not asked for")
            self._ledger.answered(self._peer, log.log, gained=False, now_ms=now_ms)
            data = self._assembly.add(part)
            if data is None:
                continue
            seqs.append(part.seq)
            whole.append(
                ReceivedBlob(
                    log.log,
                    part.seq,
                    part.blob_class,
                    log.asked_node_ms,
                    part.age_ms,
                    part.origin,
                    data,
                )
            )
        return self._commit(whole, taken) if whole else []

    def gone(self, frame: Gone, *, now_ms: int) -> list[Effect]:
        """The peer no longer has some of what was asked for."""
        self._heard_ms = now_ms
        page = self._pages.get(frame.page)
        for place, ranges in frame.logs:
            log = self._asked_log(frame.page, place)
            if ranges - log.asked:
                raise BlobUnasked("gone names what was not asked for")
            self._gone_ranges += len(ranges)
            if self._gone_ranges > GONE_PROMISES_MAX:
                raise PromiseBroken(f"more than {GONE_PROMISES_MAX} offered ranges were gone")
            self._assembly.forget(frame.page, place, ranges)
            self._ledger.broke_promise(self._peer, log.log)
            assert page is not None
            self._answer(page, log, ranges)
            self._free(ranges.count, ranges.count * log.size_guess_bytes)
            self._declare(log.log, now_ms=now_ms)
        return self._close_pages() + self._ask_everywhere()

    def committed(self, request: Commit, result: Committed, *, now_ms: int) -> list[Effect]:
        """A commit of ours is durable: pages may be settled, and more asked for."""
        done = self._commits.pop(id(request))
        self.progress_ms = now_ms
        self.blobs_in += result.stored
        self.duplicates_in += result.duplicates
        for (number, place), ranges in done.places.items():
            log = self._pages[number].logs[place]
            log.uncommitted -= ranges
            self._ledger.answered(self._peer, log.log, gained=True, now_ms=now_ms)
            self._free(ranges.count, 0)
            self._declare(log.log, now_ms=now_ms)
        self._free(0, done.budget_bytes)
        self.bytes_uncommitted -= done.received_bytes
        effects: list[Effect] = [self._settle(number, now_ms=now_ms) for number in done.pages]
        if done.places:
            self._gone_ranges = 0
        return effects + self._close_pages() + self._ask_everywhere()

    def wake(self) -> list[Effect]:
        """A log that another peer was asked for may be free now."""
        return self._ask_everywhere(denied_too=True)

    def tick(self, now_ms: int) -> list[Effect]:
        """Asks others' logs again after a while; `PeerStalled` after a long silence."""
        if self._asked_seqs and now_ms - self._heard_ms > WANT_STALL_MS and not self._commits:
            raise PeerStalled(f"nothing came for {WANT_STALL_MS} ms of what was asked for")
        if now_ms - self._retry_ms < WANT_PATIENCE_MS:
            return []
        self._retry_ms = now_ms
        return self._ask_everywhere(denied_too=True)

    def close(self) -> None:
        """The session ended: what was wanted of this peer returns to the others."""
        for log_id in self._by_log:
            self._ledger.declare(self._peer, log_id, EMPTY, now_ms=self._heard_ms)
        self._by_log.clear()

    def _asked_log(self, number: int, place: int) -> _Log:
        page = self._pages.get(number)
        if page is None or place >= len(page.logs):
            raise BlobUnasked(f"an answer for log {place} of page {number}, which is not open")
        return page.logs[place]

    def _set_open(self, page: _Page, log: _Log, lacking: SeqRanges, *, first: bool) -> None:
        was_open = first or bool(log.open)
        log.open = lacking
        if was_open and not lacking:
            page.open_logs -= 1
        elif lacking and not was_open:
            page.open_logs += 1

    def _ask(self, page: _Page, place: int, *, now_ms: int) -> SeqRanges:
        """What to ask for now of a log whose record was just read."""
        log = page.logs[place]
        page.short.discard(place)
        page.denied.discard(place)
        self._declare(log.log, now_ms=now_ms)
        unasked = log.open - log.asked
        if not unasked:
            return EMPTY
        flying = self._flying(log)
        if unasked & flying:
            page.short.add(place)
            unasked -= flying
        room = min(self._room_seqs(log), WANT_SEQS_LOG_MAX - flying.count)
        if room <= 0 or not unasked:
            page.short.add(place)
            return EMPTY
        if not self._ledger.claim(self._peer, log.log, now_ms=now_ms):
            page.denied.add(place)
            return EMPTY
        if not self._asked_seqs:
            self._heard_ms = now_ms
        ask = SeqRanges(unasked.pairs[:WANT_RANGES_MAX]).take_lowest(room)
        log.asked |= ask
        self._asked_seqs += ask.count
        self._asked_bytes += ask.count * log.size_guess_bytes
        if ask != unasked:
            page.short.add(place)
        return ask

    def _flying(self, log: _Log) -> SeqRanges:
        """What is in flight of a log, for any of its pages."""
        return union(other.in_flight for other in self._by_log[log.log])

    def _room_seqs(self, log: _Log) -> int:
        """How many more numbers of `log` may be asked for; one at least when nothing is."""
        by_bytes = (WANT_BYTES_MAX - self._asked_bytes) // log.size_guess_bytes
        if not self._asked_seqs:
            by_bytes = max(by_bytes, 1)
        return min(by_bytes, WANT_SEQS_MAX - self._asked_seqs)

    def _commit(
        self, whole: list[ReceivedBlob], taken: dict[tuple[int, int], list[int]]
    ) -> list[Effect]:
        places: dict[tuple[int, int], SeqRanges] = {}
        budget_bytes = 0
        for (number, place), seqs in taken.items():
            if not seqs:
                continue
            page = self._pages[number]
            log = page.logs[place]
            ranges = SeqRanges((seq, seq + 1) for seq in seqs)
            self._answer(page, log, ranges)
            log.uncommitted |= ranges
            places[number, place] = ranges
            budget_bytes += len(seqs) * log.size_guess_bytes
        pages, cursor = self._closable()
        request = Commit(tuple(whole), cursor)
        received_bytes = sum(len(blob.data) for blob in whole)
        self.bytes_uncommitted += received_bytes
        self._commits[id(request)] = _Commit(places, budget_bytes, received_bytes, pages)
        return [request]

    def _answer(self, page: _Page, log: _Log, ranges: SeqRanges) -> None:
        """`ranges`, which were asked for, were received or are gone."""
        log.asked -= ranges
        log.answered |= ranges
        self._set_open(page, log, log.open - ranges, first=False)

    def _free(self, seqs: int, size_bytes: int) -> None:
        self._asked_seqs -= seqs
        self._asked_bytes -= size_bytes

    def _declare(self, log_id: LogId, *, now_ms: int) -> None:
        """Tells the ledger what the peer's open pages could give us of a log."""
        logs = self._by_log.get(log_id, ())
        lacking = union(ranges for log in logs for ranges in (log.open, log.uncommitted))
        self._ledger.declare(self._peer, log_id, lacking, now_ms=now_ms)
        if not any(log.in_flight for log in logs):
            self._ledger.release(self._peer, log_id)

    def _settle(self, number: int, *, now_ms: int) -> Effect:
        page = self._pages.pop(number)
        for log in page.logs:
            entries = self._by_log[log.log]
            entries.remove(log)
            if not entries:
                del self._by_log[log.log]
            self._declare(log.log, now_ms=now_ms)
        return Send(Settled(number))

    def _closable(self) -> tuple[tuple[int, ...], bytes | None]:
        """The oldest pages with nothing open, and the cursor behind the last of them."""
        numbers: list[int] = []
        cursor = None
        for page in self._pages.values():
            if page.open_logs or page.reading:
                break
            if not page.closing:
                page.closing = True
                numbers.append(page.number)
                cursor = page.cursor or cursor
        return tuple(numbers), cursor

    def _close_pages(self) -> list[Effect]:
        """Moves the cursor where pages were settled without a blob in the last commit."""
        pages, cursor = self._closable()
        if not pages:
            return []
        request = Commit((), cursor)
        self._commits[id(request)] = _Commit({}, 0, 0, pages)
        return [request]

    def _ask_everywhere(self, *, denied_too: bool = False) -> list[Effect]:
        effects: list[Effect] = []
        for page in self._pages.values():
            effects += self._ask_more(page, denied_too=denied_too)
        return effects

    def _ask_more(self, page: _Page, *, denied_too: bool = False) -> list[Effect]:
        """Reads again the records of logs that more may be asked of."""
        if page.reading:
            return []
        places = self._places_with_room(page)
        if denied_too:
            places |= page.denied
        return [self._read_records(page, sorted(places))] if places else []

    def _places_with_room(self, page: _Page) -> set[int]:
        """The lowest places of `page.short` that the budget has room for.

        Not those that must wait for what is in flight of their log: reading their records again
        would change nothing, and be done again and again.
        """
        places: set[int] = set()
        room = WANT_SEQS_MAX - self._asked_seqs
        for place in sorted(page.short):
            log = page.logs[place]
            if room <= 0 or self._room_seqs(log) <= 0:
                break
            flying = self._flying(log)
            free = min((log.open - flying).count, WANT_SEQS_LOG_MAX - flying.count)
            if free > 0:
                places.add(place)
                room -= free
        return places

    def _read_records(self, page: _Page, places: Iterable[int]) -> Effect:
        page.reading = True
        chosen = tuple(places)
        return ReadRecords(page.number, chosen, tuple(page.logs[p].log for p in chosen))


def _want_frames(page: int, wants: list[PageRanges]) -> Iterable[Want]:
    """`wants` in frames of at most `WANT_RANGES_MAX` ranges."""
    batch: list[PageRanges] = []
    ranges = 0
    for want in wants:
        if batch and ranges + len(want.ranges) > WANT_RANGES_MAX:
            yield Want(page, tuple(batch))
            batch, ranges = [], 0
        batch.append(want)
        ranges += len(want.ranges)
    if batch:
        yield Want(page, tuple(batch))
