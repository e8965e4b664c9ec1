"""Two nodes become equal and serve their phones while strangers abuse both over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.node.processes import RunningNode, start_node
from tests.scenarios.phones import Phones, everything_at
from tests.waiting import a_while, eventually

MESSAGES = 5_000
SLOW = 200
"""Connections of each kind that says little and stays; all stay below the bound of 1,024."""
QUICK = 2
"""Strangers of each kind that says all it can, again and again."""
EQUAL_S_MAX = 60.0
HIGHEST = 2**64 - 1

HUGE = json.dumps(
    {"topics": {secrets.token_hex(32): {secrets.token_hex(32): HIGHEST for _ in range(500)}}}
).encode()


def request(path: bytes, body: bytes, *, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    head = b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n" % path
    return head + b"content-length: %d\r\n\r\n" % size + body


STAYING = (
    b"POST /blips/get HTTP/1.1\r\nhost: x\r\nx-slow: ",
    request(b"/blips/store", b'{"blips": {"t"', length=50_000_000),
)
COMING_AGAIN = (
    secrets.token_bytes(5_000),
    request(b"/blips/get", HUGE) * 5,
    request(b"/blobs/store", b'{"blobs": ' + b"[" * 100_000),
    b"POST /blips/get HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
)


async def abuse(port: int, said: bytes) -> None:
    """Says it, hangs about until the node has had enough, and comes again."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(said)
                await writer.drain()
                while await reader.read(65_536):
                    pass
            finally:
                writer.transport.abort()
        await a_while(0.05)


@asynccontextmanager
async def abused(node: RunningNode) -> AsyncIterator[None]:
    port = int(str(node.ready["http"]).rpartition(":")[2])
    said = [*STAYING * SLOW, *COMING_AGAIN * QUICK]
    tasks = [asyncio.create_task(abuse(port, words)) for words in said]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.timeout(240)
async def test_sync_and_phones_go_on(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        a = await asyncio.to_thread(start_node, tmp_path / "a")
        stack.callback(ended, a)
        async with Phones(count=8, seed=1, messages_max=MESSAGES) as phones:
            phones.at(a.url())
            await phones.acknowledges(MESSAGES)
        await stack.enter_async_context(abused(a))
        b = await asyncio.to_thread(start_node, tmp_path / "b", "--peer", a.peer_address)
        stack.callback(ended, b)
        await stack.enter_async_context(abused(b))
        later = Phones(count=4, seed=2, messages_max=200)
        later.at(a.url())
        async with asyncio.timeout(EQUAL_S_MAX), later:
            await later.acknowledges(200)
            expected = phones.acknowledged | later.acknowledged
            topics = {topic for topic, _, _ in expected}

            async def has_all() -> bool:
                return expected.items() <= (await held(b, topics)).items()

            await eventually(has_all, within_s=EQUAL_S_MAX)
        for node in (a, b):
            assert node.status()["rss_bytes"] < 300_000_000


def ended(node: RunningNode) -> None:
    """It stops cleanly, and found no fault of its own."""
    try:
        assert node.stop() == 0
    finally:
        if node.process.poll() is None:
            node.kill()
    assert "peer.bug" not in node.log()
    assert "node.defect" not in node.log()


async def held(node: RunningNode, topics: set[str]) -> dict[tuple[str, str, int], bytes]:
    """All that a phone gets; nothing when the node is too busy for it."""
    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
        return await everything_at(node.url(), topics)
    return {}
