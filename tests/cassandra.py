"""Where tests run their Cassandra, as whom they use it, and how they get a keyspace."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from meshbox.storage.cassandra.address import Access, ClusterAddress
from meshbox.storage.cassandra.connection import Connection
from meshbox.storage.cassandra.schema import TABLES, create_keyspace, create_tables
from scripts.clusters.artifacts import check_machine, fetch
from scripts.clusters.cluster import Cluster
from scripts.clusters.configuration import CQL_PORT
from scripts.clusters.faults import ClusterImpossible

FOLDER: Final = Path(__file__).parents[1] / ".cassandra" / f"tests-{os.getpid()}"
USER: Final = "cassandra"
PASSWORD: Final = "cassandra"
DATACENTER: Final = "datacenter1"
RIGHTS: Final = ("SELECT", "MODIFY")
"""What a process needs of a keyspace; docs/cassandra.md says so."""


def some_network() -> str:
    """A loopback network that most likely nobody else uses: other worktrees run the same tests."""
    chance = random.SystemRandom()
    return f"127.{chance.randrange(1, 255)}.{chance.randrange(256)}"


def require_cassandra() -> None:
    """Skips the test where the server cannot be run."""
    try:
        check_machine()
        fetch()
    except ClusterImpossible as error:
        pytest.skip(f"Cassandra {error}")


def access(cluster: Cluster, keyspace: str) -> Access:
    """How a keyspace of a cluster is used."""
    contacts = tuple((state.address, CQL_PORT) for state in cluster.states())
    password_file = cluster.folder / "password"
    password_file.write_text(PASSWORD)
    return Access(ClusterAddress(contacts, keyspace), DATACENTER, USER, password_file)


async def create(access: Access, *, copies: int = 1) -> None:
    """Makes a keyspace and its tables."""
    connection = await Connection.open(access, keyspace=None)
    try:
        keyspace = access.address.keyspace
        await create_keyspace(connection, keyspace, {"": copies}, datacenter=DATACENTER)
    finally:
        await connection.close()
    connection = await Connection.open(access, keyspace=access.address.keyspace)
    try:
        await create_tables(connection)
    finally:
        await connection.close()


async def define(access: Access, *texts: str) -> None:
    """Sends statements such as CREATE ROLE or GRANT."""
    connection = await Connection.open(access, keyspace=None)
    try:
        for text in texts:
            await connection.define(text)
    finally:
        await connection.close()


async def replicate(access: Access, copies: int) -> None:
    """Has the keyspace say how many copies there are, whether or not there are servers for them:
    as if some were down."""
    keyspace = access.address.keyspace
    replication = f"{{'class': 'NetworkTopologyStrategy', '{DATACENTER}': {copies}}}"
    await define(access, f"ALTER KEYSPACE {keyspace} WITH replication = {replication}")


@asynccontextmanager
async def role(access: Access, password_file: Path) -> AsyncIterator[Access]:
    """The same keyspace for a user who may read and write there, and nothing else."""
    name = f"role_{access.address.keyspace}"
    password_file.write_text("first")
    await define(
        access,
        f"DROP ROLE IF EXISTS {name}",
        f"CREATE ROLE {name} WITH LOGIN = true AND PASSWORD = 'first'",
        *(f"GRANT {right} ON KEYSPACE {access.address.keyspace} TO {name}" for right in RIGHTS),
    )
    try:
        yield replace(access, user=name, password_file=password_file)
    finally:
        await define(access, f"DROP ROLE {name}")


async def drop(access: Access) -> None:
    """Removes a keyspace."""
    connection = await Connection.open(access, keyspace=None)
    try:
        await connection.define(f"DROP KEYSPACE {access.address.keyspace}")
    finally:
        await connection.close()


async def empty(access: Access) -> None:
    """Empties the tables that have anything, but for the schema's version."""
    connection = await Connection.open(access, keyspace=access.address.keyspace)
    try:
        await connection.define("DELETE FROM ks.mailbox WHERE name IN ('node', 'epoch', 'swept')")
        for table in TABLES.keys() - {"mailbox"}:
            look = await connection.prepare(f"SELECT * FROM ks.{table} LIMIT 1", idempotent=True)
            if await connection.execute(look):
                await connection.define(f"TRUNCATE ks.{table}")
    finally:
        await connection.close()
