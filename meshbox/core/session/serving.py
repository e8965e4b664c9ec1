"""The peer's wants, served: blobs read, sent in frames, and told gone where they are not held.

Wants are served in the order they came, one read of the store at a time, and none while more than
`FRAMES_UNSENT_MAX` answers wait to be written: a slow reader costs the answers of one read and
nobody else anything. What was asked for and is not held is answered gone.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from meshbox.core.errors import BlobUnasked, FrameTooLarge
from meshbox.core.ids import LogId
from meshbox.core.limits import (
    FRAME_BLOBS_MAX,
    FRAME_BYTES_MAX,
    WANT_SEQS_LOG_MAX,
    WANT_SEQS_MAX,
)
from meshbox.core.ranges import SeqRanges
from meshbox.core.session.effects import BlobsRead, Effect, HeldBlob, ReadBlobs, ReadPart, Send
from meshbox.core.session.frames import BlobPart, Blobs, Gone, PageRanges, Want

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


class WantServer:
    """Serves the wants of one peer."""

    def __init__(self) -> None:
        self.blobs_out = 0
        self._wanted: deque[_Wanted] = deque()
        self._wanted_seqs = 0
        self._read: tuple[_Wanted, ...] = ()
        self._ready: deque[tuple[_Wanted, HeldBlob]] = deque()
        self._part_offset = 0
        self._part_asked = False
        self._frames_unsent = 0

    def want(self, frame: Want, logs: tuple[LogId, ...]) -> list[Effect]:
        """The peer asks for ranges of an offered page, which has `logs`."""
        for place, ranges in frame.logs:
            if place >= len(logs):
                raise BlobUnasked(f"want of log {place} of a page of {len(logs)}")
            count = ranges.count
            self._wanted_seqs += count
            if count > WANT_SEQS_LOG_MAX or self._wanted_seqs > WANT_SEQS_MAX:
                raise FrameTooLarge("more sequence numbers wanted than may be in flight")
            self._wanted.append(_Wanted(frame.page, place, logs[place], ranges))
        return self._pump()

    def blobs_read(self, result: BlobsRead) -> list[Effect]:
        """Queues what was read; tells what of it is gone."""
        effects: list[Effect] = []
        blobs = deque(result.blobs)
        for wanted in self._read:
            got = _take_of(wanted, blobs)
            self._ready.extend((wanted, blob) for blob in got)
            cut_here = result.more and not blobs
            answered = wanted.ranges
            if cut_here:
                answered = answered.below(got[-1].seq + 1 if got else 0)
            effects += self._account(wanted, answered, got)
            if cut_here:
                break
        self._read = ()
        while self._wanted and not self._wanted[0].ranges:
            self._wanted.popleft()
        return effects + self._pump()

    def part_read(self, request: ReadPart, data: bytes | None) -> list[Effect]:
        """Sends the next part of a large blob, or gives it up."""
        wanted, blob = self._ready[0]
        self._part_asked = False
        if data is None:
            self._ready.popleft()
            self._part_offset = 0
            return [self._gone(wanted, SeqRanges.single(blob.seq)), *self._pump()]
        part = _part(wanted, blob, request.offset, data)
        self._part_offset = request.offset + len(data)
        if self._part_offset >= blob.size_bytes:
            self._ready.popleft()
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
        while self._ready and self._frames_unsent < FRAMES_UNSENT_MAX and not self._part_asked:
            effects.append(self._next_frame())
        busy = self._read or self._ready or self._part_asked
        if self._wanted and not busy and self._frames_unsent <= FRAMES_UNSENT_MAX:
            effects.append(self._read_blobs())
        return effects

    def _next_frame(self) -> Effect:
        _, blob = self._ready[0]
        if blob.data is None:
            self._part_asked = True
            size = min(FRAME_BYTES_MAX, blob.size_bytes - self._part_offset)
            return ReadPart(blob, self._part_offset, size)
        parts: list[BlobPart] = []
        room_bytes = FRAME_BYTES_MAX
        while self._ready and len(parts) < FRAME_BLOBS_MAX:
            wanted, blob = self._ready[0]
            if blob.data is None or (parts and len(blob.data) > room_bytes):
                break
            room_bytes -= len(blob.data)
            parts.append(_part(wanted, blob, 0, blob.data))
            self._ready.popleft()
        self.blobs_out += len(parts)
        self._frames_unsent += 1
        return Send(Blobs(tuple(parts)))

    def _read_blobs(self) -> Effect:
        self._read = tuple(self._wanted)[:READ_LOGS_MAX]
        return ReadBlobs(
            tuple((wanted.log, wanted.ranges) for wanted in self._read),
            FRAME_BLOBS_MAX,
            FRAME_BYTES_MAX,
            FRAME_BYTES_MAX,
        )

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
