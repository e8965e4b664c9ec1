"""`MailboxStore`: what every storage engine promises, and the values that cross the seam.

Rules that every engine keeps and `tests/contract/` proves on each of them:

- **Durable when it returns.** `commit`, `sweep_slice` and every other change answer only after
  the disk confirmed. So a caller may acknowledge what `commit` returned.
- **Read barrier** (design.md 5). A read answers only after everything it could see is durable;
  it does not read again. Nothing that a power cut takes back was ever shown.
- **All or nothing.** A `Deposit` is stored wholly or not at all, also across a crash.
- **One test for age.** `Retention.due`, with the store's own node time, decides in every
  operation; what is due is neither shown, offered nor stored.
- **The feed.** Every change of a log moves it to the feed's end. Reading pages until `more` is
  false shows every log that holds something; a cursor never passes what was not shown.

Errors: `StoreBusy` (too much waits; nothing was done), `StoreFailed` (disk; nothing was
acknowledged), `StoreDamaged` (a `StoreFailed`: what is stored is damaged), `StoreFull`,
`TooManyRanges`, `IdentityLost`. A store belongs to one event loop.

Over 300 lines: one contract, most of it what its methods promise.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple, Protocol

from meshbox.core.errors import StoreFailed
from meshbox.core.ids import BlobClass, LogId, LogKey, Namespace, NodeId, Origin, Topic
from meshbox.core.inventory import LogRecord
from meshbox.core.limits import PAGE_RUNS_MAX
from meshbox.core.ranges import SeqRanges
from meshbox.core.retention import Retention


class NewBlob(NamedTuple):
    """A blob to store."""

    log: LogId
    seq: int
    blob_class: BlobClass
    stamp_ms: int
    """Node time of this store when the blob was new: its age is counted from here."""
    origin: Origin
    data: bytes
    earlier_ms: int = 0
    """Age beyond what the stamp tells (`Retention.earlier_ms`), kept and read back with it."""


class PeerCursor(NamedTuple):
    """How far this node has settled a peer's feed, in the peer's own opaque words."""

    peer: NodeId
    epoch_id: bytes
    """The peer's epoch (from its hello) in which it minted the cursor."""
    cursor: bytes
    passed: bool = False
    """Something offered since the cursor before was passed because there was no room for it."""
    room_bytes: int = 0
    """The footprint of the smallest blob that was `passed`: it goes back when there is room for
    that. 0: not known."""
    returns: int = 0
    """`MailboxStore.returns` when the session began: of a peer whose cursor went back since then
    it is not kept."""


class Returned(NamedTuple):
    """Whose cursors went back to before what was passed for lack of room."""

    returns: int
    peers: frozenset[NodeId]


class PeerRefill(NamedTuple):
    """How far a peer was asked for the logs of the refill list."""

    peer: NodeId
    epoch_id: bytes
    """As in `PeerCursor`."""
    through: bytes
    """As `RefillPage.through`."""
    passed: bool = False
    """Something offered since the last of these was passed because there was no room for it. A peer
    is asked for a log by name once, and its cursor is behind what it then offers: so there is to be
    no cursor when there is room again."""
    room_bytes: int = 0
    """As in `PeerCursor`."""


class Note(NamedTuple):
    """What a part of the node remembers of a log, in its own opaque words: one a keeper and log.

    Kept for the retention from when it was last written, and may be forgotten then.
    """

    keeper: bytes
    """`NOTE_KEEPER_BYTES` that say whose it is."""
    log: LogKey
    text: bytes
    """At most `NOTE_BYTES_MAX`."""


class Deposit(NamedTuple):
    """One change: blobs, and the cursors and notes that are true once these are stored."""

    blobs: Sequence[NewBlob] = ()
    cursors: Sequence[PeerCursor] = ()
    refills: Sequence[PeerRefill] = ()
    notes: Sequence[Note] = ()
    whole: bool = True
    """Refuse the whole deposit (`TooManyRanges`, `StoreFull`) rather than a part of it: so a
    client's request. A peer's blobs (False) are answered one by one.

    A client's are as old when they are stored as at the call: that a machine slept between must not
    shorten what is acknowledged. (In a Cassandra, where node time is the wall clock, they are
    as old as it says.)"""


