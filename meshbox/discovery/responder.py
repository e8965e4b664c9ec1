"""One zeroconf instance, and the interfaces that it speaks on.

Wraps opening, moving between interfaces and closing. What is announced and browsed through it is
the business of `announcer` and `browser`.

zeroconf 0.154 compares interfaces by address alone. An interface that went and came back with its
address under another index (a container reconnected to its network) therefore changes nothing for
it, though the kernel dropped the multicast group with the old one: that instance hears nobody for
good. Measured in network namespaces: `async_update_interfaces` without the moved address and then
with it joins the group anew and recovers, keeping cache, browsers and announcements. No goodbye
is sent, so that peers see nothing but a fresh announcement. Whoever calls `speak_on` has to take
those two steps (`interfaces.staying` is the first).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable

from zeroconf import Error, IPVersion, Zeroconf
from zeroconf.asyncio import AsyncZeroconf

from meshbox.core.errors import DiscoveryFailed
from meshbox.discovery.interfaces import Interface

CLOSE_S_MAX = 1.5
"""Three goodbyes take 0.25 s."""


class Responder:
    """mDNS on UDP port 5353, shared with any other responder of the machine."""

    def __init__(self) -> None:
        """Opens the port, on no interface yet. Needs a running event loop; `DiscoveryFailed`."""
        self._has_ipv6 = _has_ipv6()
        version = IPVersion.All if self._has_ipv6 else IPVersion.V4Only
        try:
            self._aio = AsyncZeroconf(interfaces=[], ip_version=version)
        except (OSError, Error, RuntimeError) as error:
            raise DiscoveryFailed(
                f"UDP port 5353 cannot be opened: {error}",
                hint="another mDNS responder may refuse to share it (avahi: disallow-other-stacks)",
            ) from error

    @property
    def aio(self) -> AsyncZeroconf:
        return self._aio

    @property
    def zeroconf(self) -> Zeroconf:
        return self._aio.zeroconf

    async def speak_on(self, interfaces: Iterable[Interface]) -> bool:
        """Joins and leaves until it speaks on exactly these; whether it joined any.

        Where it joined, what is registered is announced anew (0.45 s). Free where nothing changed,
        and worth repeating: an IPv6 address that is still being checked for duplicates cannot be
        bound yet, and zeroconf skips it. `DiscoveryFailed`.
        """
        by_index: dict[int, str] = {}
        ipv6: dict[int, None] = {}
        for interface in interfaces:
            if interface.ipv4:
                # One address an interface: the group is joined by interface, and once.
                by_index.setdefault(interface.index, interface.ipv4)
            # Multicast over ::1 does not work, so loopback is IPv4 only.
            if interface.has_ipv6 and self._has_ipv6 and not interface.is_loopback:
                ipv6[interface.index] = None
        before = self._spoken_on()
        try:
            await self._aio.async_update_interfaces([*by_index.values(), *ipv6])
        except (OSError, Error, RuntimeError) as error:
            raise DiscoveryFailed(f"mDNS cannot use the network: {error}") from error
        return not self._spoken_on() <= before

    def _spoken_on(self) -> set[tuple[str, int]]:
        return {sender.interface_key for sender in self.zeroconf.engine.senders}

    async def close(self) -> None:
        """Says goodbye for what is announced and closes the port, within 1.5 s."""
        try:
            async with asyncio.timeout(CLOSE_S_MAX):
                await self._aio.async_close()
        except TimeoutError:
            self.zeroconf.close()


def _has_ipv6() -> bool:
    """Whether the kernel speaks IPv6; it can be turned off altogether."""
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
    except OSError:
        return False
    return True
