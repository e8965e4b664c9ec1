"""A node of the simulation: the real store, sync service, mailbox and sweeper, on made-up parts.

What outlives the process is the machine: its disk, its clock, its identity, and what the checks
know of its disk. A process ends by `stop`, or by `crash`, which takes what was not synced.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from meshbox.core.address import Endpoint
from meshbox.core.errors import MeshboxError
from meshbox.core.ids import NodeId, node_key_of
from meshbox.core.retention import RETENTION_MAX_MS
from meshbox.core.room import Allocation
from meshbox.identity.key import Identity
from meshbox.mailbox.mailbox import Mailbox
from meshbox.mailbox.sweeping import run_sweeper
from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.sync.service import SyncService
from tests.clocks import BUILD_DATE_MS
from tests.simulation.checks import MachineWatch
from tests.simulation.clocks import MachineClock
from tests.simulation.disk import Disk
from tests.simulation.loop import Owner
from tests.simulation.network import Host, Network, SimulatedTransport
from tests.simulation.store import CheckedStore


@lru_cache(maxsize=256)
def identity_of(number: int) -> Identity:
    """The identity number `number`: in all runs the same."""
    seed = random.Random(f"identity {number}").randbytes(32)
    return Identity.of_private_key(Ed25519PrivateKey.from_private_bytes(seed))


class Process:
    """One run of a node, from its start to its end."""

    def __init__(
        self, owner: Owner, store: CheckedStore, sync: SyncService, mailbox: Mailbox
    ) -> None:
        self.owner = owner
        self.store = store
        self.sync = sync
        self.mailbox = mailbox


class Machine:
    """One node's machine."""

    def __init__(
        self,
        host: Host,
        *,
        network: Network,
        disk: Disk,
        clock: MachineClock,
        identity: Identity,
        seed: str,
        watch: MachineWatch,
        on_lost: Callable[[Machine], None],
    ) -> None:
        self.host = host
        self.disk = disk
        self.clock = clock
        self.identity = identity
        self.watch = watch
        self.rng = random.Random(f"{seed} {host.name}")
        self.process: Process | None = None
        """None while it is off, or starting."""
        self.capacity_bytes: int | None = None
        """The footprint that may be stored (core/room.py); None: no bound."""
        self.ways_out: tuple[NodeId, ...] = ()
        """The internet mailboxes that it is configured with."""
        self.peers: dict[str, Machine] = {}
        """Whose addresses it was told."""
        self.bugs: list[str] = []
        self._network = network
        self._on_lost = on_lost
        self._owner: Owner | None = None

    @property
    def name(self) -> str:
        return self.host.name

    @property
    def node_id(self) -> NodeId:
        return self.identity.node_id

    @property
    def is_off(self) -> bool:
        return self._owner is None

    async def start(self, *, adopted_from: NodeId | None = None) -> bool:
        """Opens the disk and begins; False when it does not, though the power stays."""
        assert self.is_off
        owner = self._owner = Owner()
        await asyncio.wait([owner.start(self._start(owner, adopted_from))])
        return self._owner is not owner or self.process is not None

    async def _start(self, owner: Owner, adopted_from: NodeId | None) -> None:
        store = await CheckedStore.open(
            self.disk.open(),
            system_clock=self.clock,
            retention_ms=RETENTION_MAX_MS,
            cursor_key=self.identity.derive("cursor"),
            node_id=self.node_id,
            epoch_id=self.rng.randbytes(16),
            build_date_ms=BUILD_DATE_MS,
            adopted_from=adopted_from,
            allocation=Allocation(self.capacity_bytes),
        )
        assert isinstance(store, CheckedStore)
        store.watched_by(self.watch)
        sync = SyncService(
            store=store,
            identity=self.identity,
            transport=SimulatedTransport(self._network, self.host, self.node_id, owner),
            rng=self.rng,
            node_version="simulated",
            ways_out=self.ways_out,
            log=self._log,
        )
        mailbox = Mailbox(
            store, node_key=node_key_of(self.node_id), tag_salt=b"salt", filling=sync.filling
        )
        self.process = Process(owner, store, sync, mailbox)
        await sync.start(self.host.endpoint)
        owner.start(self._keep_house(store))
        owner.start(self._notice_loss(sync))
        for peer in self.peers.values():
            self.knows(peer)

    def knows(self, peer: Machine) -> None:
        """It is told where `peer` is, now and at each start."""
        self.peers[peer.name] = peer
        self.hears_of(peer.node_id, peer.host.endpoint)

    def hears_of(self, node_id: NodeId, endpoint: Endpoint) -> None:
        """A node is announced to it, as long as it runs."""
        if self.process is not None:
            with self.process.owner.acting():
                self.process.sync.peer_found(node_id, (endpoint,), "mdns")

    def hears_no_more_of(self, node_id: NodeId) -> None:
        """The announcement of a node ended."""
        if self.process is not None:
            self.process.sync.peer_gone(node_id)

    def allow(self, capacity_bytes: int | None) -> None:
        """So much may be stored, now and after each start."""
        self.capacity_bytes = capacity_bytes
        if self.process is not None:
            self.process.store.allow(capacity_bytes)

    def is_connected(self, peer: Machine) -> bool:
        """Whether it has a session with `peer`."""
        return self.process is not None and self.process.sync.connected(peer.node_id)

    def forgets(self, peer: Machine) -> None:
        """The announcement of `peer` ended."""
        if self.peers.pop(peer.name, None):
            self.hears_no_more_of(peer.node_id)

    async def stop(self) -> None:
        """A clean stop; nothing unless it runs."""
        process, self.process = self.process, None
        if process is not None:
            await asyncio.wait([process.owner.start(_close(process))])
            if self._owner is process.owner:
                self._end(process.owner)

    def crash(self, *, unsynced_kept: int) -> None:
        """The power goes."""
        self.process = None
        if self._owner is not None:
            self.disk.power_cut(unsynced_kept=unsynced_kept)
            self._end(self._owner)

    def _end(self, owner: Owner) -> None:
        self._owner = None
        self._network.unplug(self.host)
        owner.kill()

    async def _keep_house(self, store: EmbeddedStore) -> None:
        try:
            await run_sweeper(store)
        except MeshboxError:
            """As in node/: the store failed, and the process would end. The schedule says when."""

    async def _notice_loss(self, sync: SyncService) -> None:
        await asyncio.shield(sync.failed)
        self._on_lost(self)

    def _log(self, event: str, **fields: object) -> None:
        if event == "peer.bug":
            self.bugs.append(str(fields["error"]))


async def _close(process: Process) -> None:
    await process.sync.stop()
    await process.store.close()
