"""Opens the database of a data folder, mended when it is damaged.

    DATA/mend-store   while a mending is under way: from before the database is repaired until what
                      came out is whole again. So a crash in between is followed by the whole
                      mending again, and never by a database that was repaired and not rebuilt.
    DATA/store.lost   a database of which nothing could be made; the next one takes its place

What is mended, and what is lost by it, is in storage/rocksdb/repairing.py and
storage/embedded/rebuilding.py. The caller holds the folder.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from meshbox.core.clock import SystemClock
from meshbox.core.errors import DataFolderFailed, IdentityLost, StoreDamaged, StoreFailed
from meshbox.core.ids import NodeId
from meshbox.identity.key import Identity
from meshbox.mailbox.system_clock import BUILD_DATE_MS
from meshbox.node.data_folder import STORE_NAME, store_exists, sync_folder
from meshbox.node.space import Space
from meshbox.storage.embedded.rebuilding import rebuild
from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.storage.keyvalue import KeyValue
from meshbox.storage.openings import Log
from meshbox.storage.rocksdb import open_rocksdb, repair_rocksdb

MEND_NAME: Final = "mend-store"
LOST_NAME: Final = "store.lost"
EPOCH_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class FolderDatabase:
    """The database of `folder`: what all its openings have in common."""

    folder: Path
    system_clock: SystemClock
    retention_ms: int
    space: Space
    log: Log

    async def open(self, identity: Identity, *, adopted_from: NodeId | None) -> EmbeddedStore:
        """The database, open, made when there is none.

        `StoreForeign`, `StoreLocked`, `StoreFailed`; `IdentityLost` when nothing can be made of it.
        """
        if not (self.folder / MEND_NAME).exists():
            try:
                return await self._open(self._connect(), identity, adopted_from)
            except StoreDamaged as error:
                self.log("store.failed", reason=error.code, detail=error.message)
                self._note_damage()
        return await self._open_mended(identity, adopted_from)

    async def open_again(self, identity: Identity, failure: StoreFailed) -> EmbeddedStore:
        """The same after a failure: what was there must still be there."""
        if not store_exists(self.folder):
            raise StoreFailed(
                f"the database in {self.folder} is gone", hint="is its disk still mounted?"
            )
        if isinstance(failure, StoreDamaged):
            self._note_damage()
        return await self.open(identity, adopted_from=None)

    def set_aside(self) -> Path:
        """Puts the database away, so that the next start makes another; where it went."""
        lost = self.folder / LOST_NAME
        try:
            if lost.exists():
                shutil.rmtree(lost)
            if self._path.exists():
                self._path.rename(lost)
            (self.folder / MEND_NAME).unlink(missing_ok=True)
        except OSError as error:
            raise DataFolderFailed(f"cannot move {self._path}: {error.strerror}") from error
        return lost

    @property
    def _path(self) -> Path:
        return self.folder / STORE_NAME

    def _connect(self) -> KeyValue:
        return open_rocksdb(self._path, disk_bytes_max=self.space.limit_bytes)

    async def _open(
        self, key_value: KeyValue, identity: Identity, adopted_from: NodeId | None
    ) -> EmbeddedStore:
        return await EmbeddedStore.open(
            key_value,
            system_clock=self.system_clock,
            retention_ms=self.retention_ms,
            cursor_key=identity.derive("cursor"),
            node_id=identity.node_id,
            adopted_from=adopted_from,
            epoch_id=secrets.token_bytes(EPOCH_ID_BYTES),
            build_date_ms=BUILD_DATE_MS,
            allocation=self.space.allocation,
            free_bytes=self.space.free_bytes,
        )

    async def _open_mended(self, identity: Identity, adopted_from: NodeId | None) -> EmbeddedStore:
        try:
            return await self._mend(identity, adopted_from)
        except StoreDamaged:
            pass  # Met since it was repaired, on a disk that goes on failing: once more.
        try:
            return await self._mend(identity, adopted_from)
        except StoreDamaged as error:
            raise IdentityLost(
                f"the database is damaged and cannot be mended: {error.message}",
                hint="start again: it becomes a new node, and gets from its peers what they have",
            ) from error

    async def _mend(self, identity: Identity, adopted_from: NodeId | None) -> EmbeddedStore:
        files = await asyncio.to_thread(repair_rocksdb, self._path)
        key_value = self._connect()
        try:
            rebuilt = await rebuild(key_value, epoch_id=secrets.token_bytes(EPOCH_ID_BYTES))
        except BaseException:
            await key_value.close()
            raise
        store = await self._open(key_value, identity, adopted_from)
        (self.folder / MEND_NAME).unlink(missing_ok=True)
        self.log("store.mended", files=list(files), **rebuilt._asdict())
        return store

    def _note_damage(self) -> None:
        """On disk before anything is repaired."""
        try:
            (self.folder / MEND_NAME).touch()
            sync_folder(self.folder)
        except OSError as error:
            raise DataFolderFailed(
                f"cannot write to {self.folder}: {error.strerror}",
                hint="the database is damaged, and mending it needs some space",
            ) from error
