"""What really happened, which no node knows: when blobs began, what cursors covered, what broke.

Shared by all checks of a world. A broken promise is noted, not raised: it may be found in the
midst of a node's own work.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from meshbox.core.ids import BlobClass, LogKey
from meshbox.core.inventory import LogRecord
from meshbox.core.retention import BUCKET_MS, RETENTION_MAX_MS
from tests.simulation.clocks import TrueTime

Place = tuple[LogKey, int]


UPLOADS_MAX = 3
"""Uploads of one blob to one mailbox while nothing else happens: it may be refused while others
come, and go for room once more."""


class Kept(NamedTuple):
    """A blob that a node said it holds."""

    content_hash: bytes
    blob_class: BlobClass
    stored_ms: int = 0
    """True time when it was stored there."""


class Holder(Protocol):
    """A store."""

    def records(self) -> dict[LogKey, LogRecord]: ...


class Birth(NamedTuple):
    """When phones deposited one content, at whichever mailbox."""

    first_ms: int
    last_ms: int


class Covered(NamedTuple):
    """What a cursor covers: records of its owner, as of its minting."""

    owner: str
    records: tuple[LogRecord, ...]


@dataclass
class Book:
    """What was promised of one disk. It is copied with the disk."""

    kept: dict[Place, Kept] = field(default_factory=dict)
    expired: dict[Place, BlobClass] = field(default_factory=dict)
    evicted: set[LogKey] = field(default_factory=set)
    """Logs of which anything ever went for room: they are asked for by name."""
    evictions: int = 0
    """How many blobs went for room, by the node's own count, when it was last looked at."""

    def copy(self) -> Book:
        return Book(dict(self.kept), dict(self.expired), set(self.evicted), self.evictions)


class Truth:
    """Of one world."""

    def __init__(self, time: TrueTime, *, is_calm: bool) -> None:
        self.time = time
        self.is_calm = is_calm
        """Nothing goes wrong, so nothing need be sent twice."""
        self.brought: set[tuple[str, Place]] = set()
        """Where phones brought what."""
        self.broken: list[str] = []
        self.births: dict[tuple[LogKey, int, bytes], Birth] = {}
        self._coming: Counter[tuple[LogKey, int, bytes]] = Counter()
        """What phones bring, and were not answered yet."""
        self.cursors: dict[bytes, Covered] = {}
        self.crowded: set[LogKey] = set()
        """Logs that once were in as many pieces as a record may have: ranges leave seen there."""
        self.copied: set[str] = set()
        """Machines whose disk was restored or cloned: they may have lost what they promised."""
        self.unmeasured_ms = 0
        """By how much all clocks together may lengthen a life: time that none of them counted."""
        self.ahead_ms = 0
        """By how much all clocks together may shorten one."""
        self.is_at_rest = False
        """Nothing happens any more but what nodes and phones do by themselves."""
        self._uploads: Counter[tuple[str, Place]] = Counter()
        self._stores: dict[str, Holder] = {}
        self._books: dict[str, Book] = {}
        self._began: dict[Place, int] = {}
        self._clocks: dict[str, tuple[int, int]] = {}

    def breaks(self, promise: str, detail: str) -> None:
        self.broken.append(f"{promise}: {detail}")

    def deposited(self, machine: str, key: LogKey, seq: int, content_hash: bytes) -> None:
        """A phone brings a blob to a mailbox now."""
        self.brought.add((machine, (key, seq)))
        now_ms = self.time.now_ms()
        before = self.births.get((key, seq, content_hash))
        first_ms = before.first_ms if before else now_ms
        self.births[key, seq, content_hash] = Birth(first_ms, now_ms)
        self._coming[key, seq, content_hash] += 1
        self._began.setdefault((key, seq), now_ms)

    def answered(self, key: LogKey, seq: int, content_hash: bytes) -> None:
        """The phone has its answer, or gets none: until then what it brings may have become older
        by nothing, since its life begins when its turn comes."""
        birth = self.births[key, seq, content_hash]
        self.births[key, seq, content_hash] = birth._replace(last_ms=self.time.now_ms())
        self._coming[key, seq, content_hash] -= 1

    def born_ms(self, key: LogKey, seq: int, content_hash: bytes) -> int:
        """When the life of what phones brought began at the latest."""
        is_coming = self._coming[key, seq, content_hash] > 0
        return self.time.now_ms() if is_coming else self.births[key, seq, content_hash].last_ms

    def uploaded(self, machine: str, places: Iterable[Place]) -> None:
        """A phone brings what a mailbox said it misses."""
        for place in places if self.is_at_rest else ():
            self._uploads[machine, place] += 1
            if self._uploads[machine, place] > UPLOADS_MAX:
                self.breaks("uploaded without end", f"blob {place[1]} to {machine}")

    def seen(self, machine: str, store: Holder, book: Book) -> None:
        """A machine runs with that."""
        self._stores[machine], self._books[machine] = store, book

    def evicted_of(self, machine: str) -> set[LogKey]:
        """The logs of which anything ever went for room at a machine."""
        return self._books[machine].evicted

    def holds(self, machine: str, place: Place, offered: BlobClass) -> bool:
        """Whether a blob is at a machine, or was when it last ran, as it was `offered`: what a
        better one took the place of is gone, and that one is offered by a later change."""
        record = self._stores[machine].records().get(place[0])
        run = record.run_of(place[1]) if record is not None else None
        return run is not None and run.blob_class <= offered

    def is_old(self, key: LogKey, seq: int) -> bool:
        """Whether a blob may be due somewhere, for all that nodes know of its age."""
        began_ms = self._began.get((key, seq), self.time.now_ms())
        unsure_ms = 2 * BUCKET_MS + self.unmeasured_ms + self.ahead_ms
        return self.time.now_ms() - began_ms >= RETENTION_MAX_MS - unsure_ms

    def clock_seen(self, machine: str, node_ms: int) -> int:
        """How many milliseconds the node time of a machine is behind what is true."""
        behind_ms = self.time.now_ms() - node_ms
        least, most = self._clocks.get(machine, (0, 0))
        if not least <= behind_ms <= most:
            self._clocks[machine] = min(least, behind_ms), max(most, behind_ms)
            self.ahead_ms = -sum(least for least, _ in self._clocks.values())
            self.unmeasured_ms = sum(most for _, most in self._clocks.values())
        return behind_ms
