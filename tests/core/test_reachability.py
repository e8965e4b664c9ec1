from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.reachability import Dialled, Diallers, Family, answers_come_to

HOME = [ipaddress.ip_network("192.168.1.0/24"), ipaddress.ip_network("2a01:4f8:1:2::/64")]
ELSEWHERE = [ipaddress.ip_network("10.0.0.0/8"), HOME[1]]
BOTH = [Family.IPV4, Family.IPV6]


@pytest.mark.parametrize(
    ("source", "come"),
    [
        ("192.168.1.7", True),
        ("100.64.0.7", True),
        ("2a01:4f8:1:2::7", True),
        ("169.254.1.7", False),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("fe80::7%eth0", False),
        ("fd00::7", False),
        ("2a01:4f8:1:2::7%eth0", True),
        ("fd00::7%eth0", False),
        ("::1", False),
        ("::", False),
    ],
)
def test_where_answers_come_to(source: str, *, come: bool) -> None:
    assert answers_come_to(source) is come


def dialled(diallers: Diallers, family: Family, networks: list = HOME) -> bool:
    return diallers.reach(BOTH, networks)[family].dialled is Dialled.YES


@pytest.mark.parametrize(
    ("host", "family"),
    [
        ("9.9.9.9", Family.IPV4),
        ("::ffff:9.9.9.9", Family.IPV4),
        ("2a01:4f8:9:9::9", Family.IPV6),
    ],
)
def test_a_peer_from_beyond_shows_that_its_family_reaches_us(host: str, family: Family) -> None:
    diallers = Diallers()
    diallers.note(host, lambda: HOME)
    assert [each for each in Family if dialled(diallers, each)] == [family]


@pytest.mark.parametrize(
    "host",
    ["192.168.1.9", "10.1.1.1", "127.0.0.1", "fe80::9%eth0", "fd00::9", "2a01:4f8:1:2::9", "::1"],
)
def test_a_neighbour_shows_nothing(host: str) -> None:
    diallers = Diallers()
    diallers.note(host, lambda: HOME)
    assert not any(dialled(diallers, family) for family in Family)


def test_on_other_networks_it_is_unknown_again_for_the_family_that_moved() -> None:
    diallers = Diallers()
    diallers.note("9.9.9.9", lambda: HOME)
    diallers.note("2a01:4f8:9:9::9", lambda: HOME)
    assert not dialled(diallers, Family.IPV4, ELSEWHERE)
    assert dialled(diallers, Family.IPV6, ELSEWHERE)
    assert dialled(diallers, Family.IPV4)


@given(st.ip_addresses())
def test_any_address_is_taken_and_shows_one_family_at_most(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    diallers = Diallers()
    diallers.note(str(address), lambda: HOME)
    assert sum(dialled(diallers, family) for family in Family) <= 1


@given(st.sets(st.sampled_from(BOTH)))
def test_the_routes_are_told_as_they_are(routes: set[Family]) -> None:
    reach = Diallers().reach(routes, HOME)
    assert {family for family in Family if reach[family].has_route} == routes


def test_a_move_of_the_other_family_leaves_what_is_known() -> None:
    diallers = Diallers()
    diallers.note("9.9.9.9", lambda: HOME)
    moved = [HOME[0], ipaddress.ip_network("2a01:4f8:7:7::/64")]
    assert dialled(diallers, Family.IPV4, moved)
