"""Opens a keyspace: looks at all that might be wrong with it, and only then claims it."""

from __future__ import annotations

import secrets

from meshbox.core.clock import SystemClock
from meshbox.core.ids import NodeId
from meshbox.storage.cassandra.address import Access
from meshbox.storage.cassandra.blobs import Blobs
from meshbox.storage.cassandra.connection import Connection
from meshbox.storage.cassandra.counting import Counts
from meshbox.storage.cassandra.feed import FeedReader, FeedWriter
from meshbox.storage.cassandra.known import Known
from meshbox.storage.cassandra.listing import Listing
from meshbox.storage.cassandra.notes import Notes
from meshbox.storage.cassandra.ownership import Ownership
from meshbox.storage.cassandra.parts import Parts
from meshbox.storage.cassandra.peers import Peers
from meshbox.storage.cassandra.positions import Positions, ms_of
from meshbox.storage.cassandra.rows import WRITER_BYTES
from meshbox.storage.cassandra.schema import check_version, read_version
from meshbox.storage.cassandra.statements import Statements
from meshbox.storage.cassandra.time import StoreTime
from meshbox.storage.cassandra.topics import Topics
from meshbox.storage.interface import Epoch


async def open_keyspace(
    access: Access,
    *,
    system_clock: SystemClock,
    retention_ms: int,
    node_id: NodeId,
    adopted_from: NodeId | None,
    trust_clock: bool,
    lag_ms: int,
) -> tuple[Parts, Epoch]:
    """What a process needs of a keyspace, and the keyspace's epoch.

    See `CassandraStore.open`. Who gets the parts closes their connection.
    """
    connection = await Connection.open(access, keyspace=access.address.keyspace)
    try:
        check_version(await read_version(connection))
        statements = await Statements.prepare(connection)
        ownership = Ownership(connection, statements)
        time = StoreTime(
            system_clock,
            retention_ms=retention_ms,
            swept=await ownership.swept(),
            trust_clock=trust_clock,
        )
        newest = await FeedReader(connection, statements).newest(time.now_ms())
        time.check_beside(ms_of(newest), lag_ms=lag_ms)
        await ownership.claim(node_id, adopted_from)
        epoch = await ownership.epoch()
    except BaseException:
        await connection.close()
        raise
    positions = Positions(secrets.randbits(10))
    positions.hear(newest)
    positions.next(time.now_ms())
    return _parts(connection, statements, time, positions, lag_ms=lag_ms), epoch


def _parts(
    connection: Connection,
    statements: Statements,
    time: StoreTime,
    positions: Positions,
    *,
    lag_ms: int,
) -> Parts:
    process = secrets.token_bytes(WRITER_BYTES)
    listing = Listing(connection, statements)
    return Parts(
        connection=connection,
        statements=statements,
        time=time,
        positions=positions,
        known=Known(connection, statements, lag_ms=lag_ms),
        blobs=Blobs(connection, statements, writer=process),
        listing=listing,
        topics=Topics(listing),
        feed=FeedWriter(connection, statements, writer=process),
        peers=Peers(connection, statements),
        notes=Notes(connection, statements, time),
        counts=Counts(connection, statements),
        process=process,
        lag_ms=lag_ms,
    )
