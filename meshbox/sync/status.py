"""What is told about a peer (design.md 13, `peers[]` of the status document)."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from meshbox.core.ids import NodeId


class PeerState(Enum):
    """Where the session with a peer stands."""

    CONNECTED = "connected"
    CONNECTING = "connecting"
    WAITING = "waiting"
    """Not connected; dialled again after a while, or when it is announced."""


class PeerStatus(NamedTuple):
    """One known peer."""

    node_id: NodeId
    address: str | None
    """Where it is dialled, `HOST:PORT`; None of one that only dialled us."""
    source: str
    """How it became known: mdns, static, internet, told or inbound."""
    state: PeerState
    reason: str | None
    """Code of the last session's end, or of why it is not reached; None while connected, or
    before anything was tried."""
    detail: str | None
    """The same for people."""
    lag: int
    """Blobs that it offered and we lack still."""
    since_ms: int | None
    """Wall time when the present session was proven."""
    lost_ms: int | None
    """Wall time when the last session ended, or it became known; None while connected."""
    last_progress_ms: int | None
    """Wall time when something of its feed was last settled or received."""
    bytes_in: int
    bytes_out: int
    blobs_in: int
    blobs_out: int
    duplicates_in: int
    misbehaved: int
    """Sessions that it broke the rules of."""
