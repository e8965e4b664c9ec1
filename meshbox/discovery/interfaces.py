"""Which network interfaces there are, and on which of them to speak mDNS.

`read_interfaces` asks the system; everything else is pure. Knows nothing of zeroconf.

The default is every interface that is up, is no loopback, tunnel or bridge of containers: there
multicast goes nowhere or to the wrong ones. Where that leaves none, loopback: two nodes on one
machine without network still meet. Inside a container eth0 is an ordinary interface.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import struct
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import ifaddr

from meshbox.core.errors import DiscoveryFailed, InvalidSetting

_IFF_UP = 0x1
_IFF_LOOPBACK = 0x8
_IFF_POINTOPOINT = 0x10
_IFF_RUNNING = 0x40
_SIOCGIFFLAGS = 0x8913
_INTERFACE_NAME = re.compile(r"[A-Za-z0-9_.:@-]{1,15}")

_VIRTUAL_PREFIXES = (
    *("docker", "br-", "virbr", "tun", "tap", "wg", "tailscale", "zt", "lxcbr", "lxdbr", "cni"),
    *("podman", "vmnet", "vboxnet", "utun", "awdl", "llw", "anpi"),
)


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Interface:
    """An interface that is up. Addresses are bare text, IPv4 before IPv6, sorted."""

    name: str
    index: int
    addresses: tuple[str, ...]
    is_running: bool = True
    """Has a carrier. Without one it keeps its addresses, but nobody hears it."""
    is_loopback: bool = False
    is_point_to_point: bool = False

    @property
    def ipv4(self) -> str | None:
        """The address by which IPv4 multicast names this interface."""
        return next((address for address in self.addresses if ":" not in address), None)

    @property
    def has_ipv6(self) -> bool:
        return any(":" in address for address in self.addresses)


def parse_interface(text: str) -> str:
    """An interface's name or one of its addresses; `InvalidSetting` for text that can be neither.

    It need not exist: it is used as soon as it does.
    """
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        if not _INTERFACE_NAME.fullmatch(text):
            raise InvalidSetting(
                f"{text!r} is neither an interface's name nor an address"
            ) from error
    return text


def choose(interfaces: Iterable[Interface], wanted: Sequence[str]) -> tuple[Interface, ...]:
    """Those to use: the `wanted` names and addresses, or by default the ordinary ones.

    A wanted address picks its interface with that address alone.
    """
    found = list(interfaces)
    if wanted:
        chosen = (_narrowed(interface, wanted) for interface in found)
        return tuple(interface for interface in chosen if interface.addresses)
    ordinary = tuple(interface for interface in found if _is_ordinary(interface))
    return ordinary or tuple(
        replace(interface, addresses=(interface.ipv4,))
        for interface in found
        if interface.is_loopback and interface.ipv4
    )


def staying(before: Iterable[Interface], now: Iterable[Interface]) -> tuple[Interface, ...]:
    """What of `before` is still there in `now`, under the same index.

    An interface that came back under another index has the same addresses, but the kernel forgot
    its multicast groups.
    """
    present = {(interface.index, address) for interface in now for address in interface.addresses}
    kept = (
        replace(
            interface,
            addresses=tuple(a for a in interface.addresses if (interface.index, a) in present),
        )
        for interface in before
    )
    return tuple(interface for interface in kept if interface.addresses)


def read_interfaces() -> tuple[Interface, ...]:
    """All interfaces that are up and have an address. Costs about 0.3 ms; `DiscoveryFailed`."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            found = [_described(adapter, sock.fileno()) for adapter in ifaddr.get_adapters()]
    except OSError as error:
        raise DiscoveryFailed(f"the network interfaces cannot be listed: {error}") from error
    return tuple(sorted(interface for interface in found if interface and interface.addresses))


def _described(adapter: ifaddr.Adapter, fileno: int) -> Interface | None:
    flags = _flags(adapter, fileno)
    if not flags & _IFF_UP or adapter.index is None:
        return None
    ips = [str(ip.ip[0] if isinstance(ip.ip, tuple) else ip.ip) for ip in adapter.ips]
    bare = {ip.partition("%")[0] for ip in ips}
    return Interface(
        name=adapter.name,
        index=adapter.index,
        addresses=tuple(sorted(bare, key=lambda ip: (":" in ip, ip))),
        is_running=bool(flags & _IFF_RUNNING),
        is_loopback=bool(flags & _IFF_LOOPBACK),
        is_point_to_point=bool(flags & _IFF_POINTOPOINT),
    )


def _flags(adapter: ifaddr.Adapter, fileno: int) -> int:
    """The interface's flags; 0 when it went meanwhile."""
    if sys.platform != "linux":
        # Elsewhere an interface that is down has no address.
        is_loopback = any(str(ip.ip).startswith("127.") for ip in adapter.ips)
        return _IFF_UP | _IFF_RUNNING | (_IFF_LOOPBACK if is_loopback else 0)
    import fcntl

    request = struct.pack("16sH22x", adapter.name.encode(), 0)
    try:
        answer = fcntl.ioctl(fileno, _SIOCGIFFLAGS, request)
    except OSError:
        return 0
    flags: int = struct.unpack_from("H", answer, 16)[0]
    return flags


def _is_ordinary(interface: Interface) -> bool:
    if interface.is_loopback or interface.is_point_to_point:
        return False
    # The host's end of a container's cable: no address but the one that the kernel made up.
    is_cable_end = interface.name.startswith("veth") and all(
        address.startswith("fe80:") for address in interface.addresses
    )
    return not is_cable_end and not interface.name.startswith(_VIRTUAL_PREFIXES)


def _narrowed(interface: Interface, wanted: Sequence[str]) -> Interface:
    if interface.name in wanted:
        return interface
    return replace(interface, addresses=tuple(a for a in interface.addresses if a in wanted))
