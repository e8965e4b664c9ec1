"""Addresses: what parses prints to what parses to the same, and every refusal says why."""

from __future__ import annotations

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.address import (
    Endpoint,
    PeerAddress,
    bare_host,
    is_address,
    is_loopback,
    parse_address,
    parse_endpoint,
    parse_target,
)
from meshbox.core.errors import InvalidAddress, InvalidId
from meshbox.core.ids import node_id_of
from meshbox.core.limits import ADDRESS_ENDPOINTS_MAX, ADDRESS_LENGTH_MAX

NODE = node_id_of(bytes(range(32)))

ports = st.integers(1, 65_535)
labels = st.from_regex(r"[a-z0-9_]([a-z0-9_-]{0,20}[a-z0-9_])?", fullmatch=True)
names = (
    st.lists(labels, min_size=1, max_size=4)
    .map(".".join)
    .filter(lambda name: not re.fullmatch(r"[0-9]+|0x[0-9a-f]*", name.rpartition(".")[2]))
)
ipv4 = st.ip_addresses(v=4).map(str).filter(lambda host: host != "0.0.0.0")
ipv6 = st.ip_addresses(v=6).map(str).filter(lambda host: host != "::")
zones = st.from_regex(r"(%[a-zA-Z0-9._-]{1,15})?", fullmatch=True)
hosts = names | ipv4 | st.builds(str.__add__, ipv6, zones)
endpoints = st.builds(Endpoint, hosts, ports)
addresses = st.builds(
    PeerAddress,
    st.binary(min_size=32, max_size=32).map(node_id_of),
    st.lists(endpoints, min_size=1, max_size=ADDRESS_ENDPOINTS_MAX, unique=True).map(tuple),
)


@given(addresses)
def test_an_address_prints_to_what_parses_to_it(address: PeerAddress) -> None:
    assert parse_address(str(address)) == address


@given(endpoints)
def test_an_endpoint_prints_to_what_parses_to_it(endpoint: Endpoint) -> None:
    assert parse_target(str(endpoint)) == parse_endpoint(str(endpoint)) == endpoint


PIECES = f"""meshbox:// {NODE} @ , : [ ] % host 10.0.0.1 fe80::1 eth0 1 3001 0 - . off 0x7f"""
pieces = st.sampled_from([*PIECES.split(), " ", "\n", "\0", "é", "\u212a", "٣", "\ud800"])


@given(st.lists(pieces, max_size=10).map("".join) | st.text(max_size=40))
def test_any_text_is_refused_or_parses_to_what_prints_the_same(text: str) -> None:
    for prefix in ("", f"meshbox://{NODE}@"):
        try:
            address = parse_address(prefix + text)
        except InvalidAddress:
            continue
        assert str(address).isascii()
        assert parse_address(str(address)) == address
    try:
        endpoint = parse_endpoint(text)
    except InvalidAddress:
        return
    assert endpoint is None or parse_endpoint(str(endpoint)) == endpoint


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("node.local:3001", ["node.local:3001"]),
        ("NODE.Local:3001,node.local:3001", ["node.local:3001"]),
        ("10.0.0.7:1,10.0.0.7:65535", ["10.0.0.7:1", "10.0.0.7:65535"]),
        ("[2001:DB8:0:0::1]:3001", ["[2001:db8::1]:3001"]),
        ("[fe80::1%eth0.100]:3001", ["[fe80::1%eth0.100]:3001"]),
        ("meshbox_1:3001", ["meshbox_1:3001"]),
        ("xn--bcher-kva.example:3001", ["xn--bcher-kva.example:3001"]),
    ],
)
def test_hosts_in_their_canonical_form(text: str, hosts: list[str]) -> None:
    address = parse_address(f"meshbox://{NODE}@{text}")
    assert address.node_id == NODE
    assert [str(endpoint) for endpoint in address.endpoints] == hosts


