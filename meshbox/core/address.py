"""Addresses as text: a peer's `meshbox://NODE-ID@HOST:PORT[,HOST:PORT…]`, a listener's `HOST:PORT`.

The peer address is the same as text, QR code and option. Knows nothing of DNS or sockets: a host
is a name, an IPv4 address, or an IPv6 address in brackets with an optional `%zone` (the interface
of a link-local address, written as it is, without percent-encoding).

Invariants: what `parse_*` returned prints (`str`) to text that parses to the same value; names
are lower-case, IPv6 addresses in their shortest form, no endpoint stands twice.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

from meshbox.core.errors import InvalidAddress, InvalidId
from meshbox.core.ids import NodeId, parse_node_id
from meshbox.core.limits import ADDRESS_ENDPOINTS_MAX, ADDRESS_LENGTH_MAX

SCHEME = "meshbox://"
PORT_MAX = 65_535
LISTENER_OFF = "off"

_HOST_LENGTH_MAX = 253
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_ZONE = re.compile(r"[A-Za-z0-9_.-]{1,15}")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT = re.compile(r"0|[1-9][0-9]{0,4}")


class Endpoint(NamedTuple):
    """A host (IPv6 without brackets, with its `%zone`) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class PeerAddress(NamedTuple):
    """A node, and where it may be reached, the likeliest first."""

    node_id: NodeId
    endpoints: tuple[Endpoint, ...]

    def __str__(self) -> str:
        return f"{SCHEME}{self.node_id}@{','.join(map(str, self.endpoints))}"


def parse_address(text: str) -> PeerAddress:
    """The peer address that `text` spells; `InvalidAddress` says what is wrong with any other."""
    if len(text) > ADDRESS_LENGTH_MAX:
        raise InvalidAddress(
            f"the address has {len(text)} characters, at most {ADDRESS_LENGTH_MAX} are allowed"
        )
    if text[: len(SCHEME)].lower() != SCHEME:
        raise InvalidAddress(f"{text!r} does not begin with {SCHEME}")
    node_text, at, hosts = text[len(SCHEME) :].partition("@")
    if not at:
        raise InvalidAddress(f"{text!r} has no '@' between node id and host")
    try:
        node_id = parse_node_id(node_text)
    except InvalidId as error:
        raise InvalidAddress(error.message, hint=error.hint) from error
    parts = hosts.split(",")
    if len(parts) > ADDRESS_ENDPOINTS_MAX:
        raise InvalidAddress(
            f"the address has {len(parts)} hosts, at most {ADDRESS_ENDPOINTS_MAX} are allowed"
        )
    return PeerAddress(node_id, tuple(dict.fromkeys(map(parse_target, parts))))


def parse_target(text: str) -> Endpoint:
    """`HOST:PORT` to be dialled or announced: port 1 … 65535, and not the address "any"."""
    endpoint = _parse_host_port(text)
    if endpoint.port == 0:
        raise InvalidAddress(f"{text!r}: nothing can be reached at port 0")
    if endpoint.host.partition("%")[0] in ("0.0.0.0", "::"):  # noqa: S104
        raise InvalidAddress(f"{text!r}: {endpoint.host} means every address of this machine")
    return endpoint


def parse_endpoint(text: str) -> Endpoint | None:
    """A listener's `HOST:PORT`, or None for `off`. Port 0 lets the system choose a free one."""
    return None if text == LISTENER_OFF else _parse_host_port(text)


def bare_ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that `host` is, None for a name: without its zone, which each side names in its
    own way; what is IPv4 within IPv6 (as a socket for both tells it) as IPv4. By this two addresses
    of one machine are compared."""
    try:
        ip = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return mapped or ip


def bare_host(host: str) -> str:
    """The same as text; a name stays one."""
    ip = bare_ip(host)
    return host.partition("%")[0] if ip is None else str(ip)


def is_address(host: str) -> bool:
    """Whether `host` is an IP address rather than a name."""
    return bare_ip(host) is not None


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine by whatever anybody's DNS says."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _parse_host_port(text: str) -> Endpoint:
    if len(text) > ADDRESS_LENGTH_MAX:
        raise InvalidAddress(f"an endpoint of {len(text)} characters")
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        raise InvalidAddress(f"{text!r} has no port", hint="write HOST:PORT")
    if not _PORT.fullmatch(port) or int(port) > PORT_MAX:
        raise InvalidAddress(f"{text!r}: {port!r} is not a port (0…{PORT_MAX})")
    if host.startswith("[") and host.endswith("]"):
        return Endpoint(_parse_ipv6(host[1:-1]), int(port))
    if ":" in host:
        raise InvalidAddress(f"{text!r}: an IPv6 address needs brackets", hint="[ADDRESS]:PORT")
    return Endpoint(_parse_name(host), int(port))


def _parse_ipv6(text: str) -> str:
    bare, percent, zone = text.partition("%")
    if percent and not _ZONE.fullmatch(zone):
        raise InvalidAddress(f"{zone!r} is not the name of an interface")
    try:
        return f"{ipaddress.IPv6Address(bare)}{percent}{zone}"
    except ValueError as error:
        raise InvalidAddress(f"{bare!r} is not an IPv6 address") from error


def _parse_name(text: str) -> str:
    """An IPv4 address or a host name; with a number as its last label it can only be the former."""
    name = text.lower()
    labels = name.split(".")
    # "127.1" and "0x7f000001" are names to no one, but addresses to some resolvers.
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError as error:
            raise InvalidAddress(f"{text!r} is not an IPv4 address") from error
    # A few letters outside ASCII have a lower case within it (the Kelvin sign): hence `text`.
    if not text.isascii() or len(name) > _HOST_LENGTH_MAX or not all(map(_LABEL.fullmatch, labels)):
        raise InvalidAddress(
            f"{text!r} is not a host name",
            hint="letters, digits, '-' and '.'; international names in their xn-- form",
        )
    return name
