"""Whatever a server answers, it is kept as far as it was asked for, or told as its fault."""

from __future__ import annotations

import random
import ssl
from typing import Any

import pytest

from meshbox.client.mailbox_server import MailboxServer
from meshbox.core.errors import PeerError
from meshbox.core.ids import Topic
from meshbox.core.internet import WebAddress, parse_internet
from meshbox.sync.bridge.exchanging import Exchanging
from meshbox.sync.bridge.memory import Memory
from tests.contract.harness import MemoryHarness
from tests.sync.bridge.bridging import deposit
from tests.sync.bridge.quirky_server import QuirkyServer, saying

ANSWERS = 200

AUTHORS = ("a", "b", "", "é", "\U00010000", "x" * 200, "a:b", "a\0b", "\ud800")
SEQS = ("0", "1", "2", "5", "9999", "18446744073709551615", "18446744073709551616", "-1", "01", "x")
TEXTS: tuple[Any, ...] = (
    "AA==",
    "AQ==",
    "",
    "AB==",
    "A",
    "A" * 4000,
    None,
    7,
    {"blip": "AA=="},
    {},
    [],
)
MISSING = (0, 1, 2, 3, 4, 4, 7, 2**64 - 1, 2**64, -1, "1", None, 1.5)


def drawn(source: random.Random) -> Any:
    """What may be said of a topic; mostly of the right shape."""
    wild = source.random() < 0.3
    blobs = {
        source.choice(AUTHORS if wild else AUTHORS[:5]): {
            source.choice(SEQS if wild else SEQS[:6]): source.choice(TEXTS if wild else TEXTS[:3])
            for _ in range(source.randint(0, 5))
        }
        for _ in range(source.randint(0, 3))
    }
    missing = {
        source.choice(AUTHORS): [
            source.choice(MISSING if wild else MISSING[:8]) for _ in range(source.randint(0, 6))
        ]
        for _ in range(source.randint(0, 3))
    }
    answer: Any = {"blobs": blobs, "missing": missing, "more": True}
    if wild and source.random() < 0.3:
        answer.pop(source.choice(["blobs", "missing"]))
    return answer


@pytest.mark.parametrize("seed", range(3))
async def test_any_answer(harness: MemoryHarness, seed: int) -> None:
    source = random.Random(seed)
    store = await harness.open()
    await deposit(store, "t", "a", 0, 1, 4)
    faults = kept = brought = 0
    with QuirkyServer() as server:
        address = parse_internet(server.url)
        assert isinstance(address, WebAddress)
        trust = ssl.create_default_context()
        ours = MailboxServer(address, at=address.endpoint, trust=trust)
        await ours.introduce()
        exchanging = Exchanging(store, ours, Memory(store, url=server.url, server_id=None))
        for _ in range(ANSWERS):
            names = source.sample(["t", "u", "not asked"], source.randint(0, 3))
            server.mood = saying({name: drawn(source) for name in names})
            try:
                done = await exchanging.exchange([Topic("t"), Topic("u")], may_bring=lambda _: True)
            except PeerError:
                faults += 1
            else:
                kept += done.kept
                brought += done.brought
        await ours.close()
    logs = [record.log for record in (await store.all_logs(None, logs_max=100)).values()]
    assert {log.topic for log in logs} <= {"t", "u"}
    assert all(":" not in log.author and len(log.author) <= 128 for log in logs)
    assert faults > 0
    assert kept > 0
    assert brought <= kept + 3
