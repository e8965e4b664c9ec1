"""The tables of a keyspace, and what becomes of one that is new, older or not ours.

    mailbox    name → value                       whose it is, schema version, epochs, how far
                                                  swept, leases (leasing.py), and what is written
                                                  to see whether it can be (watching.py)
    seen       log | position, writer             what processes know of a log (merging.py)
    blob       log, bucket, slice | seq, class, arrived, writer
                                                  512 numbers a partition at most; the server gives
                                                  the first of the best class by GROUP BY seq
    chunk      log, seq, hash, part | number      blobs above 64 KiB, 8 MiB a partition at most
    listing    owner, path | log                  logs of a topic, and all logs: a tree (listing.py)
    feed       hour, part | position              one process each, 50,000 rows at most (feed.py)
    feed_part  hour | part                        which parts an hour has
    peer       peer                               its cursors
    note       keeper, log                        what other parts of the node remember of a log
    refill     one | position                     logs to be asked for by name
    held       one | bucket                       counters; totals beside them

All rows are inserted, never changed, but for those of `mailbox`, `peer`, `note` and the counters;
what is written again is the same. Everything that holds messages has a time to live, and so has a
lease.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from meshbox.core.errors import StoreForeign, StoreUnprepared
from meshbox.storage.cassandra.connection import Connection

VERSION: Final = 1
"""Of the schema; a keyspace of a higher one is refused."""

VERSION_NAME: Final = "schema"

_BY_WINDOW: Final = """
    WITH compaction = {'class': 'TimeWindowCompactionStrategy',
                       'compaction_window_unit': 'HOURS', 'compaction_window_size': 6}
    AND gc_grace_seconds = 3600"""
_UNIFIED: Final = """
    WITH compaction = {'class': 'UnifiedCompactionStrategy'} AND gc_grace_seconds = 86400"""

TABLES: Final = {
    "mailbox": "name text PRIMARY KEY, value blob",
    "seen": """log blob, position bigint, writer blob, whole boolean, record blob, includes blob,
        PRIMARY KEY ((log), position, writer)""",
    "blob": """log blob, bucket int, slice bigint, seq bigint, class tinyint, arrived bigint,
        writer blob, stamp_ms bigint, earlier_ms bigint, origin blob, tag blob, hash blob, size int,
        data blob, PRIMARY KEY ((log, bucket, slice), seq, class, arrived, writer)""",
    "chunk": """log blob, seq bigint, hash blob, part int, number int, data blob,
        PRIMARY KEY ((log, seq, hash, part), number)""",
    "listing": """owner blob, path blob, log blob, namespace tinyint, topic text, author text,
        deeper boolean static, PRIMARY KEY ((owner, path), log)""",
    "feed": """hour int, part bigint, position bigint, log blob, namespace tinyint, topic text,
        author text, PRIMARY KEY ((hour, part), position)""",
    "feed_part": "hour int, part bigint, writer blob, PRIMARY KEY ((hour), part)",
    "peer": "peer text PRIMARY KEY, value blob",
    "note": "keeper blob, log blob, bucket int, text blob, PRIMARY KEY ((keeper, log))",
    "refill": "one tinyint, position bigint, log blob, PRIMARY KEY ((one), position)",
    "held": """one tinyint, bucket int, blobs counter, bytes counter, logs counter,
        PRIMARY KEY ((one), bucket)""",
    "total": "name text PRIMARY KEY, value counter",
}
"""Their columns and keys."""
_OPTIONS: Final = {
    "seen": _UNIFIED,
    "blob": _BY_WINDOW + " AND CLUSTERING ORDER BY (seq ASC, class DESC, arrived ASC, writer ASC)",
    "chunk": _BY_WINDOW,
    "listing": _UNIFIED,
    "feed": _BY_WINDOW,
    "feed_part": _BY_WINDOW,
    "refill": _BY_WINDOW,
}


def definition_of(table: str) -> str:
    """The statement that makes a table unless it is there."""
    return f"CREATE TABLE IF NOT EXISTS ks.{table} ({TABLES[table]}){_OPTIONS.get(table, '')}"


async def create_keyspace(
    connection: Connection, keyspace: str, replication: Mapping[str, int], *, datacenter: str
) -> None:
    """Makes the keyspace unless it is there. Copies "" are those of `datacenter`."""
    copies = ", ".join(f"'{name or datacenter}': {number}" for name, number in replication.items())
    await connection.define(
        f"CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = "
        f"{{'class': 'NetworkTopologyStrategy', {copies}}} AND durable_writes = true"
    )


async def create_tables(connection: Connection) -> None:
    """Makes what is not there; `StoreForeign` for a newer schema.

    Version 1 is the first: what later ones change is to be added here, each step once more
    harmless.
    """
    await connection.define(definition_of("mailbox"))
    found = await read_version(connection)
    if found is not None and found > VERSION:
        check_version(found)
    for table in TABLES:
        await connection.define(definition_of(table))
    write = await connection.prepare(
        "INSERT INTO ks.mailbox (name, value) VALUES (?, ?)", idempotent=True
    )
    await connection.execute(write, VERSION_NAME, b"%d" % VERSION)


async def read_version(connection: Connection) -> int | None:
    """The schema's version; None before there is one. `StoreUnprepared` without our tables."""
    read = await connection.prepare("SELECT value FROM ks.mailbox WHERE name = ?", idempotent=True)
    rows = await connection.execute(read, VERSION_NAME)
    return version_of(rows[0][0] if rows else None)


def version_of(text: bytes | None) -> int | None:
    """What `mailbox` has under `VERSION_NAME`. `StoreForeign` for what is no version."""
    if text is None:
        return None
    if not text.isdigit():
        raise StoreForeign("the keyspace's schema version is none of ours")
    return int(text)


def check_version(found: int | None) -> None:
    """`StoreUnprepared` for an older one than ours, `StoreForeign` for a newer one."""
    if found is None or found < VERSION:
        raise StoreUnprepared(
            f"the keyspace has {'no schema' if found is None else f'schema {found}'}, "
            f"and this release uses {VERSION}"
        )
    if found > VERSION:
        raise StoreForeign(
            f"the keyspace has schema {found}, and this release knows {VERSION}",
            hint="use the release that made it, or a newer one",
        )
