"""Bridges of the tests: real stores and servers on loopback, with short pauses."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from meshbox.core.ids import NodeId, Topic, node_id_of
from meshbox.core.internet import WebAddress, parse_internet
from meshbox.core.topics import ALL_TOPICS
from meshbox.core.way_out import WayOut
from meshbox.storage.interface import MailboxStore
from meshbox.storage.leases import Alone, Leases
from meshbox.sync.bridge import bridge as module
from meshbox.sync.bridge import exchanging, schedule
from meshbox.sync.bridge import topics as topics_module
from meshbox.sync.bridge.bridge import Bridge
from meshbox.sync.bridge.topics import KnownTopics
from meshbox.sync.runner import NO_BOUND
from tests.contract.material import blob, held, log_of, put
from tests.sync.bridge.quirky_server import QuirkyServer
from tests.waiting import eventually

NODE = node_id_of(b"n" * 32)
ALONE = Alone()
Content = dict[tuple[str, str], dict[int, bytes]]


def hasten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds follow each other quickly, and names may be short."""
    for user in (exchanging, topics_module):
        monkeypatch.setattr(user, "is_app_name", lambda _: True)
    monkeypatch.setattr(schedule, "POLL_MS", 20)
    monkeypatch.setattr(schedule, "POLL_MS_MAX", 20)
    monkeypatch.setattr(module, "POLL_MS", 20)
    monkeypatch.setattr(module, "GAP_S", 0.0)
    monkeypatch.setattr(module, "GAP_TIMES", 0)
    monkeypatch.setattr(module, "PAUSE_S", 0.05)


@asynccontextmanager
async def bridged(
    store: MailboxStore,
    url: str,
    *,
    topics: Iterable[str] = (),
    way: WayOut | None = None,
    leases: Leases = ALONE,
    events: list[tuple[str, dict[str, Any]]] | None = None,
) -> AsyncIterator[Bridge]:
    """A bridge between `store` and the server at `url`."""
    address = parse_internet(url)
    assert isinstance(address, WebAddress)
    told: list[tuple[str, dict[str, Any]]] = [] if events is None else events
    known = KnownTopics(store, carried=ALL_TOPICS, named=map(Topic, topics))
    bridge = Bridge(
        address,
        store=store,
        topics=known,
        way=way or way_of(NODE),
        rates=NO_BOUND,
        leases=leases,
        log=lambda event, **fields: told.append((event, fields)),
        rng=random.Random(1),
    )
    bridge.start()
    following = asyncio.create_task(known.run())
    try:
        yield bridge
    finally:
        following.cancel()
        await bridge.stop()
        assert [fields for event, fields in told if event == "internet.bug"] == []


def way_of(node: NodeId, *others: NodeId) -> WayOut:
    way = WayOut(node)
    way.share(others)
    return way


async def ours(store: MailboxStore, *logs: tuple[str, str]) -> Content:
    """What a store holds of some logs."""
    found: Content = {}
    for topic, author in logs:
        blobs = await held(store, log_of(author, topic))
        found[topic, author] = {each.seq: each.data or b"" for each in blobs}
    return found


async def deposit(store: MailboxStore, topic: str, author: str, *seqs: int) -> None:
    log = log_of(author, topic)
    await put(store, *(blob(store, seq, content(author, seq), log=log) for seq in seqs))


def content(author: str, seq: int) -> bytes:
    return b"%s %d" % (author.encode(), seq)


def contents(author: str, *seqs: int) -> dict[int, bytes]:
    return {seq: content(author, seq) for seq in seqs}


async def rounds(server: QuirkyServer, count: int) -> None:
    """Waits until the server was asked `count` more times."""
    until = server.gets + count
    await eventually(lambda: server.gets >= until)


async def equal(store: MailboxStore, server: QuirkyServer, expected: Content) -> None:
    """Waits until of these logs both hold just `expected`."""

    async def both_do() -> bool:
        return theirs(server, expected) == expected and await ours(store, *expected) == expected

    await eventually(both_do)


def theirs(server: QuirkyServer, logs: Iterable[tuple[str, str]]) -> Content:
    """What a server gives out of some logs."""
    held_there = server.data.held()
    return {log: held_there.get(log, {}) for log in logs}


async def becomes(find: Callable[[], Awaitable[Content]], expected: Content) -> None:
    """Waits until what is found is `expected`."""

    async def is_so() -> bool:
        return await find() == expected

    await eventually(is_so)
