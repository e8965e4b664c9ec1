"""A node whose network changes under it, as phones of every kind see it: never lost, never stale.

One node goes through everything that field reports tell of, with the libraries of the apps on two
LANs beside it (wire 0 and wire 1). Each step has its time.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from meshbox.core.ids import NodeId
from meshbox.discovery.swarm.packet import label_of
from scripts.demo_steps.waiting import until
from scripts.lines.lab import Lab
from tests.interop.phone import Phone, build
from tests.interop.test_phones import Programs, browsers, name_for, node_on
from tests.lab import require_lab
from tests.node.processes import RunningNode
from tests.waiting import stand_by

pytestmark = [
    pytest.mark.usefixtures("_needs_lab"),
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("phones"),
]

ANEW_S_MAX = 2.0
STALE_S_MAX = 5.0
PATIENCE_S = 15.0

Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def _needs_lab() -> None:
    require_lab()


@pytest.fixture(scope="module")
def programs() -> Programs:
    return build()


class Watch:
    """The phones on one wire, and what they say of a node."""

    def __init__(self, phones: dict[str, Phone]) -> None:
        self.phones = phones
        for phone in phones.values():
            phone.until(lambda phone=phone: bool(phone.lines), within_s=PATIENCE_S)  # type: ignore[misc]

    def lists(self, node: RunningNode, *addresses: str) -> float:
        """Waits until all list the node at an address; the seconds until the last did."""
        return self._wait(node, lambda listed: listed >= set(addresses))

    def lists_only(self, node: RunningNode, *addresses: str) -> float:
        """Waits until all list the node at these IPv4 addresses and no others."""
        return self._wait(node, lambda listed: listed == set(addresses))

    def lost(self) -> list[str]:
        """What was ever taken for gone."""
        return [
            f"{kind}: {line}"
            for kind, phone in self.phones.items()
            for line in phone.lines
            if line.event == "gone"
        ]

    def _wait(self, node: RunningNode, is_so: Callable[[set[str]], bool]) -> float:
        begun = time.monotonic()

        def all_do() -> bool:
            return all(
                is_so(ipv4(phone, name_for(kind, node))) for kind, phone in self.phones.items()
            )

        assert until(all_do, seconds=PATIENCE_S, pause_s=0.02), {
            kind: phone.lines for kind, phone in self.phones.items()
        }
        return time.monotonic() - begun


def ipv4(phone: Phone, name: str) -> set[str]:
    line = phone.listed().get(name)
    return {address for address in line.addresses if ":" not in address} if line else set()


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(machines=3, wires=[[0], [0], [1]]) as made:
        yield made


def test_a_node_follows_its_network(
    lab: Lab, tmp_path: Path, programs: Programs, record_property: Record
) -> None:
    machine = lab.machines[0]
    here = Watch(browsers(lab, lab.machines[1], programs))
    there = Watch(browsers(lab, lab.machines[2], programs))
    figures: dict[str, float] = {}
    stale: dict[str, float] = {}
    on_0, on_1 = "10.77.0.1", "10.78.0.1"

    lab.ip(machine, "link", "set", "eth0", "down")
    with node_on(lab, 0, tmp_path) as node:
        lab.ip(machine, "link", "set", "eth0", "up")
        figures["started before any address"] = here.lists(node, on_0)

        lab.plug(machine, wire=1)
        figures["a second interface plugged in"] = there.lists(node, on_1)
        lab.unplug(machine, wire=1)
        stale["a second interface unplugged"] = here.lists_only(node, on_0)
        assert here.lost() == []

        lab.ip(machine, "addr", "del", f"{on_0}/16", "dev", "eth0")
        lab.ip(machine, "addr", "add", "10.77.0.9/16", "dev", "eth0")
        figures["another address"] = here.lists(node, "10.77.0.9")
        stale["another address"] = here.lists_only(node, "10.77.0.9")
        assert here.lost() == []

        lab.ip(machine, "link", "add", "br0", "type", "bridge")
        lab.ip(machine, "link", "set", "eth0", "master", "br0")
        lab.ip(machine, "addr", "flush", "dev", "eth0")
        lab.ip(machine, "addr", "add", "10.77.0.8/16", "dev", "br0")
        lab.ip(machine, "link", "set", "br0", "up")
        figures["a bridge that appears later"] = here.lists(node, "10.77.0.8")
        stale["a bridge that appears later"] = here.lists_only(node, "10.77.0.8")
        assert here.lost() == []

        lab.ip(machine, "link", "del", "br0")
        lab.unplug(machine)
        lab.plug(machine, interface="eth5")
        figures["returned under another name"] = here.lists(node, on_0)
        stale["returned under another name"] = here.lists_only(node, on_0)

        node.process.send_signal(signal.SIGSTOP)
        stand_by(4)  # It is as if it slept: by now the phones of 0.20 have dropped it.
        node.process.send_signal(signal.SIGCONT)
        figures["slept and woke"] = here.lists(node, on_0)

        lab.unplug(machine)
        lab.plug(machine, wire=1, interface="wlan0")
        figures["left one LAN and joined another"] = there.lists(node, on_1)
        stale["left one LAN and joined another"] = there.lists_only(node, on_1)
        assert node.stop() == 0
    for name, seconds in figures.items():
        record_property(name, round(seconds, 2))
    for name, seconds in stale.items():
        record_property(f"stale after: {name}", round(seconds, 2))
    assert max(figures.values()) < ANEW_S_MAX, figures
    assert max(stale.values()) < STALE_S_MAX, stale


def test_addresses_that_no_neighbour_reaches_are_announced_only_when_told(
    lab: Lab, tmp_path: Path, programs: Programs
) -> None:
    machine = lab.machines[0]
    lab.ip(machine, "tuntap", "add", "dev", "vpn0", "mode", "tun")
    lab.ip(machine, "link", "add", "docker0", "type", "bridge")
    lab.ip(machine, "link", "add", "br-0a1b2c3d", "type", "bridge")
    for at, interface in enumerate(("vpn0", "docker0", "br-0a1b2c3d")):
        lab.ip(machine, "addr", "add", f"10.200.{at}.1/24", "dev", interface)
        lab.ip(machine, "link", "set", interface, "up")
    watch = Watch(browsers(lab, lab.machines[1], programs))
    with node_on(lab, 0, tmp_path) as node:
        watch.lists_only(node, "10.77.0.1")
        assert node.stop() == 0
    told = ("--interface", "eth0", "--interface", "docker0")
    watch = Watch(browsers(lab, lab.machines[1], programs))
    with node_on(lab, 0, tmp_path, *told) as node:
        # The new dialect tells on each interface what is reached through it.
        assert watch.phones["old swarm"].lists(label_of(NodeId(node.node_id)), within_s=PATIENCE_S)
        standard = watch.phones["old standard"]
        standard.until(
            lambda: ipv4(standard, node.node_id) == {"10.77.0.1", "10.200.1.1"},
            within_s=PATIENCE_S,
        )
        assert node.stop() == 0
