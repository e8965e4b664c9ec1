"""Listening sockets: both families, free ports, one clear fault."""

from __future__ import annotations

import socket

import pytest

from meshbox.core.errors import ListenFailed
from meshbox.http_api.listening import open_listener


@pytest.mark.parametrize("host", ["", "::"])
def test_all_interfaces_means_both_families(host: str) -> None:
    with open_listener(host, 0) as listener:
        port = listener.getsockname()[1]
        assert port != 0
        for address in ("127.0.0.1", "::1"):
            with socket.create_connection((address, port), timeout=5):
                accepted, _ = listener.accept()
                accepted.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "localhost"])
def test_one_address_is_just_that(host: str) -> None:
    with open_listener(host, 0) as listener:
        assert listener.getsockname()[0] in (host, "127.0.0.1", "::1")


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("192.0.2.1", 0),
        ("no such host.invalid", 0),
        ("x" * 300, 0),
        ("127.0.0.1", 70_000),
        ("::", -1),
    ],
)
def test_what_cannot_be_had_is_a_named_fault(host: str, port: int) -> None:
    with pytest.raises(ListenFailed):
        open_listener(host, port)


def test_a_taken_port_is_a_named_fault() -> None:
    with open_listener("127.0.0.1", 0) as listener, pytest.raises(ListenFailed, match="in use"):
        open_listener("127.0.0.1", listener.getsockname()[1])
