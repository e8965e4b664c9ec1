"""A node and the apps' own server become equal, and then leave each other in peace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from meshbox.client import mailbox_server
from meshbox.core import way_out
from meshbox.core.ids import node_id_of
from meshbox.core.internet import InternetKind, InternetState
from meshbox.http_api.settings import IdRule
from meshbox.sync.bridge import bridge as bridge_module
from tests.contract.harness import MemoryHarness
from tests.http_api.serving import serving
from tests.sync.bridge.bridging import (
    becomes,
    bridged,
    contents,
    deposit,
    equal,
    ours,
    rounds,
    way_of,
)
from tests.sync.bridge.quirky_server import QuirkyServer, hanging
from tests.waiting import eventually

GENERATIONS = [("blobs",), ("blips",), ("blobs", "blips")]


@pytest.mark.parametrize("generations", GENERATIONS, ids="+".join)
async def test_both_get_what_the_other_has(
    harness: MemoryHarness, generations: tuple[str, ...]
) -> None:
    store = await harness.open()
    await deposit(store, "t", "a", *range(5))
    await deposit(store, "t", "b", 0, 1)
    await deposit(store, "u", "a", 7)
    both = {
        ("t", "a"): contents("a", *range(9)),
        ("t", "b"): contents("b", 0, 1),
        ("t", "c"): contents("c", *range(4)),
        ("u", "a"): contents("a", 7),
    }
    with QuirkyServer(generations=generations) as server:
        server.put("t", "a", contents("a", *range(3, 9)))
        server.put("t", "c", contents("c", *range(4)))
        server.put("another topic", "a", contents("a", 0))
        async with bridged(store, server.url) as bridge:
            await equal(store, server, both)
            await rounds(server, 2)
            stores = server.stores
            await rounds(server, 10)
            assert server.stores == stores
            told = bridge.mailbox()
            assert (told.kind, told.state) == (InternetKind.DASH_CHAT, InternetState.CONNECTED)
            assert (told.reason, told.blobs_in, told.blobs_out) == (None, 8, 6)
            assert server.at_once_max == 1
    unknown = ("another topic", "a")
    assert await ours(store, unknown) == {unknown: {}}


async def test_what_is_new_goes_and_comes_while_it_lasts(harness: MemoryHarness) -> None:
    store = await harness.open()
    await deposit(store, "t", "a", 0)
    with QuirkyServer() as server:
        async with bridged(store, server.url):
            for seq in range(1, 4):
                server.put("t", "b", contents("b", seq - 1))
                await deposit(store, "t", "a", seq)
                logs = {("t", "a"): contents("a", *range(seq + 1))}
                logs["t", "b"] = contents("b", *range(seq))
                await equal(store, server, logs)


async def test_a_topic_that_is_carried_is_asked_about_though_nothing_is_here(
    harness: MemoryHarness,
) -> None:
    store = await harness.open()
    with QuirkyServer() as server:
        server.put("carried", "a", contents("a", 0))
        async with bridged(store, server.url, topics=["carried"]):
            await equal(store, server, {("carried", "a"): contents("a", 0)})


async def test_of_two_nodes_one_brings_and_the_other_when_it_does_not(
    harness: MemoryHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(way_out, "STEP_MS", 300)
    ids = [node_id_of(bytes([number]) * 32) for number in range(2)]
    other = MemoryHarness()
    stores = [await harness.open(), await other.open()]
    with QuirkyServer() as server:
        ways = [way_of(ids[0], ids[1]), way_of(ids[1], ids[0])]
        urls = server.url
        async with bridged(stores[0], urls, way=ways[0]), bridged(stores[1], urls, way=ways[1]):
            for topic in map(str, range(8)):
                for store in stores:
                    await deposit(store, topic, "a", 0)
            logs = {(topic, "a"): contents("a", 0) for topic in map(str, range(8))}
            await equal(stores[0], server, logs)
            assert server.brought == 8
        async with bridged(stores[1], urls, way=ways[1]):
            for topic in map(str, range(8, 16)):
                await deposit(stores[1], topic, "a", 0)
            more = {(topic, "a"): contents("a", 0) for topic in map(str, range(8, 16))}
            await equal(stores[1], server, more)
    await other.close()


@pytest.mark.parametrize("ids", IdRule)
async def test_our_own_api_is_such_a_server_too(harness: MemoryHarness, ids: IdRule) -> None:
    """Its pages, and topics that it may refuse."""
    far = MemoryHarness()
    store, there = await harness.open(), await far.open()
    topic, author = "7" * 64, "a" * 64
    await deposit(store, topic, author, *range(1_200))
    await deposit(there, topic, "b" * 64, *range(1_100))
    await deposit(store, "any text", "a", 0)
    logs = {
        (topic, author): contents(author, *range(1_200)),
        (topic, "b" * 64): contents("b" * 64, *range(1_100)),
    }
    async with (
        serving(there, ids=ids) as service,
        bridged(store, f"http://127.0.0.1:{service.port}") as bridge,
    ):
        await becomes(lambda: ours(store, *logs), logs)
        await becomes(lambda: ours(there, *logs), logs)
        taken = {} if ids is IdRule.HEX64 else contents("a", 0)
        await becomes(lambda: ours(there, ("any text", "a")), {("any text", "a"): taken})
        assert bridge.mailbox().state is InternetState.CONNECTED
    await far.close()


@pytest.mark.slow
async def test_a_request_that_hangs_ends_when_the_path_changes(
    harness: MemoryHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = ["192.0.2.1"]
    monkeypatch.setattr(bridge_module, "source_address", lambda _: path[0])
    store = await harness.open()
    await deposit(store, "t", "a", 0)
    with QuirkyServer() as server:
        async with bridged(store, server.url) as bridge:
            await rounds(server, 3)
            server.mood = hanging
            gets = server.gets
            await eventually(lambda: server.gets > gets)
            bridge.network_changed()
            server.mood = None
            path[0] = "192.0.2.2"
            bridge.network_changed()
            await rounds(server, 3)
            assert bridge.mailbox().state is InternetState.CONNECTED


async def test_a_topic_with_too_much_news_is_left_alone_and_the_others_go_on(
    harness: MemoryHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox_server, "SERVER_ANSWER_BYTES_MAX", 20_000)
    store = await harness.open()
    topics = [str(number) for number in range(10)]
    for topic in topics:
        await deposit(store, topic, "a", 0)
    events: list[tuple[str, dict[str, Any]]] = []
    with QuirkyServer() as server:
        server.put("7", "b", {seq: bytes(1_000) for seq in range(100)})
        for topic in topics:
            server.put(topic, "c", contents("c", 0))
        async with bridged(store, server.url, events=events) as bridge:
            small = {(topic, "c"): contents("c", 0) for topic in topics if topic != "7"}
            await equal(store, server, small)
            await eventually(lambda: "internet.set_aside" in [event for event, _ in events])
            await deposit(store, "3", "a", 1)
            await equal(store, server, {("3", "a"): contents("a", 0, 1)})
            assert bridge.mailbox().state is InternetState.CONNECTED
            assert await ours(store, ("7", "b")) == {("7", "b"): {}}


class Turns:
    """Leases of which a test says when they are had."""

    def __init__(self) -> None:
        self.given = asyncio.Event()
        self.over = asyncio.Event()

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[asyncio.Event]:
        assert name.startswith("http://")
        await self.given.wait()
        self.over.clear()
        yield self.over


async def test_only_the_process_that_has_the_lease_speaks_to_the_server(
    harness: MemoryHarness,
) -> None:
    store, turns = await harness.open(), Turns()
    await deposit(store, "t", "a", 0)
    with QuirkyServer() as server:
        async with bridged(store, server.url, leases=turns) as bridge:
            await eventually(lambda: bridge.mailbox().state is InternetState.STANDBY)
            assert server.gets == 0
            turns.given.set()
            await equal(store, server, {("t", "a"): contents("a", 0)})
            assert bridge.mailbox().state is InternetState.CONNECTED
            turns.given.clear()
            turns.over.set()
            await eventually(lambda: bridge.mailbox().state is InternetState.STANDBY)
            asked = server.gets
            await deposit(store, "t", "a", 1)
            turns.given.set()
            await equal(store, server, {("t", "a"): contents("a", 0, 1)})
            assert server.gets > asked
