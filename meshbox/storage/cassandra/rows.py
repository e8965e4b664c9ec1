"""Rows of the table `seen` as values, and back."""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import Any, Final

from meshbox.storage.cassandra.connection import Row as DriverRow
from meshbox.storage.cassandra.lives import SEEN_S
from meshbox.storage.cassandra.merging import Row, RowId
from meshbox.storage.cassandra.positions import micros_of
from meshbox.storage.embedded.records import decode_record, encode_record

WRITER_BYTES: Final = 16
"""Random bytes by which a process is told from another."""

_ROW_ID = Struct(f">q{WRITER_BYTES}s")


def decode_row(found: DriverRow) -> Row:
    """A row that was read; `StoreDamaged` when it is none of ours."""
    position, writer, whole, record, includes = found
    ids = frozenset(_ROW_ID.iter_unpack(includes or b""))
    return Row((position, writer), decode_record(record), whole, ids)


def values_of(key: bytes, row: Row) -> tuple[Any, ...]:
    """What `write_seen` takes."""
    position, writer = row.id
    return (
        key,
        position,
        writer,
        row.whole,
        encode_record(row.record),
        _pack(row.includes),
        SEEN_S,
        micros_of(position),
    )


def _pack(ids: Iterable[RowId]) -> bytes:
    return b"".join(_ROW_ID.pack(*row_id) for row_id in sorted(ids))
