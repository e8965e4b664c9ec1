"""What a server is brought, it is brought once."""

from __future__ import annotations

from aiohttp import web

from meshbox.sync.bridge.bringing import REFUSED_MAX
from tests.contract.harness import MemoryHarness
from tests.sync.bridge.bridging import (
    bridged,
    contents,
    deposit,
    equal,
    rounds,
    theirs,
)
from tests.sync.bridge.quirky_server import QuirkyServer
from tests.waiting import eventually


async def test_what_was_brought_is_remembered(harness: MemoryHarness) -> None:
    """Also what it did not take, through a new start: it is not brought again."""
    store = await harness.open()
    await deposit(store, "t", "a", *range(8))
    with QuirkyServer() as server:
        server.untaken = b"a 3"
        there = {("t", "a"): contents("a", 0, 1, 2, 4, 5, 6, 7)}
        async with bridged(store, server.url):
            await eventually(lambda: theirs(server, there) == there)
            await rounds(server, 2)
        stores = server.stores
        store = await harness.reopen()
        async with bridged(store, server.url):
            await rounds(server, 10)
            assert server.stores == stores
            await deposit(store, "t", "a", 8)
            await eventually(lambda: 8 in theirs(server, there)["t", "a"])
            assert server.stores == stores + 1


async def test_a_server_with_another_id_is_brought_all_of_it(harness: MemoryHarness) -> None:
    store = await harness.open()
    await deposit(store, "t", "a", *range(3))
    logs = {("t", "a"): contents("a", *range(3))}
    with QuirkyServer(generations=("blips",)) as server:
        async with bridged(store, server.url):
            await equal(store, server, logs)
        server.forget()
        async with bridged(store, server.url):
            await equal(store, server, logs)


async def test_a_server_that_takes_nothing_is_at_fault_and_not_the_messages(
    harness: MemoryHarness,
) -> None:
    store = await harness.open()
    await deposit(store, "t", "a", *range(300))
    with QuirkyServer() as server:

        async def mood(request: web.BaseRequest) -> web.StreamResponse:
            if request.path.endswith("/store"):
                return web.Response(status=400)
            return await server.usually(request)

        server.mood = mood
        async with bridged(store, server.url) as bridge:
            await eventually(lambda: bridge.mailbox().reason == "server.refused")
            assert server.stores < 3 * REFUSED_MAX
            server.mood = None
            bridge.network_changed()
            await equal(store, server, {("t", "a"): contents("a", *range(300))})
