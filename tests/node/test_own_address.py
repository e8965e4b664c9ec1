"""Where a node says that it is reached: as it listens, and never where nobody could."""

from __future__ import annotations

from meshbox.core.address import Endpoint
from meshbox.discovery.interfaces import read_interfaces
from meshbox.identity.key import mint
from meshbox.node.own_address import own_address

NODE_ID = mint().node_id
LOOPBACK = next(i for i in read_interfaces() if i.is_loopback)


def test_a_listener_on_every_address_is_reached_at_those_of_the_chosen_interfaces() -> None:
    address = own_address(NODE_ID, Endpoint("0.0.0.0", 3001), interfaces=[LOOPBACK.name])
    assert str(address) == f"meshbox://{NODE_ID}@127.0.0.1:3001"


def test_a_listener_on_one_address_is_reached_there() -> None:
    address = own_address(NODE_ID, Endpoint("192.0.2.7", 3001), interfaces=[])
    assert str(address) == f"meshbox://{NODE_ID}@192.0.2.7:3001"


def test_an_address_of_the_link_is_left_out() -> None:
    assert own_address(NODE_ID, Endpoint("fe80::1%eth0", 3001), interfaces=[]) is None


def test_a_node_that_does_not_listen_has_no_address() -> None:
    assert own_address(NODE_ID, None, interfaces=[]) is None
    assert own_address(NODE_ID, Endpoint("0.0.0.0", 1), interfaces=["no-such-one"]) is None
