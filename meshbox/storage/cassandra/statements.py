"""Every statement that a store sends, prepared once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, fields
from typing import Final

from cassandra.query import PreparedStatement

from meshbox.storage.cassandra.connection import Connection

_HEADER: Final = "SELECT seq, class, stamp_ms, earlier_ms, origin, tag, hash, size"
_OF_SPAN: Final = (
    "FROM ks.blob WHERE log = ? AND bucket = ? AND slice = ? AND seq >= ? AND seq <= ? GROUP BY seq"
)
_TEXTS: Final = {
    "read_tables": "SELECT table_name, id FROM system_schema.tables WHERE keyspace_name = ?",
    "read_setting": "SELECT value FROM ks.mailbox WHERE name = ?",
    "claim_setting": "INSERT INTO ks.mailbox (name, value) VALUES (?, ?) IF NOT EXISTS",
    "write_setting": "INSERT INTO ks.mailbox (name, value) VALUES (?, ?)",
    "take_lease": ("INSERT INTO ks.mailbox (name, value) VALUES (?, ?) IF NOT EXISTS USING TTL ?"),
    "renew_lease": "UPDATE ks.mailbox USING TTL ? SET value = ? WHERE name = ? IF value = ?",
    "drop_lease": "DELETE FROM ks.mailbox WHERE name = ? IF value = ?",
    "read_seen": "SELECT position, writer, whole, record, includes FROM ks.seen WHERE log = ?",
    "write_seen": (
        "INSERT INTO ks.seen (log, position, writer, whole, record, includes) "
        "VALUES (?, ?, ?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?"
    ),
    "drop_seen": "DELETE FROM ks.seen USING TIMESTAMP ? WHERE log = ? AND position < ?",
    "write_blob": (
        "INSERT INTO ks.blob (log, bucket, slice, seq, class, arrived, writer, stamp_ms, "
        "earlier_ms, origin, tag, hash, size, data) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?"
    ),
    "read_blobs": f"{_HEADER}, data {_OF_SPAN}",
    "read_headers": f"{_HEADER} {_OF_SPAN}",
    "drop_blobs": (
        "DELETE FROM ks.blob USING TIMESTAMP ? "
        "WHERE log = ? AND bucket = ? AND slice = ? AND seq >= ? AND seq <= ?"
    ),
    "write_chunk": (
        "INSERT INTO ks.chunk (log, seq, hash, part, number, data) VALUES (?, ?, ?, ?, ?, ?) "
        "USING TTL ?"
    ),
    "read_chunk": (
        "SELECT data FROM ks.chunk "
        "WHERE log = ? AND seq = ? AND hash = ? AND part = ? AND number = ?"
    ),
    "write_listing": (
        "INSERT INTO ks.listing (owner, path, log, namespace, topic, author) "
        "VALUES (?, ?, ?, ?, ?, ?) USING TTL ?"
    ),
    "read_listing": (
        "SELECT log, namespace, topic, author, deeper FROM ks.listing WHERE owner = ? AND path = ?"
    ),
    "read_deeper": "SELECT deeper FROM ks.listing WHERE owner = ? AND path = ? LIMIT 1",
    "count_listing": "SELECT count(log) FROM ks.listing WHERE owner = ? AND path = ?",
    "write_deeper": "INSERT INTO ks.listing (owner, path, deeper) VALUES (?, ?, true)",
    "write_feed": (
        "INSERT INTO ks.feed (hour, part, position, log, namespace, topic, author) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) USING TTL ?"
    ),
    "read_feed": (
        "SELECT position, log, namespace, topic, author FROM ks.feed "
        "WHERE hour = ? AND part = ? AND position > ? LIMIT ?"
    ),
    "read_newest": (
        "SELECT position FROM ks.feed WHERE hour = ? AND part = ? ORDER BY position DESC LIMIT 1"
    ),
    "write_part": "INSERT INTO ks.feed_part (hour, part, writer) VALUES (?, ?, ?) USING TTL ?",
    "read_parts": "SELECT hour, part, writer FROM ks.feed_part WHERE hour IN ?",
    "write_peer": "INSERT INTO ks.peer (peer, value) VALUES (?, ?) USING TTL ?",
    "read_peer": "SELECT value FROM ks.peer WHERE peer = ?",
    "write_note": "INSERT INTO ks.note (keeper, log, bucket, text) VALUES (?, ?, ?, ?) USING TTL ?",
    "read_note": "SELECT bucket, text FROM ks.note WHERE keeper = ? AND log = ?",
    "write_refill": "INSERT INTO ks.refill (one, position, log) VALUES (0, ?, ?) USING TTL ?",
    "read_refill": "SELECT position, log FROM ks.refill WHERE one = 0 AND position > ? LIMIT ?",
    "count_refill": "SELECT count(*) FROM ks.refill WHERE one = 0 AND position > ?",
    "drop_refill": "DELETE FROM ks.refill WHERE one = 0 AND position <= ?",
    "add_held": (
        "UPDATE ks.held SET blobs = blobs + ?, bytes = bytes + ?, logs = logs + ? "
        "WHERE one = 0 AND bucket = ?"
    ),
    "read_held": "SELECT bucket, blobs, bytes, logs FROM ks.held WHERE one = 0",
    "add_total": "UPDATE ks.total SET value = value + ? WHERE name = ?",
    "read_totals": "SELECT name, value FROM ks.total",
}
_TWICE_IS_WRONG: Final = frozenset({"add_held", "add_total", "claim_setting"})
"""Counters, and what tells whether it was the first: all else may be sent again."""


@dataclass(frozen=True, slots=True)
class Statements:
    """The statements of one connection; made by `prepare`."""

    read_tables: PreparedStatement
    read_setting: PreparedStatement
    claim_setting: PreparedStatement
    write_setting: PreparedStatement
    take_lease: PreparedStatement
    renew_lease: PreparedStatement
    drop_lease: PreparedStatement
    read_seen: PreparedStatement
    write_seen: PreparedStatement
    drop_seen: PreparedStatement
    write_blob: PreparedStatement
    read_blobs: PreparedStatement
    read_headers: PreparedStatement
    drop_blobs: PreparedStatement
    write_chunk: PreparedStatement
    read_chunk: PreparedStatement
    write_listing: PreparedStatement
    read_listing: PreparedStatement
    read_deeper: PreparedStatement
    count_listing: PreparedStatement
    write_deeper: PreparedStatement
    write_feed: PreparedStatement
    read_feed: PreparedStatement
    read_newest: PreparedStatement
    write_part: PreparedStatement
    read_parts: PreparedStatement
    write_peer: PreparedStatement
    read_peer: PreparedStatement
    write_note: PreparedStatement
    read_note: PreparedStatement
    write_refill: PreparedStatement
    read_refill: PreparedStatement
    count_refill: PreparedStatement
    drop_refill: PreparedStatement
    add_held: PreparedStatement
    read_held: PreparedStatement
    add_total: PreparedStatement
    read_totals: PreparedStatement

    @classmethod
    async def prepare(cls, connection: Connection) -> Statements:
        """Prepares all; `StoreUnprepared` when the schema is another."""
        names = [field.name for field in fields(cls)]
        prepared = await asyncio.gather(
            *(
                connection.prepare(_TEXTS[name], idempotent=name not in _TWICE_IS_WRONG)
                for name in names
            )
        )
        return cls(**dict(zip(names, prepared, strict=True)))
