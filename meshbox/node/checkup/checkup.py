"""All checks of one machine, for the settings with which a node is to run there."""

from __future__ import annotations

from meshbox.core.errors import DiscoveryFailed
from meshbox.discovery.interfaces import choose, read_interfaces
from meshbox.discovery.routes import read_routes
from meshbox.mailbox.system_clock import OperatingSystemClock
from meshbox.node.checkup.check import Check, State
from meshbox.node.checkup.firewall import check_firewall
from meshbox.node.checkup.machine import check_clock, check_disk
from meshbox.node.checkup.network import (
    check_interfaces,
    check_internet,
    check_mdns_port,
    check_multicast,
)
from meshbox.node.checkup.ports import check_port
from meshbox.node.settings import Settings


async def all_of(settings: Settings, *, own_pid: int | None) -> list[Check]:
    """The checks in the order in which to mend; about 2 s. `own_pid`: the node that runs here."""
    listeners = {
        "http": settings.http,
        "https": settings.https,
        "sync": settings.sync,
        "admin": settings.admin,
    }
    return [
        check_disk(settings.data_dir),
        check_clock(OperatingSystemClock.from_environment().read()),
        *(check_port(name, at, own_pid=own_pid) for name, at in listeners.items()),
        *await _network(settings, own_pid=own_pid),
        check_internet(read_routes()),
    ]


async def _network(settings: Settings, *, own_pid: int | None) -> list[Check]:
    if not settings.mdns:
        return [Check("mdns", State.OK, "off: only those who know the address find this node")]
    try:
        chosen = choose(read_interfaces(), settings.interface)
    except DiscoveryFailed as error:
        return [Check("interfaces", State.FAIL, error.message, error.hint)]
    return [
        check_interfaces(chosen, settings.interface),
        check_mdns_port(own_pid),
        check_firewall(),
        *await check_multicast(chosen),
    ]