def test_the_scheme_may_be_in_any_case_and_the_node_id_may_not() -> None:
    address = parse_address(f"MeshBox://{NODE}@a:1")
    assert str(address) == f"meshbox://{NODE}@a:1"
    with pytest.raises(InvalidAddress) as caught:
        parse_address(f"meshbox://{NODE[:-1]}@a:1")
    assert isinstance(caught.value.__cause__, InvalidId)
    assert "is not a node id" in caught.value.message
    assert caught.value.hint == caught.value.__cause__.hint


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "does not begin with meshbox://"),
        (f"https://{NODE}@a:1", "does not begin with meshbox://"),
        (f"meshbox://{NODE}", "no '@'"),
        ("meshbox://@a:1", "is not a node id"),
        (f"meshbox://{NODE}@", "has no port"),
        (f"meshbox://{NODE}@a:1,", "has no port"),
        (f"meshbox://{NODE}@a", "has no port"),
        (f"meshbox://{NODE}@[::1]", "has no port"),
        (f"meshbox://{NODE}@a:", "'' is not a port"),
        (f"meshbox://{NODE}@a:1/", "'1/' is not a port"),
        (f"meshbox://{NODE}@a:01", "'01' is not a port"),
        (f"meshbox://{NODE}@a:+1", "'.1' is not a port"),
        (f"meshbox://{NODE}@a:٣", "is not a port"),
        (f"meshbox://{NODE}@a:65536", "'65536' is not a port"),
        (f"meshbox://{NODE}@a:0", "port 0"),
        (f"meshbox://{NODE}@0.0.0.0:1", "every address"),
        (f"meshbox://{NODE}@[0::0]:1", "every address"),
        (f"meshbox://{NODE}@[::%eth0]:1", "every address"),
        (f"meshbox://{NODE}@:1", "'' is not a host name"),
        (f"meshbox://{NODE}@::1:1", "needs brackets"),
        (f"meshbox://{NODE}@[::1:1", "needs brackets"),
        (f"meshbox://{NODE}@[10.0.0.1]:1", "is not an IPv6 address"),
        (f"meshbox://{NODE}@[fe80::1%]:1", "not the name of an interface"),
        (f"meshbox://{NODE}@[fe80::1%a%b]:1", "not the name of an interface"),
        (f"meshbox://{NODE}@[fe80::1%{'a' * 16}]:1", "not the name of an interface"),
        (f"meshbox://{NODE}@127.1:1", "is not an IPv4 address"),
        (f"meshbox://{NODE}@10.0.0.256:1", "is not an IPv4 address"),
        (f"meshbox://{NODE}@010.0.0.1:1", "is not an IPv4 address"),
        (f"meshbox://{NODE}@0x7F000001:1", "is not an IPv4 address"),
        (f"meshbox://{NODE}@2130706433:1", "is not an IPv4 address"),
        (f"meshbox://{NODE}@-a:1", "is not a host name"),
        (f"meshbox://{NODE}@a@b:1", "is not a host name"),
        (f"meshbox://{NODE}@a..b:1", "is not a host name"),
        (f"meshbox://{NODE}@a b:1", "is not a host name"),
        (f"meshbox://{NODE}@bücher:1", "is not a host name"),
        (f"meshbox://{NODE}@\u212a:1", "is not a host name"),
        (f"meshbox://{NODE}@{'a' * 64}:1", "is not a host name"),
        (f"meshbox://{NODE}@{'a.' * 126}aa:1", "is not a host name"),
    ],
)
def test_a_refusal_says_what_is_wrong(text: str, why: str) -> None:
    with pytest.raises(InvalidAddress, match=why):
        parse_address(text)


def test_bounds() -> None:
    most = [f"[{ipaddress.IPv6Address(2**128 - n)}%{'z' * 15}]:65535" for n in range(1, 17)]
    assert len(parse_address(f"meshbox://{NODE}@{','.join(most)}").endpoints) == 16
    with pytest.raises(InvalidAddress, match="17 hosts, at most 16"):
        parse_address(f"meshbox://{NODE}@{','.join([*most, 'a:1'])}")
    with pytest.raises(InvalidAddress, match="characters, at most"):
        parse_address("x" * (ADDRESS_LENGTH_MAX + 1))
    with pytest.raises(InvalidAddress, match="does not begin"):
        parse_address("x" * ADDRESS_LENGTH_MAX)
    longest = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])
    assert parse_target(f"{longest}:1").host == longest
    with pytest.raises(InvalidAddress, match="is not a host name"):
        parse_target(f"{longest}d:1")
    for parse in (parse_target, parse_endpoint):
        with pytest.raises(InvalidAddress, match="has no port"):
            parse("x" * ADDRESS_LENGTH_MAX)
        with pytest.raises(InvalidAddress, match="characters") as caught:
            parse("x" * 10**6)
        assert len(str(caught.value)) < 100


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("off", None),
        ("127.0.0.1:0", Endpoint("127.0.0.1", 0)),
        ("0.0.0.0:3000", Endpoint("0.0.0.0", 3000)),
        ("[::]:3000", Endpoint("::", 3000)),
        ("off:1", Endpoint("off", 1)),
    ],
)
def test_a_listener_may_be_off_or_anywhere(text: str, endpoint: Endpoint | None) -> None:
    assert parse_endpoint(text) == endpoint


def test_off_is_nothing_to_dial() -> None:
    with pytest.raises(InvalidAddress, match="has no port"):
        parse_target("off")


@pytest.mark.parametrize(
    ("host", "bare"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("FE80:0:0::1%2", "fe80::1"),
        ("south.local", "south.local"),
        ("south.local%eth0", "south.local"),
    ],
)
def test_one_address_has_one_bare_host(host: str, bare: str) -> None:
    assert bare_host(host) == bare


def test_a_name_is_no_address() -> None:
    assert all(map(is_address, ["10.0.0.1", "fe80::1%eth0"]))
    assert not any(map(is_address, ["south.local", "", "10.0.0"]))


def test_loopback_is_what_no_dns_decides() -> None:
    assert all(map(is_loopback, ["localhost", "127.0.0.1", "127.255.0.1", "::1"]))
    assert not any(map(is_loopback, ["10.0.0.1", "localhost.example", "::", "example"]))
