"""A running node's parts as the admin pages see them: a real store in memory, peers made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from meshbox.admin.sources import Sources, Unopened
from meshbox.core.errors import StoreUnprepared
from meshbox.core.ids import NodeId
from meshbox.core.internet import InternetKind, InternetMailbox, InternetState
from meshbox.core.reachability import Diallers, Family
from meshbox.storage.interface import MailboxStore
from tests.clocks import ManualClock
from tests.mailbox.stores import NODE_ID


class State(Enum):
    CONNECTED = "connected"


class Report(NamedTuple):
    """What `SyncService.peers` would tell."""

    node_id: NodeId = NODE_ID
    address: str | None = None
    source: str = "mdns"
    state: State = State.CONNECTED
    reason: str | None = None
    lag: int = 1
    since_ms: int | None = 2
    last_progress_ms: int | None = 3
    bytes_in: int = 4
    bytes_out: int = 5
    blobs_in: int = 6
    blobs_out: int = 7
    duplicates_in: int = 8
    misbehaved: int = 9


MAILBOX = InternetMailbox(
    url="https://mailbox.example",
    kind=InternetKind.DASH_CHAT,
    node_id=None,
    state=InternetState.WAITING,
    reason="peer.lost",
    detail="it is not there",
    since_ms=1,
    last_progress_ms=2_000,
    bytes_in=3,
    bytes_out=4,
    blobs_in=5,
    blobs_out=6,
)


class Http(NamedTuple):
    """What `HttpApi` would tell."""

    connections: int = 3
    waiters: int = 2
    body_bytes_lent: int = 70_000
    answer_bytes_lent: int = 80_000
    answered: Mapping[tuple[str, int], int] = {("/blips/get", 200): 9, ("other", 404): 1}


def sources(
    store: MailboxStore,
    *,
    clock: ManualClock | None = None,
    peers: Sequence[Report] = (),
    internet: Sequence[InternetMailbox] = (),
    is_stopping: bool = False,
) -> Sources:
    return Sources(
        node_id=NODE_ID,
        version="1.2.3",
        store=store,
        system_clock=clock or ManualClock(),
        http=Http(),
        peers=lambda: peers,
        internet=lambda: internet,
        uptime_ms=lambda: 61_500,
        loop_held_ms_max=lambda: 1.5,
        address=lambda: None,
        reachability=lambda: Diallers().reach([Family.IPV4], []),
        warnings=lambda: ("mind the gap",),
        is_stopping=lambda: is_stopping,
        limit_bytes=1_000,
        trouble=lambda: store.trouble,
        failed_ms=lambda: 5,
    )


def unopened(*, node_id: NodeId | None = NODE_ID, is_stopping: bool = False) -> Unopened:
    """A node that waits for its store."""
    return Unopened(
        node_id=node_id,
        version="1.2.3",
        system_clock=ManualClock(),
        uptime_ms=lambda: 1_500,
        warnings=lambda: ("mind the gap",),
        is_stopping=lambda: is_stopping,
        failed_ms=lambda: 5,
        next_try_ms=lambda: 6,
        trouble=lambda: StoreUnprepared("no such keyspace"),
    )
