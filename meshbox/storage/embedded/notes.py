"""Notes: what other parts of the node remember of a log, durable with the deposit it is true of.

A note bears the bucket in which it was written; when that is due, nothing that was stored before
it is left, and the sweep removes it. So notes are bounded by what a retention brings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from meshbox.core.ids import LogKey
from meshbox.core.limits import SWEEP_LOGS_MAX
from meshbox.storage.embedded.changes import Changes, Put, Remove
from meshbox.storage.embedded.database import Database
from meshbox.storage.embedded.schema import NOTE_END, bucket_key
from meshbox.storage.interface import Note
from meshbox.storage.keyvalue import Family

_BUCKET_BYTES: Final = 4


def put_note(note: Note, *, bucket: int) -> Put:
    """The entry of a note that is written in `bucket`."""
    return Put(Family.NOTE, note.keeper + note.log, bucket_key(bucket) + note.text)


def read_notes(
    database: Database, keeper: bytes, logs: Sequence[LogKey]
) -> tuple[bytes | None, ...]:
    """What `keeper` noted of `logs`, in order."""
    values = database.key_value.get_many(Family.NOTE, [keeper + log for log in logs])
    return tuple(None if value is None else value[_BUCKET_BYTES:] for value in values)


def drop_due_notes(
    database: Database, changes: Changes, due_through: int, *, first: bytes
) -> bytes | None:
    """Adds to `changes`: those that are due among some notes from `first` on are gone; the key to
    go on from, None at the end."""
    entries = database.key_value.scan(Family.NOTE, first, NOTE_END, limit=SWEEP_LOGS_MAX)
    fresh = bucket_key(max(due_through + 1, 0))
    changes.ops += (Remove(Family.NOTE, key) for key, value in entries if value < fresh)
    return entries[-1][0] + b"\0" if len(entries) == SWEEP_LOGS_MAX else None
