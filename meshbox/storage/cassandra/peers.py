"""Cursors of peers, and how far they were asked for the refill list; kept for all processes.

A peer has one row, and the last that is written of it stays. Two processes that sync with one peer
may so take each other's progress back, and never ahead: a cursor is only written when everything
before it is stored here, whoever stored it. A peer that was quiet for longer than a feed goes back
is forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from meshbox.core.ids import NodeId
from meshbox.storage.cassandra.connection import Connection
from meshbox.storage.cassandra.lives import FEED_S
from meshbox.storage.cassandra.statements import Statements
from meshbox.storage.embedded.peers import UNKNOWN_PEER, PeerRecord, decode_peer, encode_peer
from meshbox.storage.interface import PeerCursor, PeerRefill


class Peers:
    """The table `peer`."""

    def __init__(self, connection: Connection, statements: Statements) -> None:
        self._connection = connection
        self._statements = statements

    async def read(self, peer: NodeId) -> PeerRecord:
        """What is kept of a peer."""
        rows = await self._connection.execute(self._statements.read_peer, peer)
        return decode_peer(rows[0][0]) if rows else UNKNOWN_PEER

    async def keep(
        self, cursors: Sequence[PeerCursor], refills: Sequence[PeerRefill], *, change: int
    ) -> None:
        """Keeps more of peers. The caller wrote before what the cursors say is settled."""
        peers = list(dict.fromkeys([c.peer for c in cursors] + [r.peer for r in refills]))
        before = await asyncio.gather(*(self.read(peer) for peer in peers))
        after = dict(zip(peers, before, strict=True))
        for cursor in cursors:
            after[cursor.peer] = after[cursor.peer].adding(cursor, change=change)
        for refill in refills:
            after[refill.peer] = after[refill.peer].asked_for(refill, change=change)
        write = self._statements.write_peer
        await asyncio.gather(
            *(
                self._connection.execute(write, peer, encode_peer(after[peer]), FEED_S)
                for peer, kept in zip(peers, before, strict=True)
                if after[peer] is not kept
            )
        )
