"""Whether the keyspace is still the one that was opened, and can be written: its operators may
change it meanwhile.

    what is found                               what becomes of the process
    ------------------------------------------  ------------------------------------------------
    it is gone, lacks a table, another schema   stores nothing until it is right
    of nobody, another node's, another epoch    ends; the next start looks at it all
    a table that was made anew                  forgets what it knew of logs, and goes on

Knows nothing of when to look (following.py).
"""

from __future__ import annotations

from typing import Final

from meshbox.core.errors import StoreFailed, StoreForeign, StoreUnprepared
from meshbox.core.ids import NodeId
from meshbox.storage.cassandra.connection import Connection
from meshbox.storage.cassandra.ownership import Ownership
from meshbox.storage.cassandra.schema import TABLES, check_version
from meshbox.storage.cassandra.statements import Statements
from meshbox.storage.interface import Epoch

WRITTEN_NAME: Final = "written"
"""Of the row that every process writes now and then."""

_RESTART: Final = "the next start looks at it anew"


class Watch:
    """A keyspace as a process opened it."""

    def __init__(
        self, connection: Connection, statements: Statements, *, node_id: NodeId, epoch: Epoch
    ) -> None:
        self._connection = connection
        self._statements = statements
        self._ownership = Ownership(connection, statements)
        self._node_id = node_id
        self._epoch = epoch
        self._tables: dict[str, object] = {}
        self.unfit: StoreForeign | StoreUnprepared | None = None
        """Why nothing may be written, by the last look that was answered."""
        self.another: StoreForeign | None = None
        """Why this process has to end."""

    async def look(self) -> bool:
        """Whether each table is that of the last look. Costs four statements.

        `StoreForeign`, `StoreUnprepared`: it is `unfit`, or `another`. `StoreFailed` without an
        answer.
        """
        tables = await self._read_tables()
        self.unfit = await self._unfit(tables)
        if self.unfit is not None:
            raise self.unfit
        owner = await self._ownership.owner()
        if owner != self._node_id:
            whose = "nobody" if owner is None else f"the node {owner}"
            self.another = StoreForeign(f"the keyspace now belongs to {whose}", hint=_RESTART)
        elif await self._ownership.found_epoch() != self._epoch:
            self.another = StoreForeign("the keyspace began another epoch", hint=_RESTART)
        if self.another is not None:
            raise self.another
        same = self._tables in ({}, tables)
        self._tables = tables
        return same

    async def write(self) -> None:
        """Writes a row that is for nothing else: `StoreFailed` when a quorum does not take it."""
        await self._connection.execute(self._statements.write_setting, WRITTEN_NAME, b"")

    def check(self) -> None:
        """`StoreFailed` when the last look found that nothing may be written."""
        wrong = self.another or self.unfit
        if wrong is not None:
            raise StoreFailed(wrong.message, hint=wrong.hint)

    async def _unfit(self, tables: dict[str, object]) -> StoreForeign | StoreUnprepared | None:
        missing = sorted(TABLES.keys() - tables.keys())
        if missing:
            return StoreUnprepared(f"the keyspace lacks {', '.join(missing)}")
        try:
            check_version(await self._ownership.version())
        except (StoreForeign, StoreUnprepared) as error:
            return error
        return None

    async def _read_tables(self) -> dict[str, object]:
        """The id of each table; one that is made anew has another."""
        keyspace = self._connection.keyspace
        return dict(await self._connection.execute(self._statements.read_tables, keyspace))
