"""Addresses of internet mailboxes: what parses prints to the same, the rest is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.address import Endpoint, PeerAddress
from meshbox.core.errors import InvalidAddress
from meshbox.core.internet import WebAddress, parse_internet
from tests.core.test_address import NODE, endpoints, ports

web = st.builds(WebAddress, st.just("https"), endpoints) | st.builds(
    WebAddress,
    st.just("http"),
    st.builds(Endpoint, st.sampled_from(["localhost", "127.0.0.1", "127.9.9.9", "::1"]), ports),
)


@given(web)
def test_a_web_address_prints_to_what_parses_to_it(address: WebAddress) -> None:
    assert parse_internet(str(address)) == address


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://mailbox.example", "https://mailbox.example"),
        ("HTTPS://Mailbox.Example:443/", "https://mailbox.example"),
        ("https://mailbox.example:8443", "https://mailbox.example:8443"),
        ("https://[2001:DB8::1]", "https://[2001:db8::1]"),
        ("https://[2001:db8::1]:444", "https://[2001:db8::1]:444"),
        ("http://127.0.0.1", "http://127.0.0.1"),
        ("http://localhost:8080", "http://localhost:8080"),
    ],
)
def test_ports_that_go_without_saying(text: str, shown: str) -> None:
    assert str(parse_internet(text)) == shown


def test_a_node_is_named_as_any_peer_is() -> None:
    text = f"meshbox://{NODE}@mailbox.example:3001"
    address = PeerAddress(NODE, (Endpoint("mailbox.example", 3001),))
    assert parse_internet(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "mailbox.example", "ftp://mailbox.example", "https://", "https://:443"),
        *("https://a.example/path", "https://a.example?x", "https://a.example#x"),
        *("https://user@a.example", "https://user:pass@a.example", "https://a.example:0"),
        *("https://a.example:65536", "https://a.example:port", "https://0.0.0.0"),
        *("https://2001:db8::1", "http://a.example", "http://10.0.0.1", "http://0x7f000001"),
        *("http://localhost.example", "meshbox://short@a.example:1", "https://a b.example"),
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidAddress):
        parse_internet(text)


@given(st.text(max_size=40))
def test_any_text_is_refused_or_prints_to_what_parses_to_the_same(text: str) -> None:
    for prefix in ("", "https://", "http://"):
        try:
            address = parse_internet(prefix + text)
        except InvalidAddress:
            continue
        assert parse_internet(str(address)) == address
