from __future__ import annotations

import socket

import pytest

from meshbox.core.errors import InvalidSetting
from meshbox.discovery.interfaces import (
    Interface,
    choose,
    parse_interface,
    read_interfaces,
    staying,
)

LO = Interface(name="lo", index=1, addresses=("127.0.0.1", "::1"), is_loopback=True)
ETH = Interface(name="eth0", index=2, addresses=("192.0.2.7", "2001:db8::7", "fe80::7"))
WLAN = Interface(name="wlan0", index=3, addresses=("198.51.100.7",))
TUNNEL = Interface(name="ppp0", index=4, addresses=("10.8.0.2",), is_point_to_point=True)
DOCKER = Interface(name="docker0", index=5, addresses=("172.17.0.1",))
BRIDGE = Interface(name="br-0a1b2c", index=6, addresses=("172.18.0.1",))
LAN_BRIDGE = Interface(name="br0", index=7, addresses=("192.0.2.8",))
CABLE_END = Interface(name="veth12ab", index=8, addresses=("fe80::8",))
VETH = Interface(name="veth0", index=9, addresses=("10.77.0.1", "fe80::9"))


def test_by_default_the_ordinary_ones_are_chosen() -> None:
    everything = [LO, ETH, WLAN, TUNNEL, DOCKER, BRIDGE, LAN_BRIDGE, CABLE_END, VETH]
    assert choose(everything, ()) == (ETH, WLAN, LAN_BRIDGE, VETH)


def test_loopback_is_chosen_where_nothing_else_is() -> None:
    alone = Interface(name="lo", index=1, addresses=("127.0.0.1",), is_loopback=True)
    assert choose([LO, DOCKER], ()) == (alone,)
    assert choose([], ()) == ()


def test_wanted_are_names_and_addresses_of_whatever_kind() -> None:
    assert choose([LO, ETH, WLAN, DOCKER], ["docker0", "wlan0"]) == (WLAN, DOCKER)
    chosen = choose([LO, ETH], ["127.0.0.1", "2001:db8::7"])
    assert [interface.addresses for interface in chosen] == [("127.0.0.1",), ("2001:db8::7",)]
    assert choose([LO, ETH], ["eth9"]) == ()


def test_what_stays_has_the_same_index_and_address() -> None:
    moved = Interface(name="eth1", index=12, addresses=ETH.addresses)
    renumbered = Interface(name="eth0", index=2, addresses=("192.0.2.9", "fe80::7"))
    assert staying([ETH, WLAN], [moved, WLAN]) == (WLAN,)
    assert [i.addresses for i in staying([ETH], [renumbered])] == [("fe80::7",)]
    assert staying([ETH], [ETH, WLAN]) == (ETH,)


def test_the_system_has_a_loopback_that_is_up() -> None:
    found = [interface for interface in read_interfaces() if interface.is_loopback]
    assert "127.0.0.1" in [interface.ipv4 for interface in found]
    assert all(socket.if_nametoindex(interface.name) == interface.index for interface in found)


@pytest.mark.parametrize("text", ["eth0", "wlp0s20f3", "127.0.0.1", "fe80::1", "eth0.100"])
def test_an_interface_is_a_name_or_an_address(text: str) -> None:
    assert parse_interface(text) == text


@pytest.mark.parametrize("text", ["", "a" * 16, "eth 0", "10.0.0.0/8", "eth0\n"])
def test_an_interface_is_nothing_else(text: str) -> None:
    with pytest.raises(InvalidSetting):
        parse_interface(text)
