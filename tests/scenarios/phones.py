"""Phones: clients that store messages at a node over HTTP for as long as a scenario lasts.

    async with Phones(count=6, seed=1) as phones:
        phones.at(node.url())            # and elsewhere later; None: nowhere, they wait
        ...
    phones.acknowledged                  # everything that was answered 201, by (topic, author, seq)

A phone keeps asking for what was not acknowledged, as the app does, and always with the same bytes.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import random
import secrets
from types import TracebackType
from typing import Any, Self

import aiohttp

from tests.waiting import a_while, eventually

Message = tuple[str, str, int]
"""Topic, author and sequence number."""

PAUSE_S = 0.01
ACKNOWLEDGED_S_MAX = 120.0
"""Between two tries of a phone that nobody answers."""


class Phones:
    """`count` phones, each with two logs of its own that it writes in one request."""

    def __init__(self, *, count: int, seed: int, messages_max: int = 1_000_000) -> None:
        self.acknowledged: dict[Message, bytes] = {}
        self.requests = 0
        self._random = random.Random(seed)
        self._count = count
        self._messages_max = messages_max
        self._url: str | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def at(self, url: str | None) -> None:
        """From now on the phones talk to the node at `url`."""
        self._url = url

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        self._tasks = [asyncio.create_task(self._write(at)) for at in range(self._count)]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()
        for end in ended:
            if isinstance(end, Exception):
                raise end

    async def acknowledges(self, count: int) -> None:
        """Waits until `count` more messages were acknowledged."""
        goal = len(self.acknowledged) + count
        await eventually(
            lambda: len(self.acknowledged) >= goal or any(task.done() for task in self._tasks),
            within_s=ACKNOWLEDGED_S_MAX,
        )

    async def _write(self, number: int) -> None:
        topic = secrets.token_hex(32)
        authors = secrets.token_hex(32), secrets.token_hex(32)
        older = number % 2 == 1
        seq = 0
        while len(self.acknowledged) < self._messages_max:
            count = self._random.randint(1, 4)
            new = {
                (topic, author, seq + at): secrets.token_bytes(self._random.randint(1, 2_000))
                for author in authors
                for at in range(count)
            }
            while not await self._stored(new, word="blobs" if older else "blips"):
                await a_while(PAUSE_S)
            self.acknowledged |= new
            seq += count

    async def _stored(self, messages: dict[Message, bytes], *, word: str) -> bool:
        url = self._url
        if url is None:
            return False
        body: dict[str, Any] = {}
        for (topic, author, seq), data in messages.items():
            log = body.setdefault(topic, {}).setdefault(author, {})
            log[str(seq)] = base64.b64encode(data).decode()
        with contextlib.suppress(aiohttp.ClientError, ConnectionError, TimeoutError):
            async with self._session.post(f"{url}/{word}/store", json={word: body}) as answer:
                await answer.read()
                self.requests += 1
                assert answer.status in (201, 503), answer.status
                return answer.status == 201
        return False


async def everything_at(url: str, topics: set[str]) -> dict[Message, bytes]:
    """All that a node gives to a phone that holds nothing, asked page by page."""
    found: dict[Message, bytes] = {}
    heights: dict[str, dict[str, int]] = {topic: {} for topic in topics}
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.post(f"{url}/blips/get", json={"topics": heights}) as answer:
                assert answer.status == 200
                document = await answer.json()
            new = 0
            for topic, part in document["blips_by_topic"].items():
                for author, log in part["blips"].items():
                    for seq, data in log.items():
                        found[topic, author, int(seq)] = base64.b64decode(data)
                        known = heights[topic].get(author, -1)
                        heights[topic][author] = max(known, int(seq))
                        new += 1
            if not new:
                return found
