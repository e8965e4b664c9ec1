"""Opens a data folder: the key and its database together, made when the folder is new.

The rules about a key and its database are in identity/key_file.py: a key whose database is gone is
archived and another minted. Here is the order that they ask for, and one case more:

**A node that lost what it had acknowledged** (a peer showed a cursor that proves it, design.md
4.11: a restored backup, a cloned folder) must not go on under its name, since clients and peers
remember by it what they need not send again. What the database still holds is good. So `give_up`
archives the key and leaves the file `adopt-store` with the old node id, and the next start mints a
key and lets it adopt the database. A crash between any two steps is told apart:

    adopt-store  identity.key   what the next start does
    -----------  -------------  ------------------------------------------------------------
    -            any            the table of identity/key_file.py
    yes          the old one    archives it (the crash came before that), then the next line
    yes          -              mints another, settles it, then the next line
    yes          a newer one    opens the store, which takes the new node id for the one that
                                the file names, and removes the file

The caller holds the folder (data_folder.py). Keys are read and written without letting the loop
run: there is nothing else yet.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final, NamedTuple

from meshbox.core.clock import SystemClock
from meshbox.core.errors import DataFolderFailed, IdentityLost, InvalidId, StoreFailed, StoreForeign
from meshbox.core.ids import NodeId, parse_node_id
from meshbox.core.retention import RETENTION_MAX_MS
from meshbox.identity import key_file
from meshbox.identity.key import Identity
from meshbox.mailbox.system_clock import OperatingSystemClock
from meshbox.node.data_folder import RESERVE_NAME, shared_keyspace, store_exists, sync_folder
from meshbox.node.database import FolderDatabase
from meshbox.node.space import Space
from meshbox.storage.interface import MailboxStore
from meshbox.storage.leases import Alone, Leases
from meshbox.storage.openings import Log
from meshbox.storage.reopening import ReopeningStore
from meshbox.storage.reserve import Reserve

ADOPT_NAME: Final = "adopt-store"
_MODE: Final = 0o600


class Opened(NamedTuple):
    """An open data folder."""

    identity: Identity
    store: MailboxStore
    minted: bool
    """The identity is new."""
    archived: Path | None
    """Where the key of a lost database went."""
    adopted: NodeId | None
    """The identity whose database this one took over."""
    lost: asyncio.Future[IdentityLost] | asyncio.Future[StoreForeign] | None = None
    """Done when nothing can be made of the database any more, or it is another one: the node has
    to end."""
    leases: Leases = Alone()
    """What only one of the processes of the store may do."""


def _untold(_: str, **__: object) -> None:
    """For those whom errors tell enough."""


async def open_folder(
    folder: Path,
    *,
    system_clock: SystemClock,
    retention_ms: int,
    storage_limit_bytes: int | None = None,
    log: Log = _untold,
) -> Opened:
    """The identity and the open store of `folder`. The caller closes the store.

    The store opens its database again when it failed, and says so to `log`.
    Raises `DataFolderFailed`, `StoreForeign`, `StoreLocked`, `StoreFailed`.
    """
    keyspace = shared_keyspace(folder)
    if keyspace is not None:
        raise StoreForeign(
            f"the messages of {folder} are in the keyspace {keyspace} of a Cassandra",
            hint=f"--store cassandra://HOST/{keyspace}, or another data folder",
        )
    space = Space(folder, limit_bytes=storage_limit_bytes)
    database = FolderDatabase(folder, system_clock, retention_ms, space, log)
    try:
        return await _open_once(database, log)
    except IdentityLost as error:
        # Nothing can be made of the database: as if it were gone (identity/key_file.py).
        log("store.lost", detail=error.message, folder=str(database.set_aside()))
        return await _open_once(database, log)


async def _open_once(database: FolderDatabase, log: Log) -> Opened:
    folder = database.folder
    reserve = Reserve(folder / RESERVE_NAME, size_bytes=database.space.aside_bytes)
    adopted = _former_owner(folder)
    if adopted is not None:
        claim = _replace_key(folder, adopted)
    else:
        claim = key_file.claim(folder, store_exists=store_exists(folder))
    try:
        store = await database.open(claim.identity, adopted_from=adopted)
    except StoreFailed:
        # A full disk is the likeliest cause; with the reserve given up it may open.
        if not reserve.make_way():
            raise
        store = await database.open(claim.identity, adopted_from=adopted)
    try:
        key_file.settle(folder)
        if adopted is not None:
            _remove_marker(folder)
    except DataFolderFailed:
        await store.close()
        raise
    lasting = ReopeningStore(
        store,
        reopen=lambda failure: database.open_again(claim.identity, failure),
        disk=reserve,
        log=log,
    )
    return Opened(claim.identity, lasting, claim.minted, claim.archived, adopted, lasting.lost)


async def node_id_of(folder: Path) -> NodeId:
    """The node id of a folder that nobody else holds; a new folder gets its key and its store.

    One that has both is only read: opening the store would begin a new epoch.
    """
    is_complete = store_exists(folder) or shared_keyspace(folder) is not None
    if _former_owner(folder) is None and is_complete:
        identity = key_file.load(folder)
        if identity is not None:
            return identity.node_id
    clock = OperatingSystemClock.from_environment()
    opened = await open_folder(folder, system_clock=clock, retention_ms=RETENTION_MAX_MS)
    await opened.store.close()
    return opened.identity.node_id


def give_up(folder: Path, node_id: NodeId, reason: str) -> Path:
    """Sets aside the key of `node_id` for good; where it went. The next start makes another.

    To be called when the store is closed. `DataFolderFailed`.
    """
    _write_marker(folder, node_id)
    return key_file.archive(folder, reason)


def _replace_key(folder: Path, lost: NodeId) -> key_file.Claim:
    """The key that is to adopt the database of `lost`: there already, or made now."""
    identity = key_file.load(folder)
    if identity is not None and identity.node_id == lost:
        key_file.archive(folder, "it acknowledged messages that its database no longer had")
        identity = None
    minted = identity is None
    if minted:
        # No key is there, so this mints a draft and archives nothing.
        key_file.claim(folder, store_exists=False)
        key_file.settle(folder)
    return key_file.claim(folder, store_exists=True)._replace(minted=minted)


def _former_owner(folder: Path) -> NodeId | None:
    try:
        text = (folder / ADOPT_NAME).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise DataFolderFailed(f"cannot read {folder / ADOPT_NAME}: {error}") from error
    try:
        return parse_node_id(text)
    except InvalidId as error:
        raise DataFolderFailed(f"{folder / ADOPT_NAME} names no node: {error.message}") from error


def _write_marker(folder: Path, node_id: NodeId) -> None:
    """Complete under its name, or not there."""
    draft = folder / f"{ADOPT_NAME}.new"
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _MODE), "w") as file:  # noqa: PTH123
            file.write(f"{node_id}\n")
            file.flush()
            os.fsync(file.fileno())
        draft.rename(folder / ADOPT_NAME)
        sync_folder(folder)
    except OSError as error:
        raise DataFolderFailed(f"cannot write {draft}: {error.strerror}") from error


def _remove_marker(folder: Path) -> None:
    try:
        (folder / ADOPT_NAME).unlink()
        sync_folder(folder)
    except OSError as error:
        raise DataFolderFailed(f"cannot remove {folder / ADOPT_NAME}: {error.strerror}") from error
