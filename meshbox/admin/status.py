"""The status document of a running node (design.md 13), and how it is made from its parts.

One document for the admin listener, the control socket and `meshbox status --json`. Fields are
added, never changed in meaning, while the schema stays the same.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from typing import Final

import msgspec

from meshbox.admin.sources import PeerReport, Sources, Unopened
from meshbox.core.internet import InternetMailbox

STATUS_SCHEMA: Final = "meshbox.status/1"
PEERS_SCHEMA: Final = "meshbox.peers/1"

_STATM: Final = Path("/proc/self/statm")


class ClockStatus(msgspec.Struct, frozen=True):
    """Node time and the wall clock, in ms, as of the document."""

    node_time_ms: int
    wall_ms: int
    synchronised: bool


class StorageStatus(msgspec.Struct, frozen=True):
    """What is stored. `used_bytes` is disk, `limit_bytes` what is allocated (None: no limit)."""

    used_bytes: int
    limit_bytes: int | None
    messages: int
    message_bytes: int
    logs: int
    conflicts: int
    evicted: int
    expired: int


class PeerEntry(msgspec.Struct, frozen=True):
    """One known peer; see `PeerReport`."""

    node_id: str
    address: str | None
    source: str
    state: str
    reason: str | None
    lag: int
    since_ms: int | None
    last_progress_ms: int | None
    bytes_in: int
    bytes_out: int
    blobs_in: int
    blobs_out: int
    duplicates_in: int
    misbehaved: int
    """Sessions that it broke the rules of."""


class InternetEntry(msgspec.Struct, frozen=True):
    """One configured internet mailbox; see `InternetMailbox`."""

    url: str
    kind: str
    node_id: str | None
    state: str
    reason: str | None
    detail: str | None
    since_ms: int | None
    last_progress_ms: int | None
    bytes_in: int
    bytes_out: int
    blobs_in: int
    blobs_out: int


class ReachStatus(msgspec.Struct, frozen=True):
    """One address family: a way out to the internet, and whether a peer from there dialled us."""

    route: bool
    dialled: str
    """`yes`, or `unknown` until a peer does."""


class StoreStatus(msgspec.Struct, frozen=True):
    """Whether messages can be stored; times are wall times in ms."""

    state: str
    """`open`, `failed` (nothing is stored just now), or `opening` (it was not open since the
    start)."""
    reason: str | None = None
    """A code of docs/errors.md."""
    detail: str | None = None
    """The same for people, with what to do."""
    since_ms: int | None = None
    next_try_ms: int | None = None
    """Only while it is `opening`, and no try is under way."""


class StatusDocument(msgspec.Struct, frozen=True):
    """The status of a node. `epoch` is hexadecimal; `loop_held_ms_max` see node/loop_watch.py."""

    schema: str
    node_id: str
    address: str | None
    """As `--peer` and `meshbox qr` have it; None where no other node could reach this one."""
    version: str
    pid: int
    epoch: str
    change: int
    durable_change: int
    clock: ClockStatus
    storage: StorageStatus
    relayed: int
    uptime_ms: int
    rss_bytes: int
    loop_held_ms_max: float | None
    peers: list[PeerEntry]
    internet: list[InternetEntry]
    reachability: dict[str, ReachStatus]
    store: StoreStatus
    warnings: list[str]


class UnopenedDocument(msgspec.Struct, frozen=True):
    """The same names of a node whose store is not open yet: null is what it cannot know."""

    schema: str
    node_id: str | None
    version: str
    pid: int
    clock: dict[str, int | bool | None]
    uptime_ms: int
    rss_bytes: int
    store: StoreStatus
    warnings: list[str]
    address: None = None
    epoch: None = None
    change: None = None
    durable_change: None = None
    storage: dict[str, None] = msgspec.field(
        default_factory=lambda: dict.fromkeys(StorageStatus.__struct_fields__)
    )
    relayed: None = None
    loop_held_ms_max: None = None
    peers: tuple[()] = ()
    internet: tuple[()] = ()
    reachability: dict[str, ReachStatus] = {}


class PeersDocument(msgspec.Struct, frozen=True):
    """The peers alone."""

    schema: str
    node_id: str
    peers: list[PeerEntry]


async def status(sources: Sources) -> StatusDocument:
    """The document as of now. `StoreFailed`."""
    store = sources.store
    held = await store.statistics()
    reading = sources.system_clock.read()
    return StatusDocument(
        schema=STATUS_SCHEMA,
        node_id=sources.node_id,
        address=str(address) if (address := sources.address()) else None,
        version=sources.version,
        pid=os.getpid(),
        epoch=store.epoch.id.hex(),
        change=store.change,
        durable_change=store.durable_change,
        clock=ClockStatus(store.now_ms(), reading.wall_ms, reading.synchronised),
        storage=StorageStatus(
            used_bytes=held.used_bytes,
            limit_bytes=sources.limit_bytes,
            messages=held.blobs,
            message_bytes=held.bytes,
            logs=held.logs,
            conflicts=held.conflicts,
            evicted=held.evicted,
            expired=held.expired,
        ),
        relayed=held.relayed,
        uptime_ms=sources.uptime_ms(),
        rss_bytes=rss_bytes(),
        loop_held_ms_max=sources.loop_held_ms_max(),
        peers=[_entry(peer) for peer in sources.peers()],
        internet=[_internet_entry(mailbox) for mailbox in sources.internet()],
        reachability={
            family.value: ReachStatus(reach.has_route, reach.dialled.value)
            for family, reach in sources.reachability().items()
        },
        store=_store_status(sources, "failed" if sources.trouble() else "open"),
        warnings=list(sources.warnings()),
    )


def unopened_status(sources: Unopened) -> UnopenedDocument:
    """The document of a node whose store is not open yet."""
    reading = sources.system_clock.read()
    return UnopenedDocument(
        schema=STATUS_SCHEMA,
        node_id=sources.node_id,
        version=sources.version,
        pid=os.getpid(),
        clock={
            "node_time_ms": None,
            "wall_ms": reading.wall_ms,
            "synchronised": reading.synchronised,
        },
        uptime_ms=sources.uptime_ms(),
        rss_bytes=rss_bytes(),
        store=_store_status(sources, "opening", next_try_ms=sources.next_try_ms()),
        warnings=list(sources.warnings()),
    )


def peers(sources: Sources) -> PeersDocument:
    """The peers as of now."""
    entries = [_entry(peer) for peer in sources.peers()]
    return PeersDocument(PEERS_SCHEMA, sources.node_id, entries)


def rss_bytes() -> int:
    """Resident memory of this process; the greatest it ever had where only that is told (macOS)."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _store_status(
    sources: Sources | Unopened, state: str, *, next_try_ms: int | None = None
) -> StoreStatus:
    trouble = sources.trouble()
    if trouble is None:
        return StoreStatus(state)
    return StoreStatus(state, trouble.code, str(trouble), sources.failed_ms(), next_try_ms)


def _entry(peer: PeerReport) -> PeerEntry:
    return PeerEntry(
        node_id=peer.node_id,
        address=peer.address,
        source=peer.source,
        state=str(peer.state.value),
        reason=peer.reason,
        lag=peer.lag,
        since_ms=peer.since_ms,
        last_progress_ms=peer.last_progress_ms,
        bytes_in=peer.bytes_in,
        bytes_out=peer.bytes_out,
        blobs_in=peer.blobs_in,
        blobs_out=peer.blobs_out,
        duplicates_in=peer.duplicates_in,
        misbehaved=peer.misbehaved,
    )


def _internet_entry(mailbox: InternetMailbox) -> InternetEntry:
    return InternetEntry(
        url=mailbox.url,
        kind=mailbox.kind.value,
        node_id=mailbox.node_id,
        state=mailbox.state.value,
        reason=mailbox.reason,
        detail=mailbox.detail,
        since_ms=mailbox.since_ms,
        last_progress_ms=mailbox.last_progress_ms,
        bytes_in=mailbox.bytes_in,
        bytes_out=mailbox.bytes_out,
        blobs_in=mailbox.blobs_in,
        blobs_out=mailbox.blobs_out,
    )
