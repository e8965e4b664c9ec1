"""What was found on the LAN: nodes and mailboxes, read from resolved mDNS records.

Pure. Everything here is a hint written by strangers: an id is compared exactly and never folded,
and only TLS to that id decides who answers. A record that makes no sense is None, never an error,
because nobody on this side is to blame for it.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple, Protocol, Self

from meshbox.core.address import PORT_MAX, Endpoint
from meshbox.core.errors import InvalidId
from meshbox.core.ids import NodeId, parse_node_id
from meshbox.core.limits import DISCOVERED_ENDPOINTS_MAX, DISCOVERY_TXT_BYTES_MAX
from meshbox.discovery.swarm.packet import BYE, mailbox_id_of, read_strings

_WORD_LENGTH_MAX = 16


class Resolved(NamedTuple):
    """The records of one instance: SRV port, addresses (the freshest first), the raw TXT record."""

    instance: str
    port: int
    addresses: tuple[str, ...]
    txt: bytes


class Found(Protocol):
    """Something that is told apart by `key` and reached at `endpoints`."""

    @property
    def key(self) -> str: ...
    @property
    def endpoints(self) -> tuple[Endpoint, ...]: ...
    def reached_also(self, endpoints: tuple[Endpoint, ...]) -> Self: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A node that announces itself. `endpoints` are its gRPC ones; ports are None where off."""

    node_id: NodeId
    endpoints: tuple[Endpoint, ...]
    protocol: int
    http_port: int | None = None
    https_port: int | None = None
    trust: str = ""
    relay: str = ""

    @property
    def key(self) -> str:
        return self.node_id

    def reached_also(self, endpoints: tuple[Endpoint, ...]) -> Peer:
        """This peer with more endpoints behind its own."""
        return replace(self, endpoints=_joined(self.endpoints, endpoints))


class Dialect(StrEnum):
    """The two ways in which mailboxes announce themselves by mDNS."""

    STANDARD = "standard"
    """DNS-SD, as apps up to 0.19 read it."""
    SWARM = "swarm"
    """That of the library swarm-discovery, which apps from 0.20 on read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """An HTTP mailbox for the apps. `mailbox_id` is opaque: only a meshbox's is a node id."""

    mailbox_id: str
    endpoints: tuple[Endpoint, ...]
    dialect: Dialect = Dialect.STANDARD

    @property
    def key(self) -> str:
        return self.mailbox_id

    def reached_also(self, endpoints: tuple[Endpoint, ...]) -> Mailbox:
        """This mailbox with more endpoints behind its own."""
        return replace(self, endpoints=_joined(self.endpoints, endpoints))


class NodeClaim(NamedTuple):
    """A peer as its TXT record tells it, and `run`, by which a process knows its own records."""

    peer: Peer
    run: str


def read_node(resolved: Resolved) -> NodeClaim | None:
    """The node that the records describe, or None."""
    txt = parse_txt(resolved.txt)
    try:
        node_id = parse_node_id(txt.get("id", ""))
    except InvalidId:
        return None
    endpoints = _endpoints(resolved)
    protocol = _number(txt.get("v"), most=2**31)
    if not endpoints or protocol is None:
        return None
    peer = Peer(
        node_id=node_id,
        endpoints=endpoints,
        protocol=protocol,
        http_port=_number(txt.get("http"), most=PORT_MAX),
        https_port=_number(txt.get("https"), most=PORT_MAX),
        trust=_word(txt.get("trust")),
        relay=_word(txt.get("relay")),
    )
    return NodeClaim(peer, _word(txt.get("run")))


def read_mailbox(resolved: Resolved) -> Mailbox | None:
    """The mailbox that the records describe, or None."""
    endpoints = _endpoints(resolved)
    if len(resolved.txt) > DISCOVERY_TXT_BYTES_MAX or BYE in read_strings(resolved.txt):
        return None
    # Some mailboxes of apps from 0.20 on announce their label in the standard way too.
    mailbox_id = mailbox_id_of(resolved.instance) or resolved.instance
    return Mailbox(mailbox_id=mailbox_id, endpoints=endpoints) if endpoints else None


def read_sighting(mailbox_id: str, endpoints: tuple[Endpoint, ...]) -> Mailbox | None:
    """The mailbox that an answer of the swarm dialect tells of, or None."""
    usable = tuple(at for at in endpoints if 0 < at.port <= PORT_MAX and _is_usable(at.host))
    if not usable:
        return None
    return Mailbox(mailbox_id=mailbox_id, endpoints=usable, dialect=Dialect.SWARM)


def parse_txt(raw: bytes) -> dict[str, str]:
    """The `key=value` strings of a TXT record (RFC 6763, 6); the first of a key counts."""
    found: dict[str, str] = {}
    if len(raw) > DISCOVERY_TXT_BYTES_MAX:
        return found
    for string in read_strings(raw):
        key, equals, value = string.partition(b"=")
        if equals:
            found.setdefault(
                key.decode("ascii", "replace").lower(), value.decode("ascii", "replace")
            )
    return found


def encode_txt(pairs: dict[str, str]) -> bytes:
    """The TXT record of `pairs`; one empty string where there are none, as RFC 6763, 6.1 asks."""
    strings = [f"{key}={value}".encode("ascii") for key, value in pairs.items()]
    assert all(len(string) < 256 for string in strings)
    return b"".join(bytes([len(string)]) + string for string in strings) or b"\0"


def _endpoints(resolved: Resolved) -> tuple[Endpoint, ...]:
    """IPv4 first, link-local IPv6 last: the order in which dialling is likely to succeed."""
    if not 0 < resolved.port <= PORT_MAX:
        return ()
    usable = [address for address in resolved.addresses if _is_usable(address)]
    usable.sort(key=lambda address: 2 * ("%" in address) + (":" in address))
    return _joined((), tuple(Endpoint(address, resolved.port) for address in usable))


def _is_usable(address: str) -> bool:
    bare, _, zone = address.partition("%")
    ip = ipaddress.ip_address(bare)
    # A link-local address that came over IPv4 carries no zone, and none can be guessed.
    is_scoped = ip.version == 4 or not ip.is_link_local or bool(zone)
    return is_scoped and not ip.is_multicast and not ip.is_unspecified


def _joined(first: tuple[Endpoint, ...], more: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    return tuple(dict.fromkeys(first + more))[:DISCOVERED_ENDPOINTS_MAX]


def _number(text: str | None, *, most: int) -> int | None:
    if text is None or len(text) > 10 or not (text.isascii() and text.isdecimal()):
        return None
    return number if 0 < (number := int(text)) <= most else None


def is_word(text: str) -> bool:
    """Whether `text` may stand for a trust mode or relay class in a TXT record."""
    return len(text) <= _WORD_LENGTH_MAX and text.isalnum() and text.isascii()


def _word(text: str | None) -> str:
    return text if text and is_word(text) else ""
