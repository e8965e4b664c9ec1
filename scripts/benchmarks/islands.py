"""Many mailboxes in one process, which all have one and the same internet mailbox.

    python -m scripts.benchmarks.islands COUNT PEER

Each has an identity, a store in memory, and the sync service over gRPC with TLS that a node has; it
listens nowhere. Prints a ready line when all of them look for PEER; then answers each line of its
input with a line of JSON, and ends with its input:

    counts            how many are connected, and how many blobs the one with the fewest holds
    put               stores a new blob at the first of them
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
import sys
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from meshbox.core.address import PeerAddress, parse_address
from meshbox.core.ids import (
    BlobClass,
    LogId,
    Namespace,
    Origin,
    node_key_of,
    parse_author,
    parse_topic,
)
from meshbox.core.retention import RETENTION_MAX_MS
from meshbox.identity.key import mint
from meshbox.mailbox.system_clock import OperatingSystemClock
from meshbox.node.release import VERSION
from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.storage.interface import Deposit, NewBlob
from meshbox.storage.memory import MemoryKeyValue
from meshbox.sync.peers import INTERNET
from meshbox.sync.service import SyncService
from meshbox.sync.status import PeerState
from meshbox.sync.transport import GrpcTransport
from scripts.benchmarks.loop import run

BLOB_BYTES: Final = 1_000


class Island(NamedTuple):
    """One mailbox."""

    store: EmbeddedStore
    service: SyncService
    origin: Origin


async def island(peer: PeerAddress, clock: OperatingSystemClock) -> Island:
    """A new one, which looks for `peer` from now on."""
    identity = mint()
    store = await EmbeddedStore.open(
        MemoryKeyValue(),
        system_clock=clock,
        retention_ms=RETENTION_MAX_MS,
        cursor_key=secrets.token_bytes(32),
        node_id=identity.node_id,
        epoch_id=secrets.token_bytes(16),
        build_date_ms=0,
    )
    service = SyncService(
        store=store,
        identity=identity,
        transport=GrpcTransport(identity),
        rng=random.SystemRandom(),
        node_version=VERSION,
        log=lambda *_, **__: None,
    )
    await service.start(None)
    service.peer_found(peer.node_id, peer.endpoints, INTERNET)
    return Island(store, service, Origin(node_key_of(identity.node_id), bytes(4)))


async def _answer(line: str, islands: Sequence[Island], put: list[bytes]) -> dict[str, Any]:
    if line.strip() == "put":
        data = os.urandom(BLOB_BYTES)
        put.append(data)
        first = islands[0]
        log = LogId(Namespace.LOGS, parse_topic("ab" * 32), parse_author("cd" * 32))
        now_ms = first.store.now_ms()
        blob = NewBlob(log, len(put) - 1, BlobClass.OPAQUE, now_ms, first.origin, data)
        await first.store.commit(Deposit([blob]))
    held = [(await each.store.statistics()).blobs for each in islands]
    states = [peer.state for each in islands for peer in each.service.peers()]
    return {"connected": states.count(PeerState.CONNECTED), "blobs_min": min(held)}


async def serve(count: int, peer: PeerAddress) -> None:
    """Runs until its input ends."""
    clock = OperatingSystemClock()
    islands = [await island(peer, clock) for _ in range(count)]
    _tell({"islands": count})
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
    )
    put: list[bytes] = []
    while line := (await lines.readline()).decode():
        _tell(await _answer(line, islands, put))
    await asyncio.gather(*(each.service.stop() for each in islands))
    for each in islands:
        await each.store.close()


def _tell(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    run(serve(int(sys.argv[1]), parse_address(sys.argv[2])))
