"""Listening sockets: what is bound is what is told, and what cannot be bound is told clearly."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from meshbox.core.address import Endpoint
from meshbox.core.errors import ListenFailed
from meshbox.node.listeners import listen


def reaches(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=5):
            return True
    except OSError:
        return False


def test_a_free_port_is_told() -> None:
    with closing(listen("http", Endpoint("127.0.0.1", 0))) as listener:
        assert listener.endpoint.host == "127.0.0.1"
        assert listener.endpoint.port > 0
        assert reaches("127.0.0.1", listener.endpoint.port)
    assert not reaches("127.0.0.1", listener.endpoint.port)


def test_any_ipv6_is_dual_stack() -> None:
    with closing(listen("http", Endpoint("::", 0))) as listener:
        assert listener.endpoint.host in ("::", "0.0.0.0")
        assert reaches("127.0.0.1", listener.endpoint.port)
        assert reaches("::1", listener.endpoint.port) or not socket.has_ipv6


def test_any_ipv4_is_ipv4_alone() -> None:
    with closing(listen("http", Endpoint("0.0.0.0", 0))) as listener:
        assert reaches("127.0.0.1", listener.endpoint.port)
        assert not reaches("::1", listener.endpoint.port)


def test_a_name_is_bound_on_each_of_its_addresses_with_one_port() -> None:
    with closing(listen("admin", Endpoint("localhost", 0))) as listener:
        ports = {s.getsockname()[1] for s in listener.sockets}
        assert ports == {listener.endpoint.port}
        assert reaches("localhost", listener.endpoint.port)


@pytest.mark.parametrize("host", ["127.0.0.1", "::", "localhost"])
def test_a_taken_port_is_told_with_its_setting(host: str) -> None:
    with (
        closing(listen("http", Endpoint(host, 0))) as first,
        pytest.raises(ListenFailed, match=r"^https: cannot listen on .*another program"),
    ):
        listen("https", first.endpoint)


@pytest.mark.parametrize("host", ["203.0.113.7", "no-such-name.invalid"])
def test_an_address_that_is_not_ours_is_told(host: str) -> None:
    with pytest.raises(ListenFailed, match=r"^sync: cannot listen on"):
        listen("sync", Endpoint(host, 0))
