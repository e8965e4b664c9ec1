"""The network: the interfaces in use, multicast on each, who else speaks mDNS, the way out."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Final

from meshbox.core.errors import DiscoveryFailed
from meshbox.core.reachability import Family
from meshbox.discovery.echo import Echo, listen_for_echo
from meshbox.discovery.interfaces import Interface
from meshbox.node.checkup.check import Check, State
from meshbox.node.checkup.holders import Holder, holders

_MDNS_PORT: Final = 5353
_AVAHI: Final = "avahi-daemon"


def check_interfaces(chosen: Sequence[Interface], wanted: Sequence[str]) -> Check:
    """Whether there is a network to be found on."""
    if not chosen and wanted:
        detail = f"there is no {' nor '.join(wanted)} with an address"
        return Check("interfaces", State.FAIL, detail, "check --interface and the cable or Wi-Fi")
    if not chosen:
        return Check("interfaces", State.FAIL, "no interface has an address", "connect a network")
    shown = "; ".join(f"{at.name} {' '.join(at.addresses)}" for at in chosen)
    if all(at.is_loopback for at in chosen):
        return Check("interfaces", State.WARN, f"{shown}: no other machine", "connect a network")
    cut = [at.name for at in chosen if not at.is_running]
    if cut:
        detail = f"{shown}; no carrier on {', '.join(cut)}"
        return Check("interfaces", State.WARN, detail, "check the cable or the access point")
    return Check("interfaces", State.OK, shown)


async def check_multicast(chosen: Sequence[Interface]) -> list[Check]:
    """Multicast out of and in by each interface, all at the same time."""
    return list(await asyncio.gather(*map(_multicast, chosen)))


async def _multicast(interface: Interface) -> Check:
    name = f"multicast.{interface.name}"
    if interface.ipv4 is None:
        return Check(name, State.UNKNOWN, "no IPv4 address, which the apps' mDNS needs")
    try:
        echo = await listen_for_echo(interface)
    except DiscoveryFailed as error:
        return Check(name, State.FAIL, error.message, error.hint)
    return _judged(name, echo)


def _judged(name: str, echo: Echo) -> Check:
    if not echo.is_heard:
        hint = "a firewall of this machine, or a driver without multicast; see the check firewall"
        return Check(name, State.FAIL, "our own question was not heard", hint)
    if not echo.neighbours:
        detail = "out and in; no neighbour answered, so whether they hear us is not known"
        hint = "if there should be some: client isolation of the access point blocks multicast"
        return Check(name, State.OK, detail, hint)
    return Check(name, State.OK, f"out and in; neighbours that answered: {len(echo.neighbours)}")


def check_mdns_port(own_pid: int | None) -> Check:
    """Who else speaks mDNS on this machine. Sharing is usual; that it works, multicast shows."""
    others = [holder for holder in holders("udp", _MDNS_PORT) if holder.pid != own_pid]
    return _shared(others)


def _shared(others: Sequence[Holder]) -> Check:
    if not others:
        return Check("mdns-port", State.OK, "no other program has UDP port 5353, as far as is seen")
    detail = f"UDP port 5353 is shared with {', '.join(map(str, others))}"
    hint = None
    if any(other.name == _AVAHI for other in others):
        hint = "avahi may stay; it must not have disallow-other-stacks=yes in avahi-daemon.conf"
    return Check("mdns-port", State.OK, detail, hint)


def check_internet(routes: Collection[Family]) -> Check:
    """Whether there is a way out. A mailbox on a LAN needs none."""
    if not routes:
        detail = "no way out; neighbours are served all the same"
        return Check("internet", State.OK, detail)
    return Check("internet", State.OK, f"a way out by {' and '.join(sorted(routes))}")
