"""Nodes of the sync tests: real stores, real identities, real gRPC on loopback, in one process.

    async with running(MemoryDisk()) as a, running(RocksDisk(folder)) as b:
        a.knows(b)
        await settled(a, b)

What a node logs is in `events`; a `peer.bug` among them fails the test at the node's end. `Wire`
is a cable that can be cut: a TCP proxy in front of one listener.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from meshbox.core.address import Endpoint
from meshbox.core.errors import StoreFailed
from meshbox.core.ids import LogKey, NodeId
from meshbox.core.ranges import SeqRanges, union
from meshbox.core.retention import RETENTION_MAX_MS
from meshbox.core.room import UNLIMITED, Allocation
from meshbox.core.topics import ALL_TOPICS, OwnTopics
from meshbox.identity.key import Identity, mint
from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.storage.interface import MailboxStore
from meshbox.storage.keyvalue import KeyValue
from meshbox.storage.memory import MemoryKeyValue
from meshbox.storage.rocksdb import open_rocksdb
from meshbox.sync.acquaintances import Prove
from meshbox.sync.runner import NO_BOUND as ANY_RATE
from meshbox.sync.runner import Rates
from meshbox.sync.service import SyncService
from meshbox.sync.status import PeerStatus
from meshbox.sync.transport import GrpcTransport
from tests.clocks import BUILD_DATE_MS, ManualClock
from tests.contract.material import NO_BOUND, blob, log_of, put
from tests.waiting import WITHIN_S, a_while, eventually

LOOPBACK = "127.0.0.1"
ANY_PORT = Endpoint(LOOPBACK, 0)

Content = dict[tuple[LogKey, int], bytes]


class Disk(Protocol):
    """Where a node's database is; it outlives the node."""

    def open(self) -> KeyValue:
        """The database as it is now."""


class MemoryDisk:
    """A disk in memory, whose syncs can be held and whose power can be cut."""

    def __init__(self, start: MemoryKeyValue | None = None) -> None:
        self.opened = start or MemoryKeyValue()

    def open(self) -> KeyValue:
        self.opened = self.opened.copy()
        return self.opened

    def copy(self) -> MemoryDisk:
        """A copy of what is durable: a cloned folder, or a backup."""
        return MemoryDisk(self.opened.copy())

    def power_cut(self, *, unsynced_kept: int = 0) -> None:
        """What was not synced is lost, but for the next `unsynced_kept` batches."""
        self.opened = self.opened.power_cut(unsynced_kept=unsynced_kept)


