"""Whose address a request has, by the header that anybody may write."""

from __future__ import annotations

import ipaddress
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.ids import Author, LogId, Namespace, Origin, Topic
from meshbox.core.ranges import SeqRanges
from meshbox.http_api.proxies import TrustedProxies
from meshbox.storage.embedded.store import EmbeddedStore
from tests.http_api.serving import JSON_HEADERS, serving

PROXIES = TrustedProxies(map(ipaddress.ip_network, ("10.0.0.0/8", "fd00::/8", "192.0.2.1")))


@pytest.mark.parametrize(
    ("sender", "forwarded", "client"),
    [
        ("10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("fd00::1", "2001:DB8::5", "2001:db8::5"),
        ("::ffff:10.0.0.1", "203.0.113.5", "203.0.113.5"),
        # What the client claimed stands before what the proxy saw.
        ("10.0.0.1", "198.51.100.7, 203.0.113.5", "203.0.113.5"),
        # Several proxies, as long as each is trusted.
        ("10.0.0.1", "203.0.113.5, 192.0.2.1,10.9.9.9", "203.0.113.5"),
        ("10.0.0.1", "203.0.113.5, 192.0.2.2, 10.9.9.9", "192.0.2.2"),
        # A client in the proxies' own network.
        ("10.0.0.1", "10.0.0.2", "10.0.0.2"),
        # No list of addresses.
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.5, garbage", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.5:80", "10.0.0.1"),
        # Nobody who is trusted.
        ("203.0.113.9", "10.0.0.1", "203.0.113.9"),
        ("", "203.0.113.5", ""),
        ("10.0.0.1", None, "10.0.0.1"),
    ],
)
def test_the_first_from_the_end_that_is_no_proxy(
    sender: str, forwarded: str | None, client: str
) -> None:
    assert PROXIES.client(sender, forwarded) == client


@given(st.text() | st.lists(st.ip_addresses().map(str)).map(", ".join))
def test_a_stranger_is_itself_whatever_it_writes(forwarded: str) -> None:
    assert PROXIES.client("203.0.113.9", forwarded) == "203.0.113.9"
    assert TrustedProxies().client("10.0.0.1", forwarded) == "10.0.0.1"


@given(st.text(), st.ip_addresses(v=4).filter(lambda address: not address.is_private))
def test_what_a_client_writes_does_not_change_what_the_proxy_saw(
    written: str, seen: ipaddress.IPv4Address
) -> None:
    assert PROXIES.client("10.0.0.1", f"{written}, {seen}") == str(seen)


async def test_clients_behind_a_trusted_proxy_are_told_apart(store: EmbeddedStore) -> None:
    proxies = TrustedProxies([ipaddress.ip_network("127.0.0.1")])
    topics = {"trusting": proxies, "wary": TrustedProxies()}
    origins: dict[str, set[Origin]] = {}
    for topic, trusted in topics.items():
        async with serving(store, proxies=trusted) as service:
            for seq, address in enumerate(("203.0.113.5", "203.0.113.6", "203.0.113.5")):
                answer = await service.request(
                    "POST",
                    "/blips/store",
                    body=json.dumps({"blips": {topic: {"a": {seq: "aGk="}}}}).encode(),
                    headers={**JSON_HEADERS, "x-forwarded-for": address},
                )
                assert answer.status == 201
        log = LogId(Namespace.LOGS, Topic(topic), Author("a"))
        page = await store.read(
            [(log, SeqRanges.of(0, 3))], blobs_max=9, bytes_max=99, whole_bytes_max=99
        )
        origins[topic] = {blob.origin for blob in page.blobs}
    assert {topic: len(found) for topic, found in origins.items()} == {"trusting": 2, "wary": 1}
