"""However often a message goes out and comes in again, it ends.

The worst of worlds: two servers, one that keeps a week and one that keeps 90 days, take expired
messages again; and the island's node forgets all that it has seen every few days.
"""

from __future__ import annotations

import ssl
from contextlib import AsyncExitStack

import pytest

from meshbox.client.mailbox_server import MailboxServer
from meshbox.core.ids import Topic
from meshbox.core.internet import WebAddress, parse_internet
from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.sync.bridge import bringing
from meshbox.sync.bridge.exchanging import Exchanging
from meshbox.sync.bridge.memory import Memory
from tests.contract.harness import MemoryHarness
from tests.contract.material import HOUR_MS, sweep
from tests.sync.bridge.bridging import contents, deposit, ours
from tests.sync.bridge.quirky_server import QUARTER_H, WEEK_H, QuirkyServer

STEP_H = 48.0
STEPS_A_NODE = 3
DAYS = 130
LOG = ("t", "a")
SEQ = 5
"""Above a hole that nobody fills: what expired is missing again at such a server."""


async def last_day(*, at_the_island: bool) -> float:
    """The last day of `DAYS` on which anybody gave the message out."""
    last = 0.0
    async with AsyncExitStack() as stack:
        servers = [
            stack.enter_context(QuirkyServer(kept_h=kept_h)) for kept_h in (WEEK_H, QUARTER_H)
        ]
        clients = [client(server.url) for server in servers]
        for each in clients:
            stack.push_async_callback(each.close)
            await each.introduce()
        if not at_the_island:
            servers[0].put(*LOG, contents("a", SEQ))
        day = 0.0
        while day < DAYS:
            node = MemoryHarness()
            store = await node.open()
            if at_the_island and not day:
                await deposit(store, *LOG, SEQ)
            for _ in range(STEPS_A_NODE):
                if await is_given_out(store, clients, servers):
                    last = day
                node.clock.advance(int(STEP_H * HOUR_MS))
                await sweep(store)
                for server in servers:
                    server.advance(STEP_H)
                day += STEP_H / 24
            await node.close()
    return last


async def is_given_out(
    store: EmbeddedStore, clients: list[MailboxServer], servers: list[QuirkyServer]
) -> bool:
    """Lets a node and both servers exchange what they will; whether anybody has the message."""
    for each in clients * 2:
        exchanging = Exchanging(store, each, Memory(store, url=each.url, server_id=None))
        await exchanging.exchange([Topic("t")], may_bring=lambda _: True)
    held_there = [server.data.held().get(LOG, {}) for server in servers]
    return any((*held_there, (await ours(store, LOG))[LOG]))


def client(url: str) -> MailboxServer:
    address = parse_internet(url)
    assert isinstance(address, WebAddress)
    return MailboxServer(address, at=address.endpoint, trust=ssl.create_default_context())


@pytest.mark.parametrize(("at_the_island", "days_max"), [(True, 7 + 90 + 7), (False, 7 + 7)])
async def test_it_ends_after_its_server_and_a_week(at_the_island: bool, days_max: int) -> None:
    assert 7 <= await last_day(at_the_island=at_the_island) <= days_max


async def test_without_the_rule_it_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bringing, "is_bridged", lambda _: False)
    assert await last_day(at_the_island=False) > DAYS - 7
