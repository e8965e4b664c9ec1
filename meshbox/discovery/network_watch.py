"""Notices that interfaces or addresses may have changed.

On Linux the kernel says so (netlink); everywhere a look every 5 s finds what was not said. Knows
nothing of what an interface is good for: it only calls for a look.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

LOOK_INTERVAL_S = 5.0
DEBOUNCE_S = 0.5
"""An interface that comes up sends a dozen messages: link, carrier, each address."""

_RTMGRP_LINK = 0x1
_RTMGRP_IPV4_IFADDR = 0x10
_RTMGRP_IPV6_IFADDR = 0x100
_MESSAGE_BYTES_MAX = 65_536


async def watch_network(look: Callable[[], Awaitable[None]]) -> None:
    """Calls `look` half a second after the kernel speaks, and every 5 s; never returns."""
    spoken = asyncio.Event()
    netlink = _open_netlink()
    loop = asyncio.get_running_loop()
    if netlink is not None:
        loop.add_reader(netlink.fileno(), _drain, netlink, spoken)
    try:
        while True:
            if await _is_spoken(spoken):
                await asyncio.sleep(DEBOUNCE_S)
                spoken.clear()
            await look()
    finally:
        if netlink is not None:
            loop.remove_reader(netlink.fileno())
            netlink.close()


async def _is_spoken(spoken: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(LOOK_INTERVAL_S):
            await spoken.wait()
    except TimeoutError:
        return False
    return True


def _open_netlink() -> socket.socket | None:
    """A socket on which the kernel tells of links and addresses; None where there is no such."""
    family = getattr(socket, "AF_NETLINK", None)
    if family is None:
        return None
    kinds = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    try:
        netlink = socket.socket(family, kinds, socket.NETLINK_ROUTE)
    except OSError:  # A sandbox may forbid it; the look every 5 s remains.
        return None
    try:
        netlink.bind((0, _RTMGRP_LINK | _RTMGRP_IPV4_IFADDR | _RTMGRP_IPV6_IFADDR))
    except OSError:
        netlink.close()
        return None
    return netlink


def _drain(netlink: socket.socket, spoken: asyncio.Event) -> None:
    """Empties the socket; what the messages say is found by looking."""
    spoken.set()
    try:
        while netlink.recv(_MESSAGE_BYTES_MAX):
            pass
    except OSError:
        return  # Empty, or it overflowed (ENOBUFS): either way a look is due.
