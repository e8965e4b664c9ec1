"""What a session asks its shell to do, and what the shell answers.

The session never touches a store or a stream. It returns effects; the shell carries out each
`Request` against the store and hands the result back with `Session.answer(request, result)`.
Requests are answered in any order, but commits must reach the store in the order given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from meshbox.core.ids import BlobClass, LogId, LogKey, NodeId, Origin
from meshbox.core.inventory import LogRecord
from meshbox.core.ranges import SeqRanges
from meshbox.core.reconcile import Digest
from meshbox.core.retention import Retention
from meshbox.core.session.frames import Frame, PeerAt


@dataclass(frozen=True, slots=True)
class Send:
    """Put `frame` on the stream, after those before it; tell `Session.sent` when it is written."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class Proven:
    """The peer is who it says: the shell now decides whether this session may stay."""

    peer: NodeId


@dataclass(frozen=True, slots=True)
class Told:
    """The peer tells where others are: hints, which the shell may dial."""

    peers: tuple[PeerAt, ...]


@dataclass(frozen=True, slots=True)
class Finish:
    """The session is over: flush what was sent, then close the stream."""

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class LoadCursors:
    """Answer: the cursors (bytes) kept for the peer, one an epoch, the newest first."""

    peer: NodeId


@dataclass(frozen=True, slots=True, eq=False)
class ReadRefill:
    """Answer: `RefillRead`, as soon as there are logs that the peer is to be asked for by name."""

    peer: NodeId


class RefillRead(NamedTuple):
    """Logs to ask for by name, and what says how far the peer was asked once it answered."""

    logs: tuple[LogKey, ...]
    through: bytes


@dataclass(frozen=True, slots=True, eq=False)
class ChooseCursor:
    """Answer: the first of `cursors` that our feed honours, or None."""

    cursors: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, eq=False)
class MakeSketch:
    """Answer: `SketchMade`, of what we held at one moment, the same for all asks of a session."""

    key: bytes
    first: int
    end: int


class SketchMade(NamedTuple):
    """Symbols of our own sketch, packed (core/reconcile.py)."""

    digest: Digest
    symbols: bytes


@dataclass(frozen=True, slots=True, eq=False)
class PrepareComparison:
    """Answer: None, once it is known what we hold at the moment to be compared with."""

    key: bytes


@dataclass(frozen=True, slots=True, eq=False)
class CompareSketch:
    """Answer: `Compared`, with what we held at one moment, the same for all of a session; None
    when we hold too much to be compared."""

    key: bytes
    digest: Digest
    symbols: bytes


class Compared(NamedTuple):
    """What the symbols so far told."""

    logs: tuple[LogKey, ...] | None
    """Those of our logs that the peer holds otherwise or not at all; None: it takes more."""
    theirs: tuple[int, ...]
    """The elements that only the peer has."""
    elements: int
    """How many logs we hold something of."""
    cursor: bytes
    """Into our own feed, for "everything up to the moment compared is settled"."""


@dataclass(frozen=True, slots=True, eq=False)
class FindLogs:
    """Answer: `LogsFound`, of the moment of which the peer was told our sketch; None when it is not
    to be known any more."""

    elements: tuple[int, ...]


class LogsFound(NamedTuple):
    """Our logs with the elements that were asked for."""

    logs: tuple[LogKey, ...]
    cursor: bytes
    """Into our own feed, for "everything up to that moment is settled"."""


@dataclass(frozen=True, slots=True, eq=False)
class ReadLogs:
    """Answer: `RecordsRead` for our logs of these keys."""

    keys: tuple[LogKey, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ReadFeed:
    """Answer: `FeedRead`."""

    after: bytes | None
    logs_max: int
    runs_max: int
    fresh: bool = False
    """For fresh pages (fresh.py)."""


@dataclass(frozen=True, slots=True, eq=False)
class FindFeedEnd:
    """Answer: `FeedRead` without records, at the end of our feed."""


class FeedRead(NamedTuple):
    """A page of our own feed."""

    records: tuple[LogRecord, ...]
    cursor: bytes
    view: int
    more: bool
    now_ms: int
    retention: Retention


@dataclass(frozen=True, slots=True, eq=False)
class AwaitChange:
    """Answer (bool): our feed went beyond `change`; whether by a deposit of a client.

    What other peers brought is not told before `relays_wait_ms` passed, unless a client does.
    """

    change: int
    relays_wait_ms: int = 0
    fresh: bool = False
    """For fresh pages (fresh.py)."""


@dataclass(frozen=True, slots=True, eq=False)
class ReadRecords:
    """Answer: `RecordsRead` for the logs at `places` of the peer's `page`."""

    page: int
    places: tuple[int, ...]
    logs: tuple[LogId, ...]


class RecordsRead(NamedTuple):
    """What we know of logs, with the test for age of the same moment."""

    records: tuple[LogRecord | None, ...]
    now_ms: int
    retention: Retention
    floor: int | None = None
    """When there is no room: the lowest bucket of which anything would be stored and stay."""


@dataclass(frozen=True, slots=True, eq=False)
class ReadBlobs:
    """Answer: `BlobsRead`."""

    wanted: tuple[tuple[LogId, SeqRanges], ...]
    blobs_max: int
    bytes_max: int
    whole_bytes_max: int


class HeldBlob(NamedTuple):
    """A blob of ours that was asked for; `data` is None where it is too large for one frame."""

    log: LogId
    seq: int
    blob_class: BlobClass
    age_ms: int
    origin: Origin
    content_hash: bytes
    size_bytes: int
    data: bytes | None
    handle: object
    """What the shell needs to read parts of it; opaque to the session."""


class BlobsRead(NamedTuple):
    """Part of what was asked, in the order asked; what is absent before the last is not held."""

    blobs: tuple[HeldBlob, ...]
    more: bool


@dataclass(frozen=True, slots=True, eq=False)
class ReadPart:
    """Answer: bytes, or None when the blob is no longer held."""

    blob: HeldBlob
    offset: int
    size: int


class ReceivedBlob(NamedTuple):
    """A whole blob from the peer."""

    log: LogId
    seq: int
    blob_class: BlobClass
    asked_ms: int
    """Node time when it was asked for."""
    age_ms: int
    """Its age at the sender; the store's stamp is computed from both."""
    origin: Origin
    data: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Commit:
    """Answer: `Committed` once all of it is durable. `cursor` is true once `blobs` are stored."""

    blobs: tuple[ReceivedBlob, ...]
    cursor: bytes | None
    passed: bool = False
    """Something before `cursor` was not wanted for lack of room: it is kept whence to return. So it
    is where a commit before found no room, which whoever carries them out notes by itself."""
    refilled: bytes | None = None
    """How far the peer has answered what it was asked for by name, once `blobs` are stored."""
    refill_passed: bool = False
    """As `passed`, of what came since the last `refilled`."""


class Committed(NamedTuple):
    """How a commit ended, a count an outcome that the session accounts for."""

    stored: int
    duplicates: int


Request = (
    LoadCursors
    | ReadRefill
    | ChooseCursor
    | MakeSketch
    | PrepareComparison
    | CompareSketch
    | FindLogs
    | ReadLogs
    | ReadFeed
    | FindFeedEnd
    | AwaitChange
    | ReadRecords
    | ReadBlobs
    | ReadPart
    | Commit
)
Effect = Send | Proven | Told | Finish | Request
