"""Planted defects of what is durable, what may be shown of it, and what cursors then mean."""

from __future__ import annotations

from typing import Any, Final

from meshbox.storage.embedded import commit as commits
from meshbox.storage.embedded.cursors import CursorMint
from meshbox.storage.embedded.feed import Feed, FeedSlice
from meshbox.storage.embedded.state import Epochs
from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.storage.interface import Deposit, PeerCursor
from meshbox.sync.ordering import CommitOrder
from meshbox.sync.requests import StoreRequests
from tests.simulation.planting import Defects

DURABILITY: Final = Defects()


@DURABILITY.defect("the read barrier is left out", EmbeddedStore, "_barrier")
def _(_: Any) -> Any:
    async def no_barrier(self: EmbeddedStore) -> None: ...

    return no_barrier


@DURABILITY.defect("what is written is called durable before it is", commits.Writer, "_confirm")
def _(_: Any) -> Any:
    async def confirm(self: commits.Writer) -> None:
        assert self._unconfirmed is not None
        self._unconfirmed.set()
        self._unconfirmed = None
        self.durable_change = self._database.counts.change
        self._note_moved()

    return confirm


@DURABILITY.defect("a cursor's view is not looked at", CursorMint, "honoured")
def _(_: Any) -> Any:
    def honoured(self: CursorMint, cursor: bytes, *, change: int) -> Any:
        said = self._parse(cursor)
        known = said is not None and self._ids.get(said.epoch.number) == said.epoch.id
        return said if known else None

    return honoured


@DURABILITY.defect("an epoch is kept by the next opening", Epochs, "succeeded_by")
def _(_: Any) -> Any:
    def succeeded_by(self: Epochs, epoch_id: bytes, *, last_change: int) -> Epochs:
        return self

    return succeeded_by


@DURABILITY.defect("a page of the feed passes what it has no room for", Feed, "read")
def _(read: Any) -> Any:
    def passing(self: Feed, after: int, **bounds: int) -> FeedSlice:
        page: FeedSlice = read(self, after, **bounds)
        return page._replace(through=self._database.counts.change)

    return passing


@DURABILITY.defect("a cursor is durable before its blobs", StoreRequests, "_commit")
def _(commit: Any) -> Any:
    async def cursor_first(self: StoreRequests, request: Any) -> Any:
        if request.cursor is not None:
            cursor = PeerCursor(self._peer, self._epoch_id, self._rule + request.cursor)
            await self._store.commit(Deposit((), (cursor,)))
        return await commit(self, request)

    return cursor_first


@DURABILITY.defect("commits of a session overtake one another", CommitOrder, "run")
def _(_: Any) -> Any:
    async def at_once(self: CommitOrder, commit: Any, *, alone: bool) -> Any:
        return await commit()

    return at_once
