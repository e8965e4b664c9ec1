"""Opens a mailbox that is kept in a Cassandra, as one of its processes.

The data folder has the key and the control socket; the messages are in the keyspace, and so is
whose they are. All processes of one mailbox have the same key: the first one mints it, and whoever
starts more of them copies `identity.key`. The rules of identity/key_file.py hold, with the keyspace
for the store.

    DATA/cassandra   the keyspace: so that no command takes the folder for one that lost its store

The caller holds the folder. Importing this needs the driver.
"""

from __future__ import annotations

from pathlib import Path

from meshbox.core.clock import SystemClock
from meshbox.core.errors import DataFolderFailed, StoreForeign
from meshbox.identity import key_file
from meshbox.node.data_folder import SHARED_NAME, shared_keyspace, store_exists, sync_folder
from meshbox.node.opening import Opened
from meshbox.storage.cassandra.address import Access
from meshbox.storage.cassandra.administering import owner_of
from meshbox.storage.cassandra.store import CassandraStore
from meshbox.storage.openings import Log


async def open_shared(
    folder: Path,
    access: Access,
    *,
    system_clock: SystemClock,
    retention_ms: int,
    trust_clock: bool,
    log: Log,
) -> Opened:
    """The identity and the open store. The caller closes the store.

    `StoreForeign`, `StoreFailed`, `InvalidSetting`, `DataFolderFailed`.
    """
    keyspace = access.address.keyspace
    _check_folder(folder, keyspace)
    owner = await owner_of(access)
    if owner is not None and key_file.load(folder) is None and not key_file.has_draft(folder):
        raise StoreForeign(
            f"the keyspace {keyspace} belongs to the node {owner}, and {folder} has no key",
            hint=f"copy {key_file.KEY_NAME} from the data folder of another of its processes",
        )
    claim = key_file.claim(folder, store_exists=owner is not None)
    if claim.archived is not None:
        # Now: when the rest fails and is tried again, the next try finds no key to archive.
        log("identity.archived", file=str(claim.archived))
    _write_mark(folder, keyspace)
    store = await CassandraStore.open(
        access,
        system_clock=system_clock,
        retention_ms=retention_ms,
        cursor_key=claim.identity.derive("cursor"),
        node_id=claim.identity.node_id,
        trust_clock=trust_clock,
        log=log,
    )
    try:
        key_file.settle(folder)
    except DataFolderFailed:
        await store.close()
        raise
    return Opened(
        claim.identity,
        store,
        claim.minted,
        archived=None,
        adopted=None,
        lost=store.lost,
        leases=store.leases,
    )


def _check_folder(folder: Path, keyspace: str) -> None:
    if store_exists(folder):
        raise StoreForeign(
            f"{folder} has a database of its own",
            hint="begin with a new data folder; as its peer, the old node gives it what it has",
        )
    before = shared_keyspace(folder)
    if before not in (None, keyspace):
        raise StoreForeign(
            f"{folder} belongs to the keyspace {before}, not {keyspace}",
            hint="use another data folder",
        )


def _write_mark(folder: Path, keyspace: str) -> None:
    try:
        (folder / SHARED_NAME).write_text(f"{keyspace}\n", encoding="ascii")
        sync_folder(folder)
    except OSError as error:
        raise DataFolderFailed(f"cannot write to {folder}: {error.strerror}") from error
