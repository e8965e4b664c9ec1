"""What is asked, kept and left, with the quirks of the apps' own server."""

from __future__ import annotations

import pytest

from meshbox.core.ids import is_app_name
from meshbox.core.limits import HEIGHT_LEAP
from meshbox.core.room import Allocation
from meshbox.sync.bridge import exchanging, topics
from tests.contract.harness import MemoryHarness
from tests.contract.material import HOUR_MS, blob, log_of, put, record, sweep
from tests.sync.bridge.bridging import (
    bridged,
    contents,
    deposit,
    equal,
    ours,
    rounds,
    theirs,
)
from tests.sync.bridge.quirky_server import QUARTER_H, WEEK_H, QuirkyServer


async def test_holes_are_filled_on_both_sides(harness: MemoryHarness) -> None:
    store = await harness.open()
    await deposit(store, "t", "a", 1, 4, 5, 9)
    with QuirkyServer() as server:
        server.put("t", "a", contents("a", 0, 2, 4, 7, 12))
        async with bridged(store, server.url):
            await equal(store, server, {("t", "a"): contents("a", 0, 1, 2, 4, 5, 7, 9, 12)})
            server.put("t", "a", contents("a", 3))
            await equal(store, server, {("t", "a"): contents("a", 0, 1, 2, 3, 4, 5, 7, 9, 12)})
            await rounds(server, 2)
            stores, asked = server.stores, len(server.heights)
            await rounds(server, 10)
            assert server.stores == stores
            assert {heights["t"]["a"] for heights in server.heights[asked:]} == {12}


async def test_no_height_kills_it(harness: MemoryHarness) -> None:
    store = await harness.open()
    await deposit(store, "t", "a", 0, 1, HEIGHT_LEAP * 3, 2**64 - 1)
    with QuirkyServer() as server:
        server.put("t", "a", contents("a", 2))
        async with bridged(store, server.url):
            high = (HEIGHT_LEAP * 3, 2**64 - 1)
            await equal(store, server, {("t", "a"): contents("a", 0, 1, 2, *high)})
            await rounds(server, 2)
            stores = server.stores
            await rounds(server, 10)
            assert (server.stores, server.killed) == (stores, False)


async def test_each_keeps_its_own_where_they_differ(harness: MemoryHarness) -> None:
    store = await harness.open()
    await deposit(store, "t", "a", 0)
    with QuirkyServer() as server:
        server.put("t", "a", {0: b"other bytes"})
        async with bridged(store, server.url):
            await rounds(server, 10)
            assert theirs(server, [("t", "a")]) == {("t", "a"): {0: b"other bytes"}}
            assert server.stores == 0
    assert await ours(store, ("t", "a")) == {("t", "a"): contents("a", 0)}


async def test_names_that_none_of_ours_may_be_cost_nothing(harness: MemoryHarness) -> None:
    store = await harness.open()
    await deposit(store, "t", "a", 0)
    long = "x" * 200
    with QuirkyServer() as server:
        server.put("t", long, contents("x", 0, 1))
        async with bridged(store, server.url):
            await rounds(server, 5)
            assert server.heights[-1]["t"][long] == 1
            server.put("t", "a", contents("a", 1))
            await equal(store, server, {("t", "a"): contents("a", 0, 1)})


@pytest.mark.parametrize("kept_h", [WEEK_H, QUARTER_H])
async def test_what_comes_is_new_here_lives_a_week_and_never_comes_again(
    harness: MemoryHarness, kept_h: float
) -> None:
    store = await harness.open()
    await deposit(store, "t", "b", 0)
    with QuirkyServer(kept_h=kept_h) as server, QuirkyServer() as second:
        server.put("t", "a", contents("a", 0, 1, 5))
        server.advance(6 * 24)
        async with bridged(store, server.url), bridged(store, second.url):
            await equal(store, server, {("t", "a"): contents("a", 0, 1, 5)})
            harness.clock.advance(6 * 24 * HOUR_MS)
            server.advance(2 * 24)
            await rounds(server, 10)
            await rounds(second, 10)
            assert await ours(store, ("t", "a")) == {("t", "a"): contents("a", 0, 1, 5)}
            stores = server.stores
            harness.clock.advance(24 * HOUR_MS)
            await sweep(store)
            await rounds(server, 10)
            assert await ours(store, ("t", "a")) == {("t", "a"): {}}
            assert server.stores == stores
            assert theirs(second, [("t", "a")]) == {("t", "a"): {}}
    assert (await record(store, log_of("a", "t"))).seen.count == 3


async def test_what_there_is_no_room_for_is_not_asked_for_in_a_loop(harness: MemoryHarness) -> None:
    store = await harness.open(allocation=Allocation(60_000))
    full = (blob(store, seq, bytes(900), log=log_of("full", "t")) for seq in range(80))
    await put(store, *full, whole=False)
    assert store.floor is not None
    with QuirkyServer() as server:
        server.put("t", "a", {seq: bytes(900) for seq in range(80)})
        async with bridged(store, server.url):
            await rounds(server, 10)
            assert all(heights["t"].get("a", -1) >= 0 for heights in server.heights[-5:])


async def test_what_is_missing_of_a_log_that_cannot_be_kept(harness: MemoryHarness) -> None:
    store = await harness.open()
    await deposit(store, "t", "a", 0)
    with QuirkyServer() as server:
        server.put("t", "x" * 200, contents("x", 3))  # It misses 0 to 2.
        async with bridged(store, server.url) as bridge:
            await rounds(server, 5)
            assert bridge.mailbox().reason is None
            await equal(store, server, {("t", "a"): contents("a", 0)})


async def test_names_that_apps_stumble_over_neither_go_nor_come(
    harness: MemoryHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    for user in (exchanging, topics):
        monkeypatch.setattr(user, "is_app_name", is_app_name)
    topic, author, other = "7" * 64, "a" * 64, "b" * 64
    store = await harness.open()
    await deposit(store, topic, author, 0)
    await deposit(store, topic, "poison", 0)
    await deposit(store, "any text", author, 0)
    with QuirkyServer() as server:
        server.put(topic, other, contents(other, 0))
        server.put(topic, "venom", contents("venom", 0))
        async with bridged(store, server.url):
            logs = {(topic, author): contents(author, 0), (topic, other): contents(other, 0)}
            await equal(store, server, logs)
            await rounds(server, 2)
            assert await ours(store, (topic, "venom")) == {(topic, "venom"): {}}
            assert server.heights[-1] == {topic: {author: 0, other: 0, "poison": 0, "venom": 0}}
            assert server.brought == 1
