"""Writers at the processes of one mailbox: message after message, each until it is acknowledged.

Half of what they store goes where others write, too. The other half have a log of their own: what
is offered is all of a log, so only where nothing follows is what was missed missed for good.
"""

from __future__ import annotations

import asyncio
import base64
import random
import time
from collections.abc import Sequence
from typing import Final

import aiohttp

from scripts.tortures.faults import TortureFailed
from scripts.tortures.node import Node

WRITERS: Final = 16
LOGS: Final = 4
TOPIC: Final = "torture"
_PAUSE_S: Final = 0.1

Message = tuple[str, int]
"""Author and number."""


class Writers:
    """They store in its context, until `end`."""

    def __init__(
        self, session: aiohttp.ClientSession, processes: Sequence[Node], *, seed: int
    ) -> None:
        """Every other one of them writes at the same one of `processes`."""
        self._session = session
        self._processes = processes
        self._seed = seed
        self.acknowledged: dict[Message, bytes] = {}
        self.refused = 0
        """Requests answered with 503, or not at all; the writer tried again."""
        self._next = dict.fromkeys((f"author {at}" for at in range(LOGS)), 0)
        self._open = True
        self._gap_s = self._last_s = 0.0
        self._acknowledgement = asyncio.Event()
        self._refusal = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Writers:
        self._last_s = time.monotonic()
        self._tasks = [asyncio.create_task(self._write(at)) for at in range(WRITERS)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def end(self) -> None:
        """They begin nothing more; returns when all that was begun is acknowledged."""
        self._open = False
        await asyncio.gather(*self._tasks)

    def take_gap_ms(self) -> int:
        """The longest time in which nothing was acknowledged, since this was asked last."""
        now_s = time.monotonic()
        gap_s = max(self._gap_s, now_s - self._last_s)
        self._gap_s, self._last_s = 0.0, now_s
        return round(gap_s * 1_000)

    async def acknowledgement(self, *, within_s: float) -> None:
        """Returns when one of them is acknowledged something. `TortureFailed` when that takes too
        long."""
        await self._come(self._acknowledgement, within_s, "nothing was acknowledged")

    async def refusal(self, *, within_s: float) -> None:
        """Returns when one of them is told to come later. `TortureFailed` when that takes too
        long."""
        await self._come(self._refusal, within_s, "nobody was answered 503")

    async def _come(self, event: asyncio.Event, within_s: float, failure: str) -> None:
        event.clear()
        try:
            async with asyncio.timeout(within_s):
                await event.wait()
        except TimeoutError as error:
            for task in self._tasks:
                if task.done():
                    task.result()  # Raises what ended it.
            raise TortureFailed(f"{failure} for {within_s:.0f} s") from error

    async def _write(self, writer: int) -> None:
        node = self._processes[writer % len(self._processes)]
        chance = random.Random(f"{self._seed} {writer}")
        while self._open:
            message = self._place(chance)
            data = chance.randbytes(chance.randrange(1, 2_000))
            while not await self._store(node, message, data):
                self.refused += 1
                await asyncio.sleep(_PAUSE_S)

    def _place(self, chance: random.Random) -> Message:
        if chance.random() < 0.5:
            return f"alone {chance.getrandbits(64):x}", 0
        author = chance.choice(list(self._next))
        self._next[author] += 1
        return author, self._next[author] - 1

    async def _store(self, node: Node, message: Message, data: bytes) -> bool:
        author, seq = message
        blob = base64.b64encode(data).decode()
        body = {"blobs": {TOPIC: {author: {str(seq): blob}}}}
        try:
            async with self._session.post(f"{node.url}/blobs/store", json=body) as answer:
                text = await answer.text()
        except (aiohttp.ClientError, TimeoutError):
            return False
        if answer.status == 503 and answer.headers.get("Retry-After", "").isdecimal():
            self._refusal.set()
            return False
        if answer.status != 201:
            raise TortureFailed(f"{answer.status}, {dict(answer.headers)}: {text}")
        now_s = time.monotonic()
        self._gap_s = max(self._gap_s, now_s - self._last_s)
        self._last_s = now_s
        self.acknowledged[message] = data
        self._acknowledgement.set()
        return True
