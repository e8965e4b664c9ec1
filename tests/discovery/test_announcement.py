from __future__ import annotations

import pytest

from meshbox.core.address import Endpoint
from meshbox.core.errors import InvalidSetting
from meshbox.discovery.announcement import Announcement, Record, records_of
from meshbox.discovery.found import Resolved, read_node
from meshbox.discovery.interfaces import Interface
from meshbox.discovery.names import DEFAULT_MESH
from tests.discovery.ears import node

ETH = Interface(name="eth0", index=2, addresses=("192.0.2.7", "2001:db8::7"))
LO = Interface(name="lo", index=1, addresses=("127.0.0.1",), is_loopback=True)


def records(announcement: Announcement, *interfaces: Interface) -> dict[str, Record]:
    made = records_of(
        announcement, node_id=node(1), run="aa", mesh=DEFAULT_MESH, interfaces=interfaces
    )
    return {record.type_.split(".")[0]: record for record in made}


def addresses(host: str, *interfaces: Interface) -> tuple[str, ...]:
    made = records(Announcement(http=Endpoint(host, 3000)), *interfaces)
    return made["_dashchat"].addresses if made else ()


def test_both_services_carry_the_node_id_and_their_own_port() -> None:
    made = records(
        Announcement(
            http=Endpoint("0.0.0.0", 3000),
            https=Endpoint("0.0.0.0", 3443),
            sync=Endpoint("0.0.0.0", 3001),
            protocol=2,
            trust="secret",
            relay="steady",
        ),
        ETH,
    )
    assert {name: record.port for name, record in made.items()} == {
        "_dashchat": 3000,
        "_meshbox": 3001,
    }
    assert all(record.name.startswith(f"{node(1)}._") for record in made.values())
    assert made["_dashchat"].txt == b"\0"
    claim = read_node(Resolved("x", 3001, ("192.0.2.7",), made["_meshbox"].txt))
    assert claim is not None
    assert claim.run == "aa"
    assert (claim.peer.node_id, claim.peer.protocol) == (node(1), 2)
    assert (claim.peer.http_port, claim.peer.https_port) == (3000, 3443)
    assert (claim.peer.trust, claim.peer.relay) == ("secret", "steady")


def test_what_is_off_is_not_announced() -> None:
    made = records(Announcement(sync=Endpoint("0.0.0.0", 3001)), ETH)
    assert list(made) == ["_meshbox"]
    assert b"http" not in made["_meshbox"].txt
    assert records(Announcement(), ETH) == {}


def test_what_is_announced_is_what_is_bound() -> None:
    assert addresses("0.0.0.0", ETH) == ("192.0.2.7",)
    assert addresses("::", ETH) == ("192.0.2.7", "2001:db8::7")
    assert addresses("192.0.2.7", ETH, LO) == ("192.0.2.7",)
    assert addresses("198.51.100.1", ETH) == ("198.51.100.1",)
    assert addresses("0.0.0.0") == ()


def test_loopback_is_announced_on_loopback_only() -> None:
    assert addresses("127.0.0.1", ETH) == ()
    assert addresses("127.0.0.1", LO) == ("127.0.0.1",)
    assert addresses("localhost", ETH) == ()


def test_an_advertised_endpoint_replaces_the_bound_one() -> None:
    made = records(
        Announcement(
            http=Endpoint("127.0.0.1", 3000),
            sync=Endpoint("0.0.0.0", 3001),
            http_advertised=Endpoint("203.0.113.1", 80),
        ),
        ETH,
    )
    assert (made["_dashchat"].addresses, made["_dashchat"].port) == (("203.0.113.1",), 80)
    assert (made["_meshbox"].addresses, made["_meshbox"].port) == (("192.0.2.7",), 3001)


def test_a_name_cannot_be_advertised() -> None:
    with pytest.raises(InvalidSetting, match=r"box\.example\.org"):
        Announcement(http_advertised=Endpoint("box.example.org", 80))


@pytest.mark.parametrize("word", ["two words", "x" * 17, "très"])
def test_traits_are_words(word: str) -> None:
    with pytest.raises(InvalidSetting):
        Announcement(relay=word)
