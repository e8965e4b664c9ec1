"""The peer's wants, served: blobs read, sent in frames, and told gone where they are not held.

Wants are served in the order they came, but in lanes (lanes.py): those of fresh pages first, and a
blob too large for a frame, as large as the line takes (pacing.py), goes in parts by turns with what
other logs have. Within a log nothing
overtakes: what follows a large blob follows it into the BULK lane.

A lane reads the store once at a time, and none reads while more than `FRAMES_UNSENT_MAX` answers
wait to be written: a slow reader costs the answers of one read a lane, and nobody else anything.
What was asked for and is not held is answered gone.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

from meshbox.core.errors import BlobUnasked, FrameTooLarge
from meshbox.core.ids import LogId
from meshbox.core.limits import FRAME_BLOBS_MAX, FRAME_BYTES_MAX, WANT_SEQS_LOG_MAX
from meshbox.core.ranges import EMPTY, SEQ_END, SeqRanges
from meshbox.core.session.effects import BlobsRead, Effect, HeldBlob, ReadBlobs, ReadPart, Send
from meshbox.core.session.frames import Begun, BlobPart, Blobs, Gone, PageRanges, Want
from meshbox.core.session.lanes import SEQS_ALL_MAX, Lane
from meshbox.core.session.offering import OfferedPage
from meshbox.core.session.pacing import frame_bytes

FRAMES_UNSENT_MAX = 2
"""Answers to wants that wait to be written before more is read: one on its way, one behind it."""

READ_LOGS_MAX = 64
"""Wanted logs of one read of the store."""


@dataclass(slots=True)
class _Wanted:
    """Ranges of one offered log that the peer waits for."""

    page: int
    place: int
    log: LogId
    ranges: SeqRanges
    begun: tuple[Begun, ...]

    def begins_at(self, blob: HeldBlob) -> int:
        """The offset from which the peer needs `blob`."""
        held = (blob.seq, blob.content_hash)
        offsets = (b.offset for b in self.begun if (b.seq, b.content_hash) == held)
        return next((offset for offset in offsets if offset < blob.size_bytes), 0)


@dataclass(slots=True, eq=False)
class _Queue:
    """The wants of one lane."""

    wanted: deque[_Wanted] = field(default_factory=deque)
    read: tuple[_Wanted, ...] = ()
    """What `request` asks for."""
    request: ReadBlobs | None = None
    """A read under way."""
    ready: deque[tuple[_Wanted, HeldBlob]] = field(default_factory=deque)

    @property
    def may_read(self) -> bool:
        return bool(self.wanted) and self.request is None and not self.ready

    def logs(self) -> frozenset[LogId]:
        """Everything that waits here."""
        return frozenset((*(w.log for w in self.wanted), *(w.log for w, _ in self.ready)))

    def take(self, result: BlobsRead) -> list[tuple[_Wanted, list[HeldBlob], int]]:
        """What was read, each wanted log with its blobs and the number up to which it was read."""
        blobs = deque(result.blobs)
        taken: list[tuple[_Wanted, list[HeldBlob], int]] = []
        for wanted in self.read:
            got = _take_of(wanted, blobs)
            if result.more and not blobs:
                taken.append((wanted, got, got[-1].seq + 1 if got else 0))
                break
            taken.append((wanted, got, SEQ_END))
        self.read, self.request = (), None
        return taken


class WantServer:
    """Serves the wants of one peer."""

    def __init__(self) -> None:
        self.blobs_out = 0
        self._queues = {lane: _Queue() for lane in Lane}
        self._bulk = self._queues[Lane.BULK]
        self._by_turns = [Lane.FEED, Lane.BULK]
        self._wanted_seqs = 0
        self._part_offset = 0
        self._part_asked = False
        self._frames_unsent = 0
        self._frame_bytes = FRAME_BYTES_MAX
        self._credit: int | None = None
        """Bytes of parts that may still be sent; None: as many as there are."""

    def want(self, frame: Want, page: OfferedPage) -> list[Effect]:
        """The peer asks for ranges of an offered page."""
        if frame.credit:
            self._credit = (self._credit or 0) + frame.credit
            self._frame_bytes = frame_bytes(frame.credit)
        bulk_logs = self._bulk.logs()
        lane = Lane.FRESH if page.fresh else Lane.FEED
        for place, ranges in frame.logs:
            if place >= len(page.logs):
                raise BlobUnasked(f"want of log {place} of a page of {len(page.logs)}")
            count = ranges.count
            self._wanted_seqs += count
            if count > WANT_SEQS_LOG_MAX or self._wanted_seqs > SEQS_ALL_MAX:
                raise FrameTooLarge("more sequence numbers wanted than may be in flight")
            log = page.logs[place]
            queue = self._queues[Lane.BULK if log in bulk_logs else lane]
            begun = tuple(each for each in frame.begun if each.log == place)
            queue.wanted.append(_Wanted(frame.page, place, log, ranges, begun))
        return self._pump()

    def blobs_read(self, request: ReadBlobs, result: BlobsRead) -> list[Effect]:
        """Queues what was read; tells what of it is gone."""
        queue = next(queue for queue in self._queues.values() if queue.request is request)
        effects: list[Effect] = []
        bulk_logs = set() if queue is self._bulk else set(self._bulk.logs())
        for wanted, got, end in queue.take(result):
            large = (b.seq for b in got if b.data is None and queue is not self._bulk)
            moved = 0 if wanted.log in bulk_logs else next(large, SEQ_END)
            stays = [blob for blob in got if blob.seq < moved]
            queue.ready.extend((wanted, blob) for blob in stays)
            effects += self._account(wanted, wanted.ranges.below(min(end, moved)), stays)
            if moved < SEQ_END:
                bulk_logs.add(wanted.log)
                rest, wanted.ranges = wanted.ranges, EMPTY
                self._bulk.wanted.append(replace(wanted, ranges=rest))
        while queue.wanted and not queue.wanted[0].ranges:
            queue.wanted.popleft()
        return effects + self._pump()

    def part_read(self, request: ReadPart, data: bytes | None) -> list[Effect]:
        """Sends the next part of a large blob, or gives it up."""
        wanted, blob = self._bulk.ready[0]
        self._part_asked = False
        if data is None:
            self._bulk.ready.popleft()
            self._part_offset = 0
            return [self._gone(wanted, SeqRanges.single(blob.seq)), *self._pump()]
        part = _part(wanted, blob, request.offset, data)
        self._part_offset = request.offset + len(data)
        if self._credit is not None:
            self._credit -= len(data)
        if self._part_offset >= blob.size_bytes:
            self._bulk.ready.popleft()
            self._part_offset = 0
            self.blobs_out += 1
        self._frames_unsent += 1
        return [Send(Blobs((part,))), *self._pump()]

    def sent(self) -> list[Effect]:
        """An answer to a want, blobs or gone, was written to the stream."""
        self._frames_unsent -= 1
        return self._pump()

    def _pump(self) -> list[Effect]:
        """Writes what is ready while there is room, then reads more."""
        effects: list[Effect] = []
        while self._frames_unsent < FRAMES_UNSENT_MAX and (lane := self._next_lane()) is not None:
            effects.append(self._next_frame(self._queues[lane]))
        if self._frames_unsent <= FRAMES_UNSENT_MAX:
            effects += [self._read(queue) for queue in self._queues.values() if queue.may_read]
        return effects

    def _next_lane(self) -> Lane | None:
        """The lane whose turn it is among those with something ready."""
        if self._queues[Lane.FRESH].ready:
            return Lane.FRESH
        for lane in self._by_turns:
            if self._queues[lane].ready and (lane is Lane.FEED or self._bulk_may_go_on()):
                self._by_turns.remove(lane)
                self._by_turns.append(lane)
                return lane
        return None

    def _bulk_may_go_on(self) -> bool:
        """Whether no part is being read, the next may be sent, and what goes before it was."""
        wanted, blob = self._bulk.ready[0]
        if blob.data is None and self._credit is not None and self._credit <= 0:
            return False
        log = wanted.log
        before = self._queues[Lane.FEED].ready
        return not self._part_asked and all(wanted.log != log for wanted, _ in before)

    def _next_frame(self, queue: _Queue) -> Effect:
        wanted, blob = queue.ready[0]
        if blob.data is None:
            self._part_asked = True
            self._part_offset = self._part_offset or wanted.begins_at(blob)
            size = min(self._frame_bytes, blob.size_bytes - self._part_offset)
            return ReadPart(blob, self._part_offset, size)
        parts: list[BlobPart] = []
        highest: dict[tuple[int, int], int] = {}
        room_bytes = self._frame_bytes
        while queue.ready and len(parts) < FRAME_BLOBS_MAX:
            wanted, blob = queue.ready[0]
            if blob.data is None or (parts and len(blob.data) > room_bytes):
                break
            where = (wanted.page, wanted.place)
            if highest.get(where, -1) >= blob.seq:  # It was asked for later than what is above it.
                break
            highest[where] = blob.seq
            room_bytes -= len(blob.data)
            parts.append(_part(wanted, blob, 0, blob.data))
            queue.ready.popleft()
        self.blobs_out += len(parts)
        self._frames_unsent += 1
        return Send(Blobs(tuple(parts)))

    def _read(self, queue: _Queue) -> Effect:
        queue.read = tuple(queue.wanted)[:READ_LOGS_MAX]
        queue.request = ReadBlobs(
            tuple((wanted.log, wanted.ranges) for wanted in queue.read),
            FRAME_BLOBS_MAX,
            FRAME_BYTES_MAX,
            self._frame_bytes,
        )
        return queue.request

    def _account(self, wanted: _Wanted, answered: SeqRanges, got: list[HeldBlob]) -> list[Effect]:
        """`answered` of `wanted` is done with: as `got`, or as gone."""
        wanted.ranges -= answered
        self._wanted_seqs -= answered.count
        gone = answered - SeqRanges((blob.seq, blob.seq + 1) for blob in got)
        return [self._gone(wanted, gone)] if gone else []

    def _gone(self, wanted: _Wanted, ranges: SeqRanges) -> Effect:
        self._frames_unsent += 1
        return Send(Gone(wanted.page, (PageRanges(wanted.place, ranges),)))


def _take_of(wanted: _Wanted, blobs: deque[HeldBlob]) -> list[HeldBlob]:
    """The blobs at the head of `blobs` that answer `wanted`."""
    taken: list[HeldBlob] = []
    while blobs and blobs[0].log == wanted.log and blobs[0].seq in wanted.ranges:
        if taken and blobs[0].seq <= taken[-1].seq:
            break
        taken.append(blobs.popleft())
    return taken


def _part(wanted: _Wanted, blob: HeldBlob, offset: int, data: bytes) -> BlobPart:
    return BlobPart(
        wanted.page,
        wanted.place,
        blob.seq,
        blob.blob_class,
        blob.age_ms,
        blob.origin,
        blob.content_hash,
        blob.size_bytes,
        offset,
        data,
    )
