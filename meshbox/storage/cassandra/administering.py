"""What is done to a keyspace as a whole: made, asked whose it is, begun anew after a restore."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from meshbox.core.ids import NodeId
from meshbox.storage.cassandra.address import Access
from meshbox.storage.cassandra.connection import Connection
from meshbox.storage.cassandra.ownership import Ownership
from meshbox.storage.cassandra.schema import (
    check_version,
    create_keyspace,
    create_tables,
    read_version,
)
from meshbox.storage.cassandra.statements import Statements
from meshbox.storage.interface import Epoch


async def initialise(access: Access, replication: Mapping[str, int]) -> None:
    """Makes the keyspace, unless it is there, and its tables, or migrates them.

    Again does no harm. The replication of a keyspace that is there stays. `StoreForeign` for one
    of a newer schema, `StoreFailed`, `InvalidSetting`.
    """
    async with _connected(access, keyspace=None) as connection:
        await create_keyspace(
            connection, access.address.keyspace, replication, datacenter=access.datacenter
        )
    async with _connected(access, keyspace=access.address.keyspace) as connection:
        await create_tables(connection)


async def owner_of(access: Access) -> NodeId | None:
    """The node that a keyspace belongs to; None before any."""
    async with _ownership(access) as ownership:
        return await ownership.owner()


async def begin_epoch(access: Access) -> Epoch:
    """After a restore from a backup: no cursor of before is honoured, so peers compare anew.

    No process may have the keyspace open.
    """
    async with _ownership(access) as ownership:
        return await ownership.begin_epoch()


@asynccontextmanager
async def _ownership(access: Access) -> AsyncIterator[Ownership]:
    async with _connected(access, keyspace=access.address.keyspace) as connection:
        check_version(await read_version(connection))
        yield Ownership(connection, await Statements.prepare(connection))


@asynccontextmanager
async def _connected(access: Access, *, keyspace: str | None) -> AsyncIterator[Connection]:
    connection = await Connection.open(access, keyspace=keyspace)
    try:
        yield connection
    finally:
        await connection.close()
