"""What discovery tells its listener. Hints all: who answers is decided by TLS to the id."""

from __future__ import annotations

from dataclasses import dataclass

from meshbox.core.errors import DiscoveryFailed
from meshbox.discovery.found import Mailbox, Peer


@dataclass(frozen=True, slots=True)
class PeerFound:
    peer: Peer


@dataclass(frozen=True, slots=True)
class PeerChanged:
    """Other endpoints, ports or traits than told before: what was resolved is to be replaced."""

    peer: Peer


@dataclass(frozen=True, slots=True)
class PeerGone:
    """Said goodbye, or neither connected nor answering; `peer` is what was told last."""

    peer: Peer


@dataclass(frozen=True, slots=True)
class MailboxFound:
    mailbox: Mailbox


@dataclass(frozen=True, slots=True)
class MailboxChanged:
    mailbox: Mailbox


@dataclass(frozen=True, slots=True)
class MailboxGone:
    mailbox: Mailbox


@dataclass(frozen=True, slots=True)
class CloneSeen:
    """Somebody else announces our own id. Told once a process that does."""

    peer: Peer


@dataclass(frozen=True, slots=True)
class NetworkChanged:
    """Interfaces came, went or got other addresses; `addresses` are those now in use."""

    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Troubled:
    """mDNS cannot be spoken as it should; tried again every 5 s, told once a message."""

    error: DiscoveryFailed


Event = (
    PeerFound
    | PeerChanged
    | PeerGone
    | MailboxFound
    | MailboxChanged
    | MailboxGone
    | CloneSeen
    | NetworkChanged
    | Troubled
)
