"""Opening a database: is it ours, can we read it, and what it says of before.

Before anything is shown, what was recovered is made durable, and the new epoch with it: after that
no power cut can take back what the former openings showed.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from meshbox.core.clock import SystemClock
from meshbox.core.errors import StoreForeign
from meshbox.core.ids import NodeId
from meshbox.core.retention import bucket_of
from meshbox.storage.embedded.database import Database
from meshbox.storage.embedded.node_time import NodeTime
from meshbox.storage.embedded.peers import PeerOrder, PeerRecord, decode_peer
from meshbox.storage.embedded.schema import (
    META_EPOCHS,
    META_NODE,
    META_SCHEMA,
    META_STATE,
    SCHEMA_OLDEST,
    SCHEMA_VERSION,
)
from meshbox.storage.embedded.state import (
    Counts,
    Epochs,
    State,
    decode_epochs,
    decode_state,
    encode_epochs,
    encode_state,
)
from meshbox.storage.embedded.upgrading import upgrade
from meshbox.storage.interface import Epoch
from meshbox.storage.keyvalue import Family, KeyValue

_PEERS_AT_ONCE = 1_024


class Opened(NamedTuple):
    """A database, ready."""

    database: Database
    epochs: Epochs


async def open_database(
    key_value: KeyValue,
    *,
    system_clock: SystemClock,
    retention_ms: int,
    node_id: NodeId,
    adopted_from: NodeId | None,
    epoch_id: bytes,
    build_date_ms: int,
) -> Opened:
    """Checks the database, begins a new epoch, and makes all of it durable.

    A database of `adopted_from` becomes that of `node_id`, one of an older schema gets this one
    (upgrading.py). `StoreForeign` when it is of a newer schema, of another node, or none of ours.
    """
    version, state, epochs = _found(key_value, {node_id, adopted_from})
    await key_value.flush()
    counts = Counts() if state is None else state.counts
    if epochs is None:
        epochs = Epochs(Epoch(1, epoch_id))
    else:
        epochs = epochs.succeeded_by(epoch_id, last_change=counts.change)
    time = NodeTime(
        system_clock,
        None if state is None else state.reading,
        retention_ms=retention_ms,
        swept=counts.swept,
        build_date_ms=build_date_ms,
    )
    if version < SCHEMA_VERSION:
        counts = await upgrade(key_value, counts, bucket=bucket_of(time.now_ms()))
    batch = key_value.new_batch()
    for family in (Family.META, Family.SPARE):
        batch.put(family, META_SCHEMA, SCHEMA_VERSION.to_bytes(4, "big"))
        batch.put(family, META_NODE, node_id.encode())
        batch.put(family, META_EPOCHS, encode_epochs(epochs))
        batch.put(family, META_STATE, encode_state(State(counts, time.reading())))
    key_value.write(batch)
    await key_value.sync()
    peers = PeerOrder(_peers(key_value))
    return Opened(Database(key_value, counts=counts, time=time, peers=peers), epochs)


class _Found(NamedTuple):
    """What a former opening left."""

    version: int
    state: State | None
    epochs: Epochs | None


def _found(key_value: KeyValue, owners: Collection[NodeId | None]) -> _Found:
    """What a former opening left; an empty database has this version and nothing else."""
    names = [META_SCHEMA, META_NODE, META_EPOCHS, META_STATE]
    schema, owner, epochs, state = key_value.get_many(Family.META, names)
    if schema is None:
        _check_empty(key_value)
        return _Found(SCHEMA_VERSION, None, None)
    version = int.from_bytes(schema, "big")
    if not SCHEMA_OLDEST <= version <= SCHEMA_VERSION:
        raise StoreForeign(
            f"the database has schema {version}, this release reads {SCHEMA_VERSION}",
            hint="use the release that wrote it, or a newer one",
        )
    if owner not in {node.encode() for node in owners if node is not None}:
        raise StoreForeign(
            "the database belongs to another node's key",
            hint="key and database go together: restore both, or neither",
        )
    if epochs is None or state is None:
        raise StoreForeign("the database is incomplete", hint="restore a copy, or start anew")
    return _Found(version, decode_state(state), decode_epochs(epochs))


def _check_empty(key_value: KeyValue) -> None:
    if any(key_value.scan(family, b"", b"\xff" * 64, limit=1) for family in Family):
        raise StoreForeign("the folder holds a database that is none of ours")


def _peers(key_value: KeyValue) -> list[tuple[NodeId, PeerRecord]]:
    found: list[tuple[NodeId, PeerRecord]] = []
    first = b""
    while True:
        page = key_value.scan(Family.PEER, first, b"\xff" * 64, limit=_PEERS_AT_ONCE)
        found += ((NodeId(key.decode()), decode_peer(value)) for key, value in page)
        if len(page) < _PEERS_AT_ONCE:
            return found
        first = page[-1][0] + b"\0"
