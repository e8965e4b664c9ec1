"""Ways out as the kernel knows them, in a network namespace whose routes come and go."""

from __future__ import annotations

import ipaddress
import subprocess
import sys

import pytest

from meshbox.discovery.routes import read_networks, source_address
from scripts.lines.lab import Lab

READER = """
from meshbox.discovery.routes import read_networks, read_routes
print(*sorted(read_routes()))
"""


@pytest.mark.lab
def test_the_ways_out_are_those_of_the_kernel() -> None:
    with Lab(machines=1) as lab:
        machine = lab.machines[0]

        def routes() -> list[str]:
            argv = lab.argv(machine, [sys.executable, "-c", READER])
            return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()

        assert routes() == []
        lab.ip(machine, "route", "add", "default", "via", "10.77.0.99")
        assert routes() == ["ipv4"]
        lab.ip(machine, "addr", "add", "fd00::7/64", "dev", "eth0", "nodad")
        lab.ip(machine, "-6", "route", "add", "default", "via", "fd00::99", "dev", "eth0")
        assert routes() == ["ipv4"]
        lab.ip(machine, "addr", "add", "2a01:4f8:1:2::7/64", "dev", "eth0", "nodad")
        assert routes() == ["ipv4", "ipv6"]
        lab.ip(machine, "route", "del", "default")
        assert routes() == ["ipv6"]


def test_our_own_networks_are_read() -> None:
    assert ipaddress.ip_network("127.0.0.0/8") in read_networks()


def test_packets_to_this_machine_come_from_it() -> None:
    assert source_address("127.0.0.1") == "127.0.0.1"
    assert source_address("no address") is None