class Outcome(Enum):
    """What became of one blob of a deposit."""

    STORED = "stored"
    KNOWN = "known"
    """The same bytes are held; their age is not renewed."""
    REPLACED = "replaced"
    """It was verified and took an opaque blob's place."""
    CONFLICT = "conflict"
    """Other bytes as good are held and stay; counted."""
    EXPIRED = "expired"
    """Due, or it had its week here already; not stored."""
    NO_ROOM = "no_room"
    """It would have been the first to go; only where the deposit is not `whole`."""
    REFUSED = "refused"
    """It would have been the highest of too many ranges; only where the deposit is not `whole`."""


class StoredBlob(NamedTuple):
    """A blob as read."""

    log: LogId
    seq: int
    blob_class: BlobClass
    stamp_ms: int
    origin: Origin
    content_hash: bytes
    """blake2b-32 of the bytes."""
    size_bytes: int
    data: bytes | None
    """None when the blob is larger than the read's `whole_bytes_max`: see `read_part`."""
    earlier_ms: int = 0
    """As in `NewBlob`."""


class BlobPage(NamedTuple):
    """Part of what was asked for, in the order asked, ascending within a log."""

    blobs: tuple[StoredBlob, ...]
    more: bool
    """Something asked for was left out because the page was full."""


class FeedPage(NamedTuple):
    """Logs that changed, in the order of their last change."""

    records: tuple[LogRecord, ...]
    cursor: bytes
    """For "everything up to here is settled by you": `feed` and `honours` take it back."""
    view: int
    """The store's `change` when the page was read."""
    more: bool


class RefillPage(NamedTuple):
    """Logs that a peer is to be asked for by name, the oldest entries first."""

    logs: tuple[LogKey, ...]
    """Each once, one at least."""
    through: bytes
    """For `PeerRefill`, once the peer has answered."""


class Epoch(NamedTuple):
    """One opening of the store."""

    number: int
    id: bytes
    """16 random bytes."""


class Statistics(NamedTuple):
    """Exact counts, durable with the changes that moved them."""

    logs: int
    blobs: int
    bytes: int
    """Bytes of the blobs held, without overhead."""
    used_bytes: int
    """Bytes of disk that the database takes."""
    footprint_bytes: int
    """What the allocation is compared with (core/room.py)."""
    conflicts: int
    expired: int
    evicted: int
    relayed: int


class SweepSlice(NamedTuple):
    """What one slice of the sweep did."""

    blobs: int
    bytes: int
    more: bool
    forgotten: int = 0
    """Logs that were empty for so long that nothing is known of them any more."""


