"""Parts of blobs made whole, and checked against the hash that was sent with them.

At most one blob is in parts at a time; its parts follow one another, with whole blobs of other logs
between them (lanes.py). What is held is bounded by the peer's turn (core/turns.py), and as much is
held of what the peer was told that we have the beginning of (beginnings.py), from where it may go
on. A blob that fits a frame needs no turn.
"""

from __future__ import annotations

import hashlib
from enum import Enum

from meshbox.core.errors import BlobCorrupt, BlobUnasked, PeerStalled
from meshbox.core.ids import LogId
from meshbox.core.limits import BEGINNINGS_MAX, BLOB_BYTES_MAX, FRAME_BYTES_MAX
from meshbox.core.ranges import SeqRanges
from meshbox.core.session.beginnings import Beginning, Beginnings
from meshbox.core.session.frames import Begun, BlobPart
from meshbox.core.turns import Turn, Turns

CONTENT_HASH_BYTES = 32


def content_hash(data: bytes | bytearray) -> bytes:
    """blake2b-32 of a blob's bytes: what every node calls its content by."""
    return hashlib.blake2b(data, digest_size=CONTENT_HASH_BYTES).digest()


class Unfinished(Enum):
    """Why a part makes no whole blob."""

    MORE = "more"
    """Parts are to follow."""
    ANEW = "anew"
    """What several peers brought of it does not fit together: it must be asked for again."""


class Assembly:
    """The blob that is being received from one peer in parts, if any."""

    __slots__ = ("_beginnings", "_begun", "_first", "_named", "_peer", "_turn", "_turns")

    def __init__(self, turn: Turn, turns: Turns, beginnings: Beginnings) -> None:
        self._peer = turn.peer
        self._turn = turn
        self._turns = turns
        self._beginnings = beginnings
        self._named: dict[tuple[LogId, int], tuple[Beginning, int]] = {}
        """Where the peer may go on, and from which offset."""
        self._first: BlobPart | None = None
        self._begun: Beginning | None = None

    def named(self, place: int, log: LogId, ranges: SeqRanges) -> list[Begun]:
        """What to tell the peer that we have of `ranges`, which it is being asked for."""
        told: list[Begun] = []
        for seq, kept in self._beginnings.of(log, ranges, self._peer):
            offset = len(kept.data)
            left_bytes = self._bytes_max - sum(named for _, named in self._named.values())
            if len(self._named) < BEGINNINGS_MAX and offset <= left_bytes:
                self._named[log, seq] = kept, offset
                told.append(Begun(place, seq, kept.content_hash, offset))
        return told

    def add(self, part: BlobPart, log: LogId, *, now_ms: int) -> bytes | Unfinished:
        """The whole blob when `part` completes one; `BlobCorrupt` when its hash is another."""
        if part.size_bytes > BLOB_BYTES_MAX or part.offset + len(part.data) > part.size_bytes:
            raise BlobCorrupt(f"a blob of {part.size_bytes} bytes with a part that does not fit")
        if self._passes(part):
            self._came_whole(log, part.seq)
            return _checked(part.data, part)
        self._check_turn(part, now_ms)
        begun = self._begin(part, log) if self._first is None else self._go_on(part)
        if not part.data:
            raise BlobCorrupt("a part without bytes")
        begun.data += part.data
        if len(begun.data) < part.size_bytes:
            self._beginnings.keep(log, part.seq, begun, now_ms=now_ms)
            return Unfinished.MORE
        self._drop()
        self._came_whole(log, part.seq)
        return self._whole(begun, part)

    def forget(self, page: int, place: int, log: LogId, ranges: SeqRanges) -> None:
        """The peer gave up on `ranges`: a blob in parts among them will not be completed."""
        first = self._first
        if first is not None and (first.page, first.log) == (page, place) and first.seq in ranges:
            self._drop()
        for other, seq in list(self._named):
            if other == log and seq in ranges:
                del self._named[other, seq]

    @property
    def _bytes_max(self) -> int:
        """Of a blob that may come in parts."""
        return max(self._turn.bytes, FRAME_BYTES_MAX)

    def _check_turn(self, part: BlobPart, now_ms: int) -> None:
        if part.size_bytes > self._bytes_max and not self._turns.take(
            self._turn, part.size_bytes, now_ms=now_ms
        ):
            raise PeerStalled("a blob larger than offered, for which others would have to wait")

    def _begin(self, part: BlobPart, log: LogId) -> Beginning:
        """The first part of a blob: from its beginning, or from where we said that we stand."""
        kept, offset = self._named.pop((log, part.seq), (None, 0))
        if kept is None or not part.offset:
            nothing = bytearray()
            begun = Beginning(part.content_hash, part.size_bytes, frozenset([self._peer]), nothing)
        else:
            begun = kept.continued(offset, by=self._peer)
        if not _continues(begun, part):
            raise BlobUnasked("a part of a blob that does not begin where it was asked to")
        self._first, self._begun = part, begun
        return begun

    def _go_on(self, part: BlobPart) -> Beginning:
        assert self._first is not None
        assert self._begun is not None
        same = self._first._replace(offset=0, data=b"") == part._replace(offset=0, data=b"")
        if not same or not _continues(self._begun, part):
            raise BlobUnasked("a part of a blob that does not follow the one before it")
        return self._begun

    def _passes(self, part: BlobPart) -> bool:
        """Whether it is whole, and of another log than the blob in parts, if any."""
        first = self._first
        same = first is not None and (first.page, first.log) == (part.page, part.log)
        return part.offset == 0 and len(part.data) == part.size_bytes and not same

    def _came_whole(self, log: LogId, seq: int) -> None:
        self._named.pop((log, seq), None)
        self._beginnings.done(log, seq)

    def _whole(self, begun: Beginning, part: BlobPart) -> bytes | Unfinished:
        if begun.bringers != {self._peer} and not _fits(begun.data, part):
            self._beginnings.mixed_up(begun.bringers)
            return Unfinished.ANEW
        return _checked(bytes(begun.data), part)

    def _drop(self) -> None:
        self._first = self._begun = None


def _continues(begun: Beginning, part: BlobPart) -> bool:
    known = (begun.content_hash, begun.size_bytes, len(begun.data))
    return known == (part.content_hash, part.size_bytes, part.offset)


def _fits(data: bytes | bytearray, part: BlobPart) -> bool:
    return not part.content_hash or content_hash(data) == part.content_hash


def _checked(data: bytes, part: BlobPart) -> bytes:
    if not _fits(data, part):
        raise BlobCorrupt(f"blob {part.seq} does not have the announced hash")
    return data
