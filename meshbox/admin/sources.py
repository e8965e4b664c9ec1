"""What the status pages and commands are made from: the parts of a running node, as seen from here.

`admin` stands beside `sync` and may not import it; so what is told about peers comes in as a
protocol, and the node's composition fits the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from meshbox.core.address import PeerAddress
from meshbox.core.clock import SystemClock
from meshbox.core.errors import MeshboxError
from meshbox.core.ids import NodeId
from meshbox.core.internet import InternetMailbox
from meshbox.core.reachability import Family, Reach
from meshbox.storage.interface import MailboxStore


class PeerReport(Protocol):
    """One known peer, as `SyncService.peers` tells it: wall times in ms, None where there is none.

    `lag` counts blobs that the peer offered and this node lacks still.
    """

    @property
    def node_id(self) -> NodeId: ...
    @property
    def address(self) -> str | None: ...
    @property
    def source(self) -> str: ...
    @property
    def state(self) -> Enum: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def lag(self) -> int: ...
    @property
    def since_ms(self) -> int | None: ...
    @property
    def last_progress_ms(self) -> int | None: ...
    @property
    def bytes_in(self) -> int: ...
    @property
    def bytes_out(self) -> int: ...
    @property
    def blobs_in(self) -> int: ...
    @property
    def blobs_out(self) -> int: ...
    @property
    def duplicates_in(self) -> int: ...
    @property
    def misbehaved(self) -> int: ...


class HttpReport(Protocol):
    """What the apps' API does at the moment, as `HttpApi` tells it."""

    @property
    def connections(self) -> int: ...
    @property
    def waiters(self) -> int: ...
    @property
    def body_bytes_lent(self) -> int: ...
    @property
    def answer_bytes_lent(self) -> int: ...
    @property
    def answered(self) -> Mapping[tuple[str, int], int]:
        """(path, status) → answers since the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """A running node, as far as status and control look at it."""

    node_id: NodeId
    version: str
    store: MailboxStore
    system_clock: SystemClock
    http: HttpReport
    address: Callable[[], PeerAddress | None]
    """Where other nodes reach this one now; None where they cannot."""
    reachability: Callable[[], Mapping[Family, Reach]]
    """Whether the internet and this node reach each other now."""
    peers: Callable[[], Sequence[PeerReport]]
    internet: Callable[[], Sequence[InternetMailbox]]
    """The configured internet mailboxes, of both kinds."""
    uptime_ms: Callable[[], int]
    """Since the process began, by a clock that nobody sets."""
    loop_held_ms_max: Callable[[], float | None]
    warnings: Callable[[], Sequence[str]]
    """What an operator should know at all times, such as a test clock that is in use."""
    is_stopping: Callable[[], bool]
    limit_bytes: int | None
    """The storage allocated; None without a limit."""
    trouble: Callable[[], MeshboxError | None]
    """Why nothing is stored just now."""
    failed_ms: Callable[[], int | None]
    """Since when, by the wall clock; None while all is well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unopened:
    """A node that runs and has no open store yet."""

    node_id: NodeId | None
    """None before the first start got so far as to make a key."""
    version: str
    system_clock: SystemClock
    uptime_ms: Callable[[], int]
    warnings: Callable[[], Sequence[str]]
    is_stopping: Callable[[], bool]
    failed_ms: Callable[[], int | None]
    """When it could not be opened the first time; None before that."""
    next_try_ms: Callable[[], int | None]
    """When it is tried again; None while a try is under way."""
    trouble: Callable[[], MeshboxError]
    """Why it is not open."""
