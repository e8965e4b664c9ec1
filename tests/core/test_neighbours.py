from __future__ import annotations

import ipaddress

import pytest

from meshbox.core.neighbours import is_neighbour
from meshbox.core.reachability import Network

OURS: list[Network] = [
    ipaddress.ip_network("198.51.100.0/24"),
    ipaddress.ip_network("2a00:1:2:3::/64"),
]


@pytest.mark.parametrize(
    "host",
    [
        *("10.77.0.1", "192.168.1.9", "172.16.3.4", "169.254.7.7", "100.64.0.1", "fd00::1"),
        *("198.51.100.7", "2a00:1:2:3::9"),
    ],
)
def test_who_is_told(host: str) -> None:
    assert is_neighbour(host, lambda: OURS)


@pytest.mark.parametrize(
    "host",
    [
        *("9.9.9.9", "2a00:1:2:4::9", "127.0.0.1", "::1", "0.0.0.0", "::", "224.0.0.251"),
        *("ff02::fb", "fe80::1", "fe80::1%eth0", "::ffff:10.0.0.1", "south.local", ""),
    ],
)
def test_who_is_not(host: str) -> None:
    assert not is_neighbour(host, lambda: OURS)


def test_our_networks_are_looked_up_for_a_global_address_alone() -> None:
    looks = 0

    def networks() -> list[Network]:
        nonlocal looks
        looks += 1
        return OURS

    for host in ("10.77.0.1", "fd00::1", "127.0.0.1", "south.local"):
        is_neighbour(host, networks)
    assert looks == 0
    is_neighbour("9.9.9.9", networks)
    assert looks == 1
