"""A node whose store is not open answers at once, and leaves nobody behind."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest

from meshbox.http_api.settings import HttpSettings
from meshbox.http_api.unopened import UnopenedApi
from meshbox.identity.certificate import LEAF_NAME, leaf
from meshbox.identity.key import mint
from meshbox.identity.tls import client_context, server_context
from tests.http_api.serving import WALL_MS, json_post

IDENTITY = mint()


@pytest.fixture
async def ports() -> AsyncIterator[tuple[int, int]]:
    """Where it listens, without and with TLS."""
    api = UnopenedApi(wall_ms=lambda: WALL_MS, settings=HttpSettings())
    plain, secure = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
    with plain, secure:
        await api.start(plain)
        await api.start(secure, tls=server_context(leaf(IDENTITY)))
        yield plain.getsockname()[1], secure.getsockname()[1]
        await api.stop()
        assert plain.fileno() != -1, "the listeners are its caller's"


@pytest.mark.parametrize("path", ["/blips/store", "/blobs/get", "/health", "/none"])
async def test_everything_is_to_be_tried_again(ports: tuple[int, int], path: str) -> None:
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{ports[0]}{path}"
        async with session.post(url, json={"blips": {}}) as answer:
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert answer.headers["access-control-allow-origin"] == "*"
            assert "not open yet" in await answer.text()
        async with session.options(url) as answer:
            assert answer.status == 200
        async with session.get(
            f"https://127.0.0.1:{ports[1]}{path}",
            ssl=client_context(IDENTITY.node_id),
            server_hostname=LEAF_NAME,
        ) as answer:
            assert answer.status == 503


async def test_a_large_body_is_not_waited_for(ports: tuple[int, int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", ports[0])
    writer.write(json_post("/blips/store", b"x" * 100, length=10**8))
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503")
    assert b"connection: close" in head
    writer.close()
