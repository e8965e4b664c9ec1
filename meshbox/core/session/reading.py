"""The peer's feed, settled here: offers assessed, blobs asked for and committed, cursors moved.

A page goes through: offered → its records are read and what we lack is known (assessed) → asked
for, log by log, as far as the budget and the ledger allow → received or gone → committed →
settled. A number is settled when it is seen in the offered class or better, due, of a topic that we
do not carry, gone, passed because there is no room for it, or was received and committed, whatever
its outcome. "Asked of another" is not settled: such a log waits until the ledger wakes us, and its
record is read again before anything is asked.

Invariants:
- The cursor of a page travels in the commit that settles it, never before the blobs of that page
  and of all pages before it: commits reach the store in order.
- What is asked stays within `WANT_SEQS_LOG_MAX` a log, and the budgets of its lane (lanes.py) a
  peer, until it is committed: this bounds what a peer can make us hold.
- A fresh page is asked for first, but only what can come at once: a log that lacks more, or a
  large blob, is left to the feed, and what is in flight of a log already comes before it.
- Only what was asked of this peer is accepted.
- A peer that offers small blobs and sends large ones fills no memory: `bytes_uncommitted` counts
  what came, and the shell reads no further while `is_full`. What is not whole yet is bounded by
  the turns of all peers (core/turns.py).

Over 300 lines: one side of the session, whose pages, wants and commits change together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from meshbox.core.errors import BlobUnasked, PeerStalled, PromiseBroken
from meshbox.core.ids import NodeId
from meshbox.core.limits import (
    FRESH_SEQS_LOG_MAX,
    GONE_PROMISES_MAX,
    PARTS_TURN_MS,
    RECEIVED_BYTES_ALL_MAX,
    RECEIVED_BYTES_MAX,
    WANT_PATIENCE_MS,
    WANT_STALL_MS,
)
from meshbox.core.ranges import EMPTY, SeqRanges
from meshbox.core.session.asking import Asker, want_frames
from meshbox.core.session.assembly import Assembly, Unfinished
from meshbox.core.session.beginnings import Beginnings
from meshbox.core.session.effects import (
    Commit,
    Committed,
    Effect,
    ReadRecords,
    ReceivedBlob,
    RecordsRead,
    RefillRead,
    Send,
)
from meshbox.core.session.frames import (
    Begun,
    BlobPart,
    Blobs,
    Gone,
    Offers,
    PageRanges,
    Settled,
    Want,
)
from meshbox.core.session.lanes import Lane
from meshbox.core.session.pacing import Credit
from meshbox.core.session.pages import Closing, OpenLog, OpenPage, OpenPages
from meshbox.core.session.refill import Refill
from meshbox.core.topics import Carried
from meshbox.core.wanting import wanted
from meshbox.core.wants import WantLedger
from meshbox.core.yielding import FreshTimes


@dataclass(slots=True)
class _Commit:
    """What a commit under way will settle."""

    places: dict[tuple[int, int], SeqRanges]
    """What it holds, by (page, place)."""
    received_bytes: int
    pages: tuple[int, ...]


class FeedReader:
    """Settles one peer's feed."""

    def __init__(
        self,
        *,
        peer: NodeId,
        ledger: WantLedger,
        beginnings: Beginnings,
        carried: Carried,
        now_ms: int,
    ) -> None:
        """`carried`: by this node."""
        self._carried = carried
        self.blobs_in = 0
        self.duplicates_in = 0
        self.progress_ms = now_ms
        self.bytes_uncommitted = 0
        self._peer = peer
        self._ledger = ledger
        self._pages = OpenPages()
        self._beginnings = beginnings
        self._commits: dict[int, _Commit] = {}
        self._asker = Asker(peer, ledger, self._pages)
        self._assembly = Assembly(self._asker.turn, ledger.turns, beginnings)
        self._credit = Credit()
        self._fresh_times = FreshTimes(ledger.yielding)
        self._heard_ms = now_ms
        self._retry_ms = now_ms
        self._gone_ranges = 0
        self._refill = Refill(peer)
        self._passed = False
        """Something was passed for lack of room, and no cursor says so yet."""
        self._refill_passed = False
        """The same, and no settled answer to what was asked for by name says so yet."""

    @property
    def lag(self) -> int:
        """Blobs offered by the peer that we lack still."""
        return self._pages.lag

    @property
    def is_full(self) -> bool:
        """Whether blobs must be committed before the peer sends more. Then it has some of its own
        under way: what others have holds up nobody that has nothing."""
        return bool(self.bytes_uncommitted) and (
            self.bytes_uncommitted > RECEIVED_BYTES_MAX
            or self._ledger.turns.bytes_uncommitted > RECEIVED_BYTES_ALL_MAX
        )

    def start(self) -> list[Effect]:
        """Looks for what the peer is to be asked for by name."""
        return self._refill.start()

    def refill_read(self, result: RefillRead) -> list[Effect]:
        """There are logs that the peer is to be asked for by name."""
        return self._refill.ask(result)

    def offers(self, frame: Offers, *, now_ms: int) -> list[Effect]:
        """A page of offers arrived."""
        if frame.answers:
            self._refill.answered()
        page = self._pages.add(frame)
        self.progress_ms = now_ms
        return [self._read_records(page, range(len(page.logs)))]

    def records_read(
        self, request: ReadRecords, result: RecordsRead, *, now_ms: int
    ) -> list[Effect]:
        """What we know of some logs of a page: asks for what they lack."""
        page = self._pages.page(request.page)
        first, page.assessed, page.reading = not page.assessed, True, False
        wants: list[PageRanges] = []
        begun: list[Begun] = []
        was_idle = not self._asker.is_waiting
        for place, record in zip(request.places, result.records, strict=True):
            log = page.logs[place]
            lacking, passed = wanted(
                log.runs,
                record,
                retention=result.retention,
                now_ms=result.now_ms,
                floor=result.floor,
            )
            is_carried = self._carried.carries(log.log.topic)
            self._passed |= passed and is_carried
            self._refill_passed |= passed and is_carried
            lacking = lacking - log.answered if is_carried else EMPTY
            log.stale = False
            if not log.in_flight:
                log.lane = self._asker.lane(page, log, lacking)
            if page.fresh and log.lane is not Lane.FRESH:
                lacking = EMPTY
            page.set_open(log, lacking | log.asked, first=first)
            was_waiting = self._asker.is_waiting
            ask = self._asker.ask(page, place, now_ms=now_ms)
            if ask:
                self._heard_ms = self._heard_ms if was_waiting else now_ms
                log.asked_node_ms = result.now_ms
                wants.append(PageRanges(place, ask))
                begun += self._assembly.named(place, log.log, ask)
        self._note_fresh(page, wants, was_idle=was_idle, now_ms=now_ms)
        credit = self._credit.give(self._asker.flight.bytes) if wants else 0
        frames = want_frames(page.number, wants, begun, credit)
        effects: list[Effect] = [Send(frame) for frame in frames]
        return effects + self._close_pages(now_ms=now_ms) + self._ask_more(page)

    def blobs(self, frame: Blobs, *, now_ms: int) -> list[Effect]:
        """Blobs, or a part of one, arrived."""
        self._heard_ms = self.progress_ms = now_ms
        self._asker.flight.came(sum(len(part.data) for part in frame.parts), now_ms=now_ms)
        whole: list[ReceivedBlob] = []
        taken: dict[tuple[int, int], list[int]] = {}
        anew, in_parts = False, None
        for part in frame.parts:
            page, log = self._pages.answered(part.page, part.log)
            seqs = taken.setdefault((part.page, part.log), [])
            if part.seq not in log.asked or (seqs and part.seq <= seqs[-1]):
                raise BlobUnasked(f"blob {part.seq} of a log was not asked for")
            self._ledger.answered(self._peer, log.log, gained=EMPTY, now_ms=now_ms)
            if len(part.data) < part.size_bytes:
                self._credit.came(len(part.data))
                in_parts = part.page
            data = self._assembly.add(part, log.log, now_ms=now_ms)
            if isinstance(data, Unfinished):
                if data is Unfinished.ANEW:
                    self._take_back(page, part)
                    anew = True
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
        effects = [] if in_parts is None else self._give_credit(in_parts)
        effects += self._commit(whole, taken) if whole else []
        return effects + self._ask_everywhere() if anew else effects

    def gone(self, frame: Gone, *, now_ms: int) -> list[Effect]:
        """The peer no longer has some of what was asked for."""
        self._heard_ms = now_ms
        for place, ranges in frame.logs:
            page, log = self._pages.answered(frame.page, place)
            if ranges - log.asked:
                raise BlobUnasked("gone names what was not asked for")
            self._gone_ranges += len(ranges)
            if self._gone_ranges > GONE_PROMISES_MAX:
                raise PromiseBroken(f"more than {GONE_PROMISES_MAX} offered ranges were gone")
            self._assembly.forget(frame.page, place, log.log, ranges)
            self._ledger.broke_promise(self._peer, log.log)
            self._answer(page, log, ranges)
            self._asker.free(log, ranges.count)
            self._asker.declare(log.log, now_ms=now_ms)
        return self._close_pages(now_ms=now_ms) + self._ask_everywhere()

    def committed(self, request: Commit, result: Committed, *, now_ms: int) -> list[Effect]:
        """A commit of ours is durable: pages may be settled, and more asked for."""
        done = self._commits.pop(id(request))
        self.progress_ms = now_ms
        self.blobs_in += result.stored
        self.duplicates_in += result.duplicates
        for (number, place), ranges in done.places.items():
            log = self._pages.page(number).logs[place]
            log.uncommitted -= ranges
            self._asker.came(log)
            if log.fresh_ms is not None:
                self._fresh_times.came(now_ms - log.fresh_ms, now_ms=now_ms)
                log.fresh_ms = None
            self._ledger.answered(self._peer, log.log, gained=ranges, now_ms=now_ms)
            self._asker.free(log, ranges.count)
            self._asker.declare(log.log, now_ms=now_ms)
        self._count_uncommitted(-done.received_bytes)
        effects: list[Effect] = [self._settle(number, now_ms=now_ms) for number in done.pages]
        if request.refilled is not None:
            effects += self._refill.start()
        if done.places:
            self._gone_ranges = 0
        return effects + self._close_pages(now_ms=now_ms) + self._ask_everywhere()

    def wake(self) -> list[Effect]:
        """A log that another peer was asked for may be free now."""
        return self._ask_everywhere(denied_too=True)

    def tick(self, now_ms: int) -> list[Effect]:
        """Asks others' logs again after a while; `PeerStalled` after a long silence."""
        self._beginnings.tick(now_ms)
        self._ledger.yielding.tick(now_ms)
        if self._asker.is_waiting and now_ms - self._heard_ms > WANT_STALL_MS and not self._commits:
            raise PeerStalled(f"nothing came for {WANT_STALL_MS} ms of what was asked for")
        if self._ledger.turns.is_over(self._asker.turn, now_ms=now_ms):
            raise PeerStalled(f"others waited {2 * PARTS_TURN_MS} ms for what comes in parts")
        goes_on = self._asker.backlog_turn.tick()
        if now_ms - self._retry_ms < WANT_PATIENCE_MS:
            return self._ask_everywhere() if goes_on else []
        self._retry_ms = now_ms
        return self._ask_everywhere(denied_too=True)

    def close(self) -> None:
        """The session ended: what was wanted of this peer returns to the others."""
        for log_id in self._pages.all_logs():
            self._ledger.declare(self._peer, log_id, EMPTY, now_ms=self._heard_ms)
        self._pages = OpenPages()
        self._ledger.turns.leave(self._asker.turn)
        self._count_uncommitted(-self.bytes_uncommitted)

    def _note_fresh(
        self, page: OpenPage, wants: Sequence[PageRanges], *, was_idle: bool, now_ms: int
    ) -> None:
        """From now on it counts how long `wants` take, if they are of something new: of a fresh
        page, or all that a page lacked, and little, while nothing else was in flight."""
        all_of_it = was_idle and not page.short and not page.denied
        is_new = all_of_it and sum(want.ranges.count for want in wants) <= FRESH_SEQS_LOG_MAX
        if page.fresh or is_new:
            for want in wants:
                page.logs[want.log].fresh_ms = now_ms

    def _count_uncommitted(self, received_bytes: int) -> None:
        self.bytes_uncommitted += received_bytes
        self._ledger.turns.bytes_uncommitted += received_bytes

    def _commit(
        self, whole: list[ReceivedBlob], taken: dict[tuple[int, int], list[int]]
    ) -> list[Effect]:
        places: dict[tuple[int, int], SeqRanges] = {}
        for (number, place), seqs in taken.items():
            if not seqs:
                continue
            page, log = self._pages.answered(number, place)
            ranges = SeqRanges((seq, seq + 1) for seq in seqs)
            self._answer(page, log, ranges)
            log.uncommitted |= ranges
            places[number, place] = ranges
        closing = self._pages.close_feed()
        request = self._commit_of(whole, closing)
        received_bytes = sum(len(blob.data) for blob in whole)
        self._count_uncommitted(received_bytes)
        self._commits[id(request)] = _Commit(places, received_bytes, closing.pages)
        return [request]

    def _commit_of(self, whole: Sequence[ReceivedBlob], closing: Closing) -> Commit:
        """The next commit; what was passed is told with a cursor, and with a settled answer."""
        passed = self._passed and closing.cursor is not None
        self._passed = self._passed and not passed
        refilled = self._refill.settled() if closing.answers else None
        refill_passed = self._refill_passed and refilled is not None
        self._refill_passed = self._refill_passed and not refill_passed
        return Commit(tuple(whole), closing.cursor, passed, refilled, refill_passed)

    def _answer(self, page: OpenPage, log: OpenLog, ranges: SeqRanges) -> None:
        """`ranges`, which were asked for, were received or are gone."""
        log.asked -= ranges
        log.answered |= ranges
        page.set_open(log, log.open - ranges)

    def _give_credit(self, page: int) -> list[Effect]:
        """Lets the peer go on with a blob in parts of its `page`."""
        given = self._credit.give(self._asker.flight.bytes)
        return [Send(Want(page, (), credit=given))] if given else []

    def _take_back(self, page: OpenPage, part: BlobPart) -> None:
        """What was asked for came, and must be asked for again."""
        log = page.logs[part.log]
        log.asked -= SeqRanges.single(part.seq)
        self._asker.free(log, 1)
        page.short.add(part.log)

    def _settle(self, number: int, *, now_ms: int) -> Effect:
        for log in self._pages.remove(number).logs:
            self._asker.declare(log.log, now_ms=now_ms)
        return Send(Settled(number))

    def _close_pages(self, *, now_ms: int) -> list[Effect]:
        """Settles fresh pages, and moves the cursor behind pages of which nothing was asked."""
        settled = [self._settle(number, now_ms=now_ms) for number in self._pages.fresh_done()]
        closing = self._pages.close_feed()
        if not closing.pages:
            return settled
        request = self._commit_of((), closing)
        self._commits[id(request)] = _Commit({}, 0, closing.pages)
        return [*settled, request]

    def _ask_everywhere(self, *, denied_too: bool = False) -> list[Effect]:
        effects: list[Effect] = []
        for page in self._pages:
            effects += self._ask_more(page, denied_too=denied_too)
        return effects

    def _ask_more(self, page: OpenPage, *, denied_too: bool = False) -> list[Effect]:
        """Reads again the records of logs that more may be asked of."""
        if page.reading:
            return []
        places = self._asker.to_read(page)
        if denied_too:
            places |= page.denied
        return [self._read_records(page, sorted(places))] if places else []

    def _read_records(self, page: OpenPage, places: Iterable[int]) -> Effect:
        page.reading, page.gains = True, self._ledger.gains
        chosen = tuple(places)
        return ReadRecords(page.number, chosen, tuple(page.logs[p].log for p in chosen))
