"""What the packets of the swarm dialect say, and those that we send.

Pure. What a client needs to list a mailbox: an SRV record of class exactly 1 among the answers and,
among the additionals, an A or AAAA record of class exactly 1 at the SRV's target, `x.local`. A
packet that asks the service's question is a query, whatever else is in it.

No PTR: apps up to 0.19 would list the label as a second mailbox. TTL 0: whoever keeps a cache does
not keep this. So what is built is what swarm-discovery 0.6.0 sends, byte for byte.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Sequence
from typing import NamedTuple

from meshbox.core.address import Endpoint
from meshbox.core.ids import NodeId, node_key_of
from meshbox.core.limits import DISCOVERED_ENDPOINTS_MAX, SWARM_PACKET_BYTES_MAX
from meshbox.discovery.swarm import wire

BYE = b"bye"
"""The attribute by which the apps' own mailboxes take their leave; a TTL of 0 means nothing."""

_KEY_BYTES = 32
_LABEL_LENGTH = 52
_LOCAL = (b"local",)


class Sighting(NamedTuple):
    """A mailbox as one packet tells of it. The label is lower-case; whose it is nobody proved."""

    label: str
    endpoints: tuple[Endpoint, ...]
    is_leaving: bool


class Packet(NamedTuple):
    """What a packet says about one service: a question, or mailboxes (perhaps none)."""

    is_query: bool
    sightings: tuple[Sighting, ...]


_NOTHING = Packet(is_query=False, sightings=())
_QUERY = Packet(is_query=True, sightings=())


def label_of(node_id: NodeId) -> str:
    """How a mailbox is called here: its key in base32 (RFC 4648), no padding, lower-case."""
    return base64.b32encode(node_key_of(node_id)).rstrip(b"=").decode().lower()


def mailbox_id_of(label: str) -> str | None:
    """The id by which the apps know the mailbox of `label`; None for labels that they ignore."""
    if len(label) != _LABEL_LENGTH:
        return None
    try:
        key = base64.b32decode(label.upper() + "====")
    except (binascii.Error, ValueError):
        return None
    assert len(key) == _KEY_BYTES
    return base64.urlsafe_b64encode(key).rstrip(b"=").decode()


def read_strings(txt: bytes) -> list[bytes]:
    """The strings of a TXT record (RFC 6763, 6), which end with it at the latest."""
    found, at = [], 0
    while at < len(txt):
        end = at + 1 + txt[at]
        found.append(txt[at + 1 : end])
        at = end
    return found


def query(type_: str) -> bytes:
    """Asks who offers `type_`, e.g. `_dashchat._tcp.local.`"""
    return wire.encode_question(wire.parse_name(type_))


def answer(
    type_: str, *, label: str, port: int, addresses: Sequence[str], is_leaving: bool
) -> bytes:
    """Tells that the mailbox `label` is at `port` of these IPv4 addresses."""
    name = wire.encode_name(wire.parse_name(f"{label}.{type_}"))
    host = wire.parse_name(f"{label}-{port}.local.")
    answers = [wire.encode_record(name, wire.SRV, wire.encode_srv(port, host))]
    host_at = wire.HEADER_BYTES + len(answers[0]) - len(wire.encode_name(host))
    if is_leaving:
        text = bytes([len(BYE)]) + BYE
        answers.append(wire.encode_record(wire.encode_pointer(wire.HEADER_BYTES), wire.TXT, text))
    return wire.encode_response(
        answers,
        [
            wire.encode_record(
                wire.encode_pointer(host_at), wire.A, ipaddress.IPv4Address(address).packed
            )
            for address in addresses
        ],
    )


def read(data: bytes, type_: str) -> Packet:
    """What `data` says about `type_`: nothing, if it is malformed, too large or of other things."""
    service = wire.parse_name(type_)
    # A quick test first: most of what comes is of other services.
    if len(data) > SWARM_PACKET_BYTES_MAX or service[0] not in data.lower():
        return _NOTHING
    try:
        message = wire.read_message(data)
    except wire.Malformed:
        return _NOTHING
    if service in message.asked:
        return _QUERY
    return Packet(is_query=False, sightings=_sightings(message, service))


def _sightings(message: wire.Message, service: wire.Name) -> tuple[Sighting, ...]:
    targets: dict[wire.Name, list[tuple[bytes, int]]] = {}
    leaving: set[bytes] = set()
    for record in message.answers:
        if record.name[1:] != service:
            continue
        if record.type_ == wire.SRV:
            targets.setdefault(record.target, []).append((record.name[0], record.port))
        elif record.type_ == wire.TXT and BYE in read_strings(record.rdata):
            leaving.add(record.name[0])
    endpoints: dict[bytes, dict[Endpoint, None]] = {}
    for record in message.additionals:
        if record.type_ not in (wire.A, wire.AAAA) or record.name[1:] != _LOCAL:
            continue
        host = str(ipaddress.ip_address(record.rdata))
        for label, port in targets.get(record.name, ()):
            endpoints.setdefault(label, {})[Endpoint(host, port)] = None
    return tuple(
        Sighting(
            label.decode("ascii", "replace"),
            tuple(found)[:DISCOVERED_ENDPOINTS_MAX],
            label in leaving,
        )
        for label, found in endpoints.items()
    )