class MailboxStore(Protocol):
    """Holds blobs, knows what it has seen, and tells what changed."""

    @property
    def epoch(self) -> Epoch:
        """The current opening."""

    @property
    def writer_id(self) -> bytes:
        """16 bytes that nothing else has which ever writes to this store: of this opening, and of
        this process where several share a store."""

    @property
    def change(self) -> int:
        """The feed's counter, including changes that are not durable yet."""

    @property
    def durable_change(self) -> int:
        """The feed's counter as the disk confirmed it."""

    @property
    def deposited_change(self) -> int:
        """The feed's counter when a client's deposit (`whole`) changed something last, in this
        opening: it may not be durable yet. `durable_change` where that is not told apart."""

    @property
    def retention(self) -> Retention:
        """The test for age, as of now."""

    @property
    def trouble(self) -> StoreFailed | None:
        """Why nothing can be stored any more, or just now; None when all is well.

        Reads go on as long as all that they can see is durable.
        """

    def now_ms(self) -> int:
        """Node time (design.md 4.5)."""

    async def commit(self, deposit: Deposit) -> tuple[Outcome, ...]:
        """Stores a deposit; an outcome a blob, in order, once all of it is durable.

        Deposits without large blobs take effect in the order of the calls.
        """

    async def logs(self, logs: Sequence[LogId]) -> tuple[LogRecord | None, ...]:
        """The records of `logs`, in order; None for a log never seen, or forgotten."""

    async def by_key(self, keys: Sequence[LogKey]) -> tuple[LogRecord | None, ...]:
        """The records of the logs of `keys`, in order; None for a log never seen, or forgotten."""

    async def topic(self, namespace: Namespace, topic: Topic) -> tuple[LogRecord, ...]:
        """The records of all logs of a topic, ordered by author (UTF-8 bytes)."""

    async def all_logs(self, after: LogKey | None, *, logs_max: int) -> dict[LogKey, LogRecord]:
        """The records of all logs by their keys, ascending, a page after the key `after`."""

    async def read(
        self,
        wanted: Sequence[tuple[LogId, SeqRanges]],
        *,
        blobs_max: int,
        bytes_max: int,
        whole_bytes_max: int,
    ) -> BlobPage:
        """The blobs held among `wanted`, at least one when any is; what is not held is left out.

        A blob larger than `whole_bytes_max` comes without its data, and counts as nothing
        against `bytes_max`.
        """

    async def read_part(self, blob: StoredBlob, *, offset: int, size: int) -> bytes | None:
        """`size` bytes of a blob from `offset`; None when it is no longer held."""

    async def feed(
        self, after: bytes | None, *, logs_max: int, runs_max: int = PAGE_RUNS_MAX
    ) -> FeedPage:
        """The logs changed since the cursor `after` (None: all), at most `logs_max`.

        The page ends before the log that would bring its runs above `runs_max`, but has one log
        at least.

        `after` must be a cursor that this store `honours`.
        """

    def cursor_now(self) -> bytes:
        """A cursor for a reader that settled everything durable so far by other means than
        `feed`."""

    def honours(self, cursor: bytes) -> bool:
        """Whether `feed` can go on from `cursor`.

        `IdentityLost` when the cursor proves that this store lost changes that it once
        acknowledged: a right MAC with an epoch above ours, our epoch number with another id, or
        a view above its epoch's last change.
        """

    async def wait_beyond(self, change: int) -> int:
        """Returns `durable_change` as soon as it is above `change`."""

    async def cursors(self, peer: NodeId) -> tuple[PeerCursor, ...]:
        """The newest cursor of each epoch of a peer that is kept, newest epoch first."""

    async def notes(self, keeper: bytes, logs: Sequence[LogKey]) -> tuple[bytes | None, ...]:
        """What `keeper` last noted of `logs`, in order; None where nothing is kept."""

    @property
    def floor(self) -> int | None:
        """When there is no room: the lowest bucket of which anything would be stored and stay."""

    @property
    def returns(self) -> int:
        """How often cursors went back in this opening (see `keep_room`)."""

    async def wait_returned(self, since: int) -> Returned:
        """Waits until `returns` is above `since`; the peers whose cursors went back after that.

        Sessions with them are to begin anew.
        """

    async def keep_room(self) -> bool:
        """A slice of what room asks for (design.md 4.7); whether to call again.

        Above the allocation something goes. When there is room again, evicted numbers leave seen,
        newest first, and their logs go on the refill list; cursors that passed something for lack
        of room go back to before it, once the smallest of it has room.
        """

    async def ask_for(self, logs: Sequence[LogKey]) -> None:
        """Puts logs on the refill list: every peer is to be asked for them by name, once.

        Of more than `REFILL_LOGS_MAX` entries the oldest go; the sweep removes those that are as
        old as the retention.
        """

    async def refill(self, peer: NodeId, *, logs_max: int) -> RefillPage:
        """The logs of the refill list that `peer` was not asked for yet, a page; waits for one."""

    async def sweep_slice(self) -> SweepSlice:
        """Frees a bounded part of what is due, then forgets logs that are empty for too long
        (core/forgetting.py), unless the engine does so by itself; call again while `more`."""

    def count_relayed(self, blobs: int) -> None:
        """Adds to `Statistics.relayed`; durable with the next commit."""

    async def statistics(self) -> Statistics:
        """Counts as of now."""

    async def flush_reading(self) -> None:
        """Makes the clock's reading durable (design.md 4.5: every minute)."""

    async def close(self) -> None:
        """Waits for what is being committed, writes a last reading, and lets go of the disk."""


__all__ = [
    "BlobPage",
    "Deposit",
    "Epoch",
    "FeedPage",
    "MailboxStore",
    "NewBlob",
    "Note",
    "Outcome",
    "PeerCursor",
    "PeerRefill",
    "RefillPage",
    "Returned",
    "Statistics",
    "StoredBlob",
    "SweepSlice",
]
