"""Every statement that a store sends, prepared once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, fields
from typing import Final

from cassandra.query import PreparedStatement

from meshbox.storage.cassandra.connection import Connection

_HEADER: Final = "SELECT seq, class, stamp_ms, earlier_ms, origin, tag, hash, size"
_OF_SPAN: Final = (
    "FROM blob WHERE log = ? AND bucket = ? AND slice = ? AND seq >= ? AND seq <= ? GROUP BY seq"
)
_TEXTS: Final = {
    "read_setting": "SELECT value FROM mailbox WHERE name = ?",
    "write_setting": "INSERT INTO mailbox (name, value) VALUES (?, ?)",
    "read_seen": "SELECT position, writer, whole, record, includes FROM seen WHERE log = ?",
    "write_seen": (
        "INSERT INTO seen (log, position, writer, whole, record, includes) "
        "VALUES (?, ?, ?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?"
    ),
    "drop_seen": "DELETE FROM seen USING TIMESTAMP ? WHERE log = ? AND position < ?",
    "write_blob": (
        "INSERT INTO blob (log, bucket, slice, seq, class, arrived, writer, stamp_ms, "
        "earlier_ms, origin, tag, hash, size, data) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?"
    ),
    "read_blobs": f"{_HEADER}, data {_OF_SPAN}",
    "read_headers": f"{_HEADER} {_OF_SPAN}",
    "drop_blobs": (
        "DELETE FROM blob USING TIMESTAMP ? "
        "WHERE log = ? AND bucket = ? AND slice = ? AND seq >= ? AND seq <= ?"
    ),
    "write_chunk": (
        "INSERT INTO chunk (log, seq, hash, part, number, data) VALUES (?, ?, ?, ?, ?, ?) "
        "USING TTL ?"
    ),
    "read_chunk": (
        "SELECT data FROM chunk WHERE log = ? AND seq = ? AND hash = ? AND part = ? AND number = ?"
    ),
    "write_listing": (
        "INSERT INTO listing (owner, path, log, namespace, topic, author) "
        "VALUES (?, ?, ?, ?, ?, ?) USING TTL ?"
    ),
    "read_listing": (
        "SELECT log, namespace, topic, author, deeper FROM listing WHERE owner = ? AND path = ?"
    ),
    "read_deeper": "SELECT deeper FROM listing WHERE owner = ? AND path = ? LIMIT 1",
    "count_listing": "SELECT count(log) FROM listing WHERE owner = ? AND path = ?",
    "write_deeper": "INSERT INTO listing (owner, path, deeper) VALUES (?, ?, true)",
    "write_feed": (
        "INSERT INTO feed (hour, part, position, log, namespace, topic, author) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) USING TTL ?"
    ),
    "read_feed": (
        "SELECT position, log, namespace, topic, author FROM feed "
        "WHERE hour = ? AND part = ? AND position > ? LIMIT ?"
    ),
    "read_newest": (
        "SELECT position FROM feed WHERE hour = ? AND part = ? ORDER BY position DESC LIMIT 1"
    ),
    "write_part": "INSERT INTO feed_part (hour, part, writer) VALUES (?, ?, ?) USING TTL ?",
    "read_parts": "SELECT hour, part, writer FROM feed_part WHERE hour IN ?",
    "write_peer": "INSERT INTO peer (peer, value) VALUES (?, ?) USING TTL ?",
    "read_peer": "SELECT value FROM peer WHERE peer = ?",
    "write_note": "INSERT INTO note (keeper, log, bucket, text) VALUES (?, ?, ?, ?) USING TTL ?",
    "read_note": "SELECT bucket, text FROM note WHERE keeper = ? AND log = ?",
    "write_refill": "INSERT INTO refill (one, position, log) VALUES (0, ?, ?) USING TTL ?",
    "read_refill": "SELECT position, log FROM refill WHERE one = 0 AND position > ? LIMIT ?",
    "count_refill": "SELECT count(*) FROM refill WHERE one = 0 AND position > ?",
    "drop_refill": "DELETE FROM refill WHERE one = 0 AND position <= ?",
    "add_held": (
        "UPDATE held SET blobs = blobs + ?, bytes = bytes + ?, logs = logs + ? "
        "WHERE one = 0 AND bucket = ?"
    ),
    "read_held": "SELECT bucket, blobs, bytes, logs FROM held WHERE one = 0",
    "add_total": "UPDATE total SET value = value + ? WHERE name = ?",
    "read_totals": "SELECT name, value FROM total",
}
_TWICE_IS_WRONG: Final = frozenset({"add_held", "add_total"})
"""Counters: all else may be sent again."""


@dataclass(frozen=True, slots=True)
class Statements:
    """The statements of one connection; made by `prepare`."""

    read_setting: PreparedStatement
    write_setting: PreparedStatement
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
        """Prepares all; `StoreForeign` when the schema is another."""
        names = [field.name for field in fields(cls)]
        prepared = await asyncio.gather(
            *(
                connection.prepare(_TEXTS[name], idempotent=name not in _TWICE_IS_WRONG)
                for name in names
            )
        )
        return cls(**dict(zip(names, prepared, strict=True)))
