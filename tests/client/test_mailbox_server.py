"""One mailbox server over HTTP, in both generations, and what is done with what it may answer."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from meshbox.client.mailbox_server import MailboxServer
from meshbox.core.errors import PeerUnreachable, ServerRefused, ServerUnspoken
from meshbox.core.internet import WebAddress, parse_internet
from meshbox.core.limits import RETRY_AFTER_S_MAX
from meshbox.core.rate import RateLimit
from meshbox.wire.json_logs import BLIPS, BLOBS
from tests.sync.bridge.quirky_server import Mood, QuirkyServer

DATE = "Wed, 25 Nov 2026 18:00:00 GMT"


@asynccontextmanager
async def client(url: str, **bounds: RateLimit) -> AsyncIterator[MailboxServer]:
    address = parse_internet(url)
    assert isinstance(address, WebAddress)
    trust = ssl.create_default_context()
    made = MailboxServer(address, at=address.endpoint, trust=trust, **bounds)
    try:
        yield made
    finally:
        await made.close()


@pytest.mark.parametrize(
    ("generations", "dialect"),
    [(("blobs",), BLOBS), (("blips",), BLIPS), (("blobs", "blips"), BLIPS)],
)
async def test_the_newest_generation_is_spoken(
    generations: tuple[str, ...], dialect: object
) -> None:
    with QuirkyServer(generations=generations) as server:
        async with client(server.url) as ours:
            assert await ours.introduce()
            assert ours.dialect is dialect
            await ours.store({"t": {"a": {0: b"x", 2: b"y"}}})
            told = await ours.get({"t": {"a": 3}, "u": {}})
            assert told.missing == {"t": {"a": [1, 3]}, "u": {}}
            assert not told.more
            assert ours.bytes_in > 0
            assert ours.bytes_out > 0
        assert server.data.held() == {("t", "a"): {0: b"x", 2: b"y"}}


def refusing(status: int, **headers: str) -> Mood:
    async def mood(_: web.BaseRequest) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, headers=named)

    return mood


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, None),
        ({"Retry_After": "7"}, 7),
        ({"Retry_After": "9" * 30}, RETRY_AFTER_S_MAX),
        ({"Retry_After": "-1"}, None),
        ({"Retry_After": "soon"}, None),
        ({"Retry_After": "Wed, 25 Nov 2026 18:01:30 GMT", "Date": DATE}, 90),
        ({"Retry_After": "Wed, 25 Nov 2026 17:01:30 GMT", "Date": DATE}, 0),
    ],
)
async def test_how_long_to_stay_away(headers: dict[str, str], wait_s: float | None) -> None:
    with QuirkyServer() as server:
        server.mood = refusing(503, **headers)
        async with client(server.url) as ours:
            with pytest.raises(ServerRefused) as refused:
                await ours.get({})
        assert (refused.value.status, refused.value.retry_after_s) == (503, wait_s)


async def test_no_redirect_is_followed() -> None:
    with QuirkyServer() as server, QuirkyServer() as elsewhere:
        server.mood = refusing(308, Location=elsewhere.url)
        async with client(server.url) as ours:
            with pytest.raises(ServerUnspoken):
                await ours.introduce()
        assert sum(elsewhere.asked.values()) == 0


async def test_a_server_that_is_gone() -> None:
    with QuirkyServer() as server:
        url = server.url
    async with client(url) as ours:
        with pytest.raises(PeerUnreachable):
            await ours.introduce()


async def test_an_operators_bounds_are_kept_to() -> None:
    rate = 2_000_000
    blob = bytes(300_000)  # 400 kB as base64: 0.2 s each way.
    clock = asyncio.get_running_loop().time
    with QuirkyServer() as server:
        bounds = {"incoming": RateLimit(rate), "outgoing": RateLimit(rate)}
        async with client(server.url, **bounds) as ours:
            await ours.introduce()
            began_s = clock()
            for seq in range(4):
                await ours.store({"t": {"a": {seq: blob}}})
            stored_s = clock()
            await ours.get({"t": {}})
            assert stored_s - began_s > 0.5
            assert clock() - stored_s > 0.5
