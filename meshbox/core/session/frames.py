"""What two nodes say to each other: the frames of a session as values.

`wire/encoding.py` turns them into bytes and `wire/decoding.py` back, with every bound checked, so
a frame that exists is well-formed: ids are ids, ranges are ranges, lengths are within limits. What
a frame may mean *now* is the session's to judge.
"""

from __future__ import annotations

from typing import NamedTuple

from meshbox.core.address import Endpoint
from meshbox.core.ids import BlobClass, LogId, LogKey, NodeId, Origin
from meshbox.core.ranges import SeqRanges
from meshbox.core.reconcile import Digest

PROTOCOL_VERSION_MIN = 1
PROTOCOL_VERSION_MAX = 1


class Totals(NamedTuple):
    """What a node holds, for people and progress; never believed for anything else."""

    logs: int = 0
    blobs: int = 0
    bytes: int = 0


class Hello(NamedTuple):
    """Who speaks, and within which limits."""

    node_key: bytes
    nonce: bytes
    epoch_id: bytes
    leaf_fingerprint: bytes = b""
    version_min: int = PROTOCOL_VERSION_MIN
    version_max: int = PROTOCOL_VERSION_MAX
    frame_bytes_max: int = 0
    blob_bytes_max: int = 0
    software: str = ""
    totals: Totals = Totals()
    topics: bytes = b""
    """The topics carried (core/topics.py); empty: all."""
    ways_out: bytes = b""
    """The internet mailboxes that it is configured with (core/way_out.py)."""
    sync_port: int = 0
    """Where it listens for other nodes; 0: nowhere."""
    hears_addresses: bool = False
    """It may be told where others are; versions before this one end the session when they are."""
    reads_numbers: bool = False
    """It reads offers in numbers; versions before this one do not."""


class Proof(NamedTuple):
    """The dialler's signature (identity/proof.py)."""

    signature: bytes


class Resume(NamedTuple):
    """The reader's cursors into the other's feed, one an epoch, the newest first."""

    cursors: tuple[bytes, ...] = ()


class AskSketch(NamedTuple):
    """None of the cursors is honoured: the reader is asked for its sketch, `symbols` in all."""

    symbols: int


class Sketch(NamedTuple):
    """What the reader holds: its digest, and symbols of its sketch from the one at `first`."""

    digest: Digest
    first: int
    symbols: bytes


class AskDifference(NamedTuple):
    """The reader was dialled and finds out what differs: the other asks to be told its part."""


class Difference(NamedTuple):
    """What of the asker's elements the teller has not; None: list everything, it costs less."""

    elements: tuple[int, ...] | None


class OfferedRun(NamedTuple):
    """Blobs that the sender holds at first … end-1, of one class and about one age."""

    first: int
    end: int
    blob_class: BlobClass
    bytes: int
    largest_bytes: int
    age_least_ms: int


class OfferedLog(NamedTuple):
    """One log of a page, with all that its sender holds of it."""

    log: LogId
    runs: tuple[OfferedRun, ...]


class Offers(NamedTuple):
    """A page of the sender's feed."""

    page: int
    logs: tuple[OfferedLog, ...]
    cursor: bytes
    """For "all up to this page is settled"; empty where only a later page can say so."""
    fresh: bool = False
    """It holds what changed last, ahead of its turn: it bears no cursor and settles by itself."""
    answers: bool = False
    """With it, all that the reader asked for by name is told."""


class AskLogs(NamedTuple):
    """Logs that the reader asks for by name: their offers are to be told again."""

    logs: tuple[LogKey, ...]


class PageRanges(NamedTuple):
    """Ranges of the log at place `log` of an offered page."""

    log: int
    ranges: SeqRanges


class Begun(NamedTuple):
    """The reader has the first `offset` bytes of a wanted blob, if it is that of this hash."""

    log: int
    seq: int
    content_hash: bytes
    offset: int


class Want(NamedTuple):
    """What the reader of a page asks for."""

    page: int
    logs: tuple[PageRanges, ...]
    begun: tuple[Begun, ...] = ()
    credit: int = 0
    """Bytes of blobs in parts that may be sent beyond those allowed before; see pacing.py."""


class BlobPart(NamedTuple):
    """A blob, or the part of it that begins at `offset`."""

    page: int
    log: int
    seq: int
    blob_class: BlobClass
    age_ms: int
    origin: Origin
    content_hash: bytes
    """blake2b-32 of the whole blob; may be empty where that is `data`, which TLS protects."""
    size_bytes: int
    offset: int
    data: bytes


class Blobs(NamedTuple):
    """Blobs that were asked for."""

    parts: tuple[BlobPart, ...]


class Gone(NamedTuple):
    """What was asked for and can no longer be given."""

    page: int
    logs: tuple[PageRanges, ...]


class Settled(NamedTuple):
    """Everything on the page is settled at the reader, durably."""

    page: int


class PeerAt(NamedTuple):
    """A node, and where the sender proved that it listens."""

    node_id: NodeId
    endpoint: Endpoint
    """An IP address without a zone, and a port."""


class Addresses(NamedTuple):
    """Other peers of the sender's, for a reader who does not find them by itself."""

    peers: tuple[PeerAt, ...]


class End(NamedTuple):
    """The session is over; nothing follows."""

    reason: str
    detail: str = ""


Frame = (
    Hello
    | Proof
    | Resume
    | AskSketch
    | Sketch
    | AskDifference
    | Difference
    | Offers
    | AskLogs
    | Want
    | Blobs
    | Gone
    | Settled
    | Addresses
    | End
)
