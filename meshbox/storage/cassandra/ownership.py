"""What a keyspace has one of: the node that it belongs to, its epoch, and how far it was swept."""

from __future__ import annotations

import secrets
from typing import Final

import msgspec

from meshbox.core.errors import StoreForeign
from meshbox.core.ids import NodeId
from meshbox.storage.cassandra.connection import Connection
from meshbox.storage.cassandra.schema import VERSION_NAME, version_of
from meshbox.storage.cassandra.statements import Statements
from meshbox.storage.interface import Epoch

_NODE, _EPOCH, _SWEPT = "node", "epoch", "swept"
_EPOCH_ID_BYTES: Final = 16


class Ownership:
    """The table `mailbox`."""

    def __init__(self, connection: Connection, statements: Statements) -> None:
        self._connection = connection
        self._statements = statements

    async def owner(self) -> NodeId | None:
        """Whose the keyspace is."""
        value = await self._read(_NODE)
        return None if value is None else NodeId(value.decode())

    async def claim(self, node_id: NodeId, adopted_from: NodeId | None) -> None:
        """Makes a keyspace of nobody, or of `adopted_from`, this node's; `StoreForeign`."""
        # Of two processes that come first at once, one is told of the other.
        await self._connection.execute(self._statements.claim_setting, _NODE, node_id.encode())
        owner = await self._read(_NODE) or b""
        if owner == (adopted_from or "").encode():
            await self._write(_NODE, node_id.encode())
        elif owner != node_id.encode():
            raise StoreForeign(
                f"the keyspace belongs to the node {owner.decode(errors='replace')}",
                hint="all its processes have the same identity.key: copy that of the first, or "
                "use another keyspace",
            )

    async def version(self) -> int | None:
        """The schema's version; None before there is one. `StoreForeign` for none of ours."""
        return version_of(await self._read(VERSION_NAME))

    async def found_epoch(self) -> Epoch | None:
        """The keyspace's epoch; None before the first."""
        value = await self._read(_EPOCH)
        return None if value is None else _epoch_decoder.decode(value)

    async def epoch(self) -> Epoch:
        """The keyspace's epoch, begun when there is none."""
        value = await self._read(_EPOCH)
        if value is None:
            first = msgspec.msgpack.encode(Epoch(1, secrets.token_bytes(_EPOCH_ID_BYTES)))
            await self._connection.execute(self._statements.claim_setting, _EPOCH, first)
            value = await self._read(_EPOCH)
        assert value is not None
        return _epoch_decoder.decode(value)

    async def begin_epoch(self) -> Epoch:
        """Another epoch: no cursor of before is honoured."""
        epoch = Epoch((await self.epoch()).number + 1, secrets.token_bytes(_EPOCH_ID_BYTES))
        await self._write(_EPOCH, msgspec.msgpack.encode(epoch))
        return epoch

    async def swept(self) -> int:
        """The highest bucket that was ever swept; -1 before the first."""
        return int(await self._read(_SWEPT) or -1)

    async def note_swept(self, bucket: int) -> None:
        """Up to `bucket` all is due for ever."""
        if bucket > await self.swept():
            await self._write(_SWEPT, b"%d" % bucket)

    async def _read(self, name: str) -> bytes | None:
        rows = await self._connection.execute(self._statements.read_setting, name)
        return rows[0][0] if rows else None

    async def _write(self, name: str, value: bytes) -> None:
        await self._connection.execute(self._statements.write_setting, name, value)


_epoch_decoder = msgspec.msgpack.Decoder(Epoch)
