"""What this node says of itself, and which mDNS records follow from it.

Pure. What is announced is what is bound: a listener on every address is announced with the
addresses of the chosen interfaces, a listener on one address with exactly that one, and a listener
on loopback only where loopback is all that is browsed, since elsewhere 127.0.0.1 is somebody else.
A service without any address is not announced.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from meshbox.core.address import Endpoint
from meshbox.core.errors import InvalidSetting
from meshbox.core.ids import NodeId
from meshbox.core.limits import DISCOVERED_ENDPOINTS_MAX
from meshbox.discovery.found import encode_txt, is_word
from meshbox.discovery.interfaces import Interface
from meshbox.discovery.names import MeshName, Service, host_name, instance_name, service_type

ANY_IPV4 = "0.0.0.0"  # noqa: S104
ANY_IPV6 = "::"


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """The listeners as they are bound (None where off), and what nodes tell each other.

    `http_advertised` and `sync_advertised` replace address and port of their service (a proxy, a
    published port); their hosts must be IP addresses (`InvalidSetting`), since mDNS carries no
    others. `protocol` is the version of the sync protocol, `trust` is open, secret or list,
    `relay` the relay class ("" for none).
    """

    http: Endpoint | None = None
    https: Endpoint | None = None
    sync: Endpoint | None = None
    http_advertised: Endpoint | None = None
    sync_advertised: Endpoint | None = None
    protocol: int = 1
    trust: str = "open"
    relay: str = ""

    def __post_init__(self) -> None:
        for endpoint in (self.http_advertised, self.sync_advertised):
            if endpoint is not None:
                _check_advertised(endpoint)
        for word in (self.trust, self.relay):
            if word and not is_word(word):
                raise InvalidSetting(f"{word!r} is not one short word of letters and digits")


class Record(NamedTuple):
    """One service to announce: its full name, SRV target and port, addresses and TXT record."""

    service: Service
    type_: str
    name: str
    host: str
    port: int
    addresses: tuple[str, ...]
    txt: bytes


def records_of(
    announcement: Announcement,
    *,
    node_id: NodeId,
    run: str,
    mesh: MeshName,
    interfaces: Sequence[Interface],
) -> list[Record]:
    """The records to announce on `interfaces`; none for a service that is off or has no address."""
    http = announcement.http_advertised or announcement.http
    sync = announcement.sync_advertised or announcement.sync
    told = {
        "id": node_id,
        "v": str(announcement.protocol),
        "http": str(http.port) if http and announcement.http else "",
        "https": str(announcement.https.port) if announcement.https else "",
        "trust": announcement.trust,
        "relay": announcement.relay,
        "run": run,
    }
    wanted = [
        # The apps' own mailboxes have no TXT record worth the name either.
        (Service.MAILBOX, http if announcement.http else None, encode_txt({})),
        (
            Service.NODE,
            sync if announcement.sync else None,
            encode_txt({key: value for key, value in told.items() if value}),
        ),
    ]
    records = []
    for service, endpoint, txt in wanted:
        addresses = reachable_addresses(endpoint, interfaces) if endpoint else ()
        if endpoint and addresses:
            type_ = service_type(service, mesh)
            name = instance_name(node_id, type_)
            host = host_name(node_id, service)
            records.append(Record(service, type_, name, host, endpoint.port, addresses, txt))
    return records


def reachable_addresses(endpoint: Endpoint, interfaces: Sequence[Interface]) -> tuple[str, ...]:
    """The addresses of `interfaces` at which a listener bound to `endpoint` is reached."""
    ours = [address for interface in interfaces for address in interface.addresses]
    if endpoint.host == ANY_IPV4:
        ours = [address for address in ours if ":" not in address]
    elif endpoint.host != ANY_IPV6:
        is_here = endpoint.host in ours or not _is_loopback(endpoint.host)
        ours = [endpoint.host] if is_here else []
    return tuple(dict.fromkeys(ours))[:DISCOVERED_ENDPOINTS_MAX]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return True  # A name is not an address that mDNS could carry.


def _check_advertised(endpoint: Endpoint) -> None:
    try:
        ipaddress.ip_address(endpoint.host.partition("%")[0])
    except ValueError as error:
        raise InvalidSetting(
            f"{endpoint.host!r} cannot be announced by mDNS, which carries IP addresses only",
            hint="advertise an address, or turn mDNS off and name the peers",
        ) from error
