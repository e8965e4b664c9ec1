"""The embedded store, looked over the shoulder: every answer that leaves it is checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from meshbox.core import room
from meshbox.core.ids import LogId, LogKey
from meshbox.core.inventory import LogRecord
from meshbox.core.limits import PAGE_RUNS_MAX
from meshbox.core.ranges import SeqRanges
from meshbox.core.retention import RETENTION_MAX_MS, bucket_of
from meshbox.core.room import Allocation
from meshbox.storage.embedded.database import Database
from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.storage.interface import BlobPage, Deposit, FeedPage, Outcome
from meshbox.storage.keyvalue import Family
from tests.simulation.disk import SlowKeyValue


class Watch(Protocol):
    """Who looks: called when an answer leaves the store."""

    def committed(
        self,
        store: CheckedStore,
        deposit: Deposit,
        outcomes: Sequence[Outcome],
        *,
        due_through: int,
    ) -> None: ...

    def blobs_shown(self, store: CheckedStore, page: BlobPage) -> None: ...

    def feed_shown(self, store: CheckedStore, page: FeedPage) -> None: ...

    def cursor_minted(self, store: CheckedStore, cursor: bytes) -> None: ...


class CheckedStore(EmbeddedStore):
    """An `EmbeddedStore` on a `SlowKeyValue`."""

    watch: Watch

    def watched_by(self, watch: Watch) -> CheckedStore:
        """Itself; to be called before anything else."""
        self.watch = watch
        return self

    @property
    def key_value(self) -> SlowKeyValue:
        assert isinstance(self._key_value, SlowKeyValue)
        return self._key_value

    @property
    def database(self) -> Database:
        return self._database

    def as_shown(self, record: LogRecord | None) -> LogRecord | None:
        """As sessions see it, also before the sweep was there: without what is due, and where
        nothing else is held, with gaps closed between what was (design.md 4.7)."""
        if record is None:
            return None
        return self.database.shown(record, due_through=self.database.time.due_through())

    def allow(self, capacity_bytes: int | None) -> None:
        """From now on so much may be stored, as when others give or take the disk's space."""
        self._disk._allocation = Allocation(capacity_bytes)

    @property
    def is_limited(self) -> bool:
        """Whether it may not store everything."""
        return self._disk._allocation.capacity_bytes is not None

    def has_room_for(self, size_bytes: int) -> bool:
        """Whether there is room, by the words of the rule, and for a blob of that size too."""
        capacity_bytes = self._disk._allocation.capacity_bytes
        if capacity_bytes is None:
            return True
        coming_bytes = room.room_bytes(size_bytes)
        used_bytes = self._database.counts.used_bytes
        return used_bytes + coming_bytes <= capacity_bytes - capacity_bytes // room.FREE_AGAIN

    def change_of(self, cursor: bytes) -> int:
        """What a cursor of this store says is settled."""
        said = self._mint._parse(cursor)
        assert said is not None
        return said.change

    def records(self) -> dict[LogKey, LogRecord]:
        """Everything visible, as of now."""
        keys = [LogKey(key) for key in self.key_value._visible[Family.LOG].keys]
        return dict(zip(keys, self._database.records_held(keys), strict=True))

    async def commit(self, deposit: Deposit) -> tuple[Outcome, ...]:
        due_through = self._due_through()
        outcomes = await super().commit(deposit)
        self.watch.committed(self, deposit, outcomes, due_through=due_through)
        return outcomes

    def _due_through(self) -> int:
        """The newest bucket that is due now, by the words of the rule."""
        oldest_ms = self.now_ms() - RETENTION_MAX_MS
        return max(bucket_of(oldest_ms), self._database.counts.swept)

    async def read(
        self,
        wanted: Sequence[tuple[LogId, SeqRanges]],
        *,
        blobs_max: int,
        bytes_max: int,
        whole_bytes_max: int,
    ) -> BlobPage:
        page = await super().read(
            wanted, blobs_max=blobs_max, bytes_max=bytes_max, whole_bytes_max=whole_bytes_max
        )
        self.watch.blobs_shown(self, page)
        return page

    async def feed(
        self, after: bytes | None, *, logs_max: int, runs_max: int = PAGE_RUNS_MAX
    ) -> FeedPage:
        page = await super().feed(after, logs_max=logs_max, runs_max=runs_max)
        self.watch.feed_shown(self, page)
        return page

    def cursor_now(self) -> bytes:
        cursor = super().cursor_now()
        self.watch.cursor_minted(self, cursor)
        return cursor