class RocksDisk:
    """RocksDB in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self) -> KeyValue:
        return open_rocksdb(self.folder / "store", cache_bytes=8 * 1024 * 1024)


class Node:
    """One node, between `start` and `stop` as often as wanted."""

    def __init__(
        self,
        disk: Disk,
        *,
        identity: Identity | None = None,
        clock: ManualClock | None = None,
        store_class: type[EmbeddedStore] = EmbeddedStore,
        service_class: type[SyncService] = SyncService,
        carried: OwnTopics = ALL_TOPICS,
        rates: Rates = ANY_RATE,
        allocation: Allocation = UNLIMITED,
        ways_out: Iterable[str] = (),
        prove: Prove | None = None,
    ) -> None:
        self.prove = prove
        self.carried = carried
        self.ways_out = tuple(ways_out)
        self.rates = rates
        self.disk = disk
        self.identity = identity or mint()
        self.node_id = self.identity.node_id
        self.clock = clock or ManualClock()
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.store_class = store_class
        self.allocation = allocation
        self._service_class = service_class
        self._store: EmbeddedStore | None = None
        self._service: SyncService | None = None
        self._bound: Endpoint | None = None

    @property
    def store(self) -> EmbeddedStore:
        assert self._store is not None, "not started"
        return self._store

    @property
    def service(self) -> SyncService:
        assert self._service is not None, "not started"
        return self._service

    @property
    def endpoint(self) -> Endpoint:
        assert self._bound is not None, "not listening"
        return self._bound

    async def start(
        self, endpoint: Endpoint | None = ANY_PORT, *, adopted_from: NodeId | None = None
    ) -> None:
        self._store = await self.store_class.open(
            self.disk.open(),
            system_clock=self.clock,
            retention_ms=RETENTION_MAX_MS,
            cursor_key=self.identity.derive("cursor"),
            node_id=self.node_id,
            epoch_id=secrets.token_bytes(16),
            build_date_ms=BUILD_DATE_MS,
            adopted_from=adopted_from,
            allocation=self.allocation,
        )
        self._service = self._service_class(
            store=self._store,
            identity=self.identity,
            transport=GrpcTransport(self.identity),
            rng=random.SystemRandom(),
            node_version="test",
            carried=self.carried,
            rates=self.rates,
            ways_out=self.ways_out,
            log=self._log,
            prove=self.prove,
        )
        self._bound = await self._service.start(endpoint)

    async def stop(self) -> None:
        """A clean stop; nothing when it does not run. Fails when a bug of ours was seen."""
        service, self._service = self._service, None
        store, self._store = self._store, None
        if service is not None:
            await service.stop()
        if store is not None:
            await store.close()
        assert self.seen("peer.bug") == []

    async def lose_power(self, *, unsynced_kept: int = 0) -> None:
        """What was not synced is lost, but for the next `unsynced_kept` batches; then it starts
        again at the same port. Needs a `MemoryDisk`."""
        assert isinstance(self.disk, MemoryDisk)
        endpoint = self.endpoint
        self.disk.power_cut(unsynced_kept=unsynced_kept)
        service, self._service = self.service, None
        store, self._store = self.store, None
        await service.stop()
        with contextlib.suppress(StoreFailed):
            await store.close()
        await self.start(endpoint)

    async def become(self, identity: Identity) -> None:
        """Starts with another identity, which takes over the database, at the same port."""
        former, endpoint = self.node_id, self.endpoint
        await self.stop()
        self.identity, self.node_id = identity, identity.node_id
        await self.start(endpoint, adopted_from=former)

    async def restart(self) -> None:
        """Stops and starts at the same port."""
        endpoint = self.endpoint
        await self.stop()
        await self.start(endpoint)

    def knows(self, other: Node, *, via: Endpoint | None = None, source: str = "mdns") -> None:
        """Tells this node where the other is."""
        self.service.peer_found(other.node_id, (via or other.endpoint,), source)

    def connected(self, other: Node) -> bool:
        return self.service.connected(other.node_id)

    def peer(self, other: Node) -> PeerStatus | None:
        """What this node says of the other."""
        return next((p for p in self.service.peers() if p.node_id == other.node_id), None)

    def seen(self, event: str) -> list[dict[str, Any]]:
        """The fields of every event of this name, of all starts."""
        return [fields for name, fields in self.events if name == event]

    async def put(self, seqs: range, *, author: str = "author", size_bytes: int = 40) -> None:
        """Stores blobs whose content depends on author and number alone."""
        log = log_of(author)
        await put(
            self.store,
            *(blob(self.store, seq, content_of(author, seq, size_bytes), log=log) for seq in seqs),
        )

    @property
    def sessions(self) -> int:
        """How many there are, proven or not."""
        return len(self.service._runners)

    async def content(self) -> Content:
        """The hash of everything held."""
        return await content_of_store(self.store)

    def _log(self, event: str, **fields: Any) -> None:
        self.events.append((event, fields))


def content_of(author: str, seq: int, size_bytes: int) -> bytes:
    """The bytes of a blob, equal on every node that stores it."""
    digest = hashlib.blake2b(f"{author} {seq}".encode()).digest()
    return (digest * (size_bytes // len(digest) + 1))[:size_bytes]


async def content_of_store(store: MailboxStore) -> Content:
    """The hash of every blob held, by log and number."""
    held: Content = {}
    after = None
    while records := await store.all_logs(after, logs_max=1_000):
        wanted = [
            (r.log, union(_ranges(run.first, run.end) for run in r.runs)) for r in records.values()
        ]
        page = await store.read(wanted, blobs_max=NO_BOUND, bytes_max=NO_BOUND, whole_bytes_max=0)
        held |= {(found.log.key, found.seq): found.content_hash for found in page.blobs}
        after = next(reversed(records))
    return held


def _ranges(first: int, end: int) -> SeqRanges:
    return SeqRanges.of(first, end)


@asynccontextmanager
async def running(disk: Disk, **how: Any) -> AsyncIterator[Node]:
    """A node, started; stopped at the end."""
    node = Node(disk, **how)
    await node.start()
    try:
        yield node
    finally:
        await node.stop()


async def joined(*nodes: Node, within_s: float = WITHIN_S) -> None:
    """Every node has a session with every other."""
    pairs = [(a, b) for a in nodes for b in nodes if a is not b]
    await eventually(lambda: all(a.connected(b) for a, b in pairs), within_s=within_s)


async def equal(*nodes: Node, within_s: float = WITHIN_S) -> Content:
    """Waits until all hold the same, which is returned; shows the difference if they never do."""
    contents: list[Content] = []
    try:
        async with asyncio.timeout(within_s):
            while True:
                contents = [await node.content() for node in nodes]
                if all(content == contents[0] for content in contents):
                    return contents[0]
                await a_while(0.01)
    except TimeoutError:
        raise AssertionError(f"held: {[len(content) for content in contents]}") from None


class Wire:
    """A cable to a listener: forwards TCP until it is cut."""

    def __init__(self, target: Endpoint) -> None:
        self.target = target
        self.dialled = 0
        self._plugged = asyncio.Event()
        self._flowing = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def endpoint(self) -> Endpoint:
        assert self._server is not None
        return Endpoint(LOOPBACK, self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> Wire:
        self._server = await asyncio.start_server(self._connected, LOOPBACK, 0)
        self.heal()
        self.thaw()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        self._flowing.set()
        assert self._server is not None
        self._server.close()

    def cut(self) -> None:
        """Every connection is reset, and new ones are."""
        self._plugged.clear()
        for writer in self._writers:
            writer.transport.abort()

    def heal(self) -> None:
        """Undoes `cut`."""
        self._plugged.set()

    def freeze(self) -> None:
        """Nothing passes, and nobody is told."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Undoes `freeze`; what was sent meanwhile arrives."""
        self._flowing.set()

    async def _connected(self, near: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        self.dialled += 1
        if not self._plugged.is_set():
            out.transport.abort()
            return
        try:
            far, into = await asyncio.open_connection(*self.target)
        except OSError:
            out.transport.abort()
            return
        self._writers |= {out, into}
        try:
            await asyncio.gather(self._forward(near, into), self._forward(far, out))
        finally:
            self._writers -= {out, into}
            out.transport.abort()
            into.transport.abort()

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65_536):
                await self._flowing.wait()
                sink.write(data)
                await sink.drain()
            sink.close()
