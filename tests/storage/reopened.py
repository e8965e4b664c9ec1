"""A store that opens again, on a disk in memory that refuses what the test says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from meshbox.core.errors import MeshboxError, StoreFailed
from meshbox.storage.interface import MailboxStore
from meshbox.storage.reopening import ReopeningStore
from tests.contract.harness import MemoryHarness
from tests.waiting import eventually


class ManualDisk:
    """A disk that takes writes when the test says so."""

    def __init__(self) -> None:
        self.takes_writes = True
        self.reserve_made = 0

    def make(self) -> bool:
        self.reserve_made += 1
        return True

    def make_way(self) -> bool:
        return self.takes_writes


class Scene:
    """A store on a disk in memory, and what was told of it."""

    def __init__(self) -> None:
        self.harness = MemoryHarness()
        self.disk = ManualDisk()
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.failures: list[StoreFailed] = []
        self.refusals: list[MeshboxError] = []

    async def begin(self) -> ReopeningStore:
        first = await self.harness.open()
        self.store = ReopeningStore(
            first, reopen=self._reopen, disk=self.disk, log=lambda e, **f: self.told.append((e, f))
        )
        return self.store

    async def _reopen(self, failure: StoreFailed) -> MailboxStore:
        self.failures.append(failure)
        if self.refusals:
            raise self.refusals.pop(0)
        self.harness._store = None
        return await self.harness.open()

    def events(self) -> list[str]:
        return [event for event, _ in self.told]

    async def whole_again(self) -> None:
        await eventually(lambda: self.store.trouble is None)


@asynccontextmanager
async def reopened() -> AsyncIterator[Scene]:
    """A scene with its store, which is closed at the end."""
    made = Scene()
    await made.begin()
    yield made
    await made.store.close()
