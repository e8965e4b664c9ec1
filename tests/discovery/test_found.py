from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.address import Endpoint
from meshbox.core.limits import DISCOVERED_ENDPOINTS_MAX, DISCOVERY_TXT_BYTES_MAX
from meshbox.discovery.found import (
    Mailbox,
    NodeClaim,
    Peer,
    Resolved,
    encode_txt,
    parse_txt,
    read_mailbox,
    read_node,
)
from tests.discovery.ears import node

KEYS = st.text(alphabet=st.characters(codec="ascii", exclude_characters="="), max_size=20)
VALUES = st.text(alphabet=st.characters(codec="ascii"), max_size=100)


def resolved(txt: bytes, *addresses: str, port: int = 3001) -> Resolved:
    return Resolved(instance="x", port=port, addresses=addresses, txt=txt)


def told(**changes: str) -> bytes:
    pairs = {"id": node(1), "v": "1", "http": "3000", "trust": "open", "run": "abcd", **changes}
    return encode_txt({key: value for key, value in pairs.items() if value})


def test_a_node_is_read() -> None:
    claim = read_node(resolved(told(https="3443", relay="steady"), "10.0.0.1"))
    assert claim == NodeClaim(
        Peer(
            node_id=node(1),
            endpoints=(Endpoint("10.0.0.1", 3001),),
            protocol=1,
            http_port=3000,
            https_port=3443,
            trust="open",
            relay="steady",
        ),
        run="abcd",
    )


@pytest.mark.parametrize(
    "txt",
    [
        b"",
        told(id=""),
        told(id=node(1).swapcase()),
        told(id=node(1)[:-1]),
        told(v=""),
        told(v="0"),
        told(v="-1"),
        told(v="1x"),
        told(v="") + b"\x03v=\xb2",
        told() + bytes(DISCOVERY_TXT_BYTES_MAX),
    ],
)
def test_no_node_is_read_from(txt: bytes) -> None:
    assert read_node(resolved(txt, "10.0.0.1")) is None


@pytest.mark.parametrize("value", ["0", "65536", "1e3", " 80", "99999999999999", "x"])
def test_a_port_that_is_none_is_off(value: str) -> None:
    claim = read_node(resolved(told(http=value), "10.0.0.1"))
    assert claim is not None
    assert claim.peer.http_port is None


@given(st.binary(max_size=300), st.integers(-1, 70_000))
def test_any_txt_is_read_or_not_but_never_raises(txt: bytes, port: int) -> None:
    read_node(resolved(txt, "10.0.0.1", port=port))
    read_mailbox(resolved(txt, "10.0.0.1", port=port))


@given(st.dictionaries(KEYS.filter(bool), VALUES, max_size=5))
def test_txt_survives_the_wire(pairs: dict[str, str]) -> None:
    folded = {key.lower(): value for key, value in pairs.items()}
    assert parse_txt(encode_txt(folded)) == folded


def test_an_empty_txt_is_one_empty_string() -> None:
    assert encode_txt({}) == b"\0"


def test_the_first_of_a_key_counts() -> None:
    assert parse_txt(encode_txt({"ID": "a"}) + encode_txt({"id": "b"})) == {"id": "a"}


def test_a_large_txt_is_not_looked_at() -> None:
    assert parse_txt(encode_txt({"id": "a"}) + bytes(DISCOVERY_TXT_BYTES_MAX)) == {}


def test_endpoints_are_sorted_by_how_likely_they_are() -> None:
    found = read_mailbox(
        resolved(b"", "fe80::1%2", "fe80::2", "fd00::1", "10.0.0.2", "10.0.0.1", "::", "224.0.0.1")
    )
    assert found == Mailbox(
        mailbox_id="x",
        endpoints=tuple(
            Endpoint(host, 3001) for host in ("10.0.0.2", "10.0.0.1", "fd00::1", "fe80::1%2")
        ),
    )


@pytest.mark.parametrize("port", [0, -1, 65_536])
def test_nothing_is_reached_at_no_port(port: int) -> None:
    assert read_mailbox(resolved(b"", "10.0.0.1", port=port)) is None


def test_endpoints_are_bounded() -> None:
    many = tuple(Endpoint(f"10.0.0.{i}", 1) for i in range(100))
    mailbox = Mailbox(mailbox_id="x", endpoints=many[:1]).reached_also(many)
    assert mailbox.endpoints == many[:DISCOVERED_ENDPOINTS_MAX]
