"""Mailboxes beyond the LAN: their addresses as text, and what is told of each (design.md 10).

    meshbox://NODE-ID@HOST:PORT[,…]   another meshbox node: the same protocol as on the LAN
    https://HOST[:PORT]               a Dash Chat mailbox server, over HTTP
    http://HOST[:PORT]                the same on this machine alone, for tests

Invariant: what `parse_internet` returned prints (`str`) to text that parses to the same value.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final, NamedTuple

from meshbox.core.address import (
    SCHEME,
    Endpoint,
    PeerAddress,
    is_loopback,
    parse_address,
    parse_target,
)
from meshbox.core.errors import InvalidAddress
from meshbox.core.ids import NodeId

_PORTS: Final = {"https": 443, "http": 80}
_URL: Final = re.compile(r"(https?)://([^/?#]+)/?", re.IGNORECASE)
_PORT: Final = re.compile(r":[0-9]*")


class WebAddress(NamedTuple):
    """A Dash Chat mailbox server."""

    scheme: str
    """`https`, or `http` on loopback."""
    endpoint: Endpoint

    def __str__(self) -> str:
        text = str(self.endpoint)
        return f"{self.scheme}://{text.removesuffix(f':{_PORTS[self.scheme]}')}"


InternetAddress = PeerAddress | WebAddress


class InternetKind(StrEnum):
    """What stands at an address, and so how it is spoken to."""

    MESHBOX = "meshbox"
    DASH_CHAT = "dash-chat"


class InternetState(StrEnum):
    """Whether an internet mailbox is there for us."""

    CONNECTED = "connected"
    """A session is open, or the last exchange went well."""
    CONNECTING = "connecting"
    """It is being tried just now, and was not there before."""
    WAITING = "waiting"
    """It was not there; tried again soon, and at once after a network change."""
    STANDBY = "standby"
    """Another process of this mailbox exchanges with it; when that goes, this one does."""


class InternetMailbox(NamedTuple):
    """One configured internet mailbox, as status and metrics tell it. Wall times in ms.

    Counters are of this run of the node.
    """

    url: str
    kind: InternetKind
    node_id: NodeId | None
    """Of a meshbox node: its row in the peers tells more."""
    state: InternetState
    reason: str | None
    """Code of why it is not there; None while connected or before the first try."""
    detail: str | None
    """The same for people."""
    since_ms: int | None
    """Since when it is connected, or since when it is not."""
    last_progress_ms: int | None
    """When something last came from it or was taken by it."""
    bytes_in: int
    bytes_out: int
    blobs_in: int
    blobs_out: int


def parse_internet(text: str) -> InternetAddress:
    """The address that `text` spells; `InvalidAddress` says what is wrong with any other."""
    if text[: len(SCHEME)].lower() == SCHEME:
        return parse_address(text)
    url = _URL.fullmatch(text)
    if url is None:
        raise InvalidAddress(
            f"{text!r} is not the address of a mailbox",
            hint="https://HOST, or meshbox://NODE-ID@HOST:PORT",
        )
    scheme, host = url[1].lower(), url[2]
    has_port = _PORT.search(host.rpartition("]")[2])
    endpoint = parse_target(host if has_port else f"{host}:{_PORTS[scheme]}")
    if scheme == "http" and not is_loopback(endpoint.host):
        raise InvalidAddress(f"{text!r}: only https:// is safe beyond this machine")
    return WebAddress(scheme, endpoint)
