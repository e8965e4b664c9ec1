"""Notes: what other parts of the node remember of a log (`MailboxStore.notes`).

A row each, and the last that is written of it stays; kept for the retention from then on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from meshbox.core.ids import LogKey
from meshbox.core.retention import bucket_of
from meshbox.storage.cassandra.connection import Connection
from meshbox.storage.cassandra.lives import FEED_S
from meshbox.storage.cassandra.statements import Statements
from meshbox.storage.cassandra.time import StoreTime
from meshbox.storage.interface import Note


class Notes:
    """The table `note`."""

    def __init__(self, connection: Connection, statements: Statements, time: StoreTime) -> None:
        self._connection = connection
        self._statements = statements
        self._time = time

    async def keep(self, notes: Sequence[Note]) -> None:
        """Writes notes, of two of one log the later. The caller wrote before what they say."""
        bucket = bucket_of(self._time.now_ms())
        last = {(note.keeper, note.log): note.text for note in notes}
        write = self._statements.write_note
        await asyncio.gather(
            *(
                self._connection.execute(write, *place, bucket, text, FEED_S)
                for place, text in last.items()
            )
        )

    async def read(self, keeper: bytes, logs: Sequence[LogKey]) -> tuple[bytes | None, ...]:
        """What `keeper` noted of `logs`, in order."""
        due_through = self._time.due_through()
        read = self._statements.read_note
        found = await asyncio.gather(*(self._connection.execute(read, keeper, log) for log in logs))
        return tuple(rows[0][1] if rows and rows[0][0] > due_through else None for rows in found)
