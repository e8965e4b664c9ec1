"""Clients that store and read at one node, and keep the ledger of it.

Each client is an app of its own generation with two logs of its own, single messages and batches,
now and then one of several chunks; it stores some again, with the same bytes or with others, and
reads what it and others stored. Besides, all of them write one log that they share, each its own
bytes under the same numbers. They work while the gate is open:

    load.open(url)  …  await load.close()        # the second returns when nobody waits any more
"""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import Iterator, Mapping
from typing import Any, Final

import aiohttp

from meshbox.core.limits import MIB
from scripts.tortures.faults import TortureFailed
from scripts.tortures.ledger import Findings, Ledger, Message, digest

_ANSWER_S_MAX: Final = 20.0
_IDLE_S_MAX: Final = 5.0
_GIVE_UP_MS: Final = 3_600_000
"""Milliseconds after which a client turns to other messages: these may be stored and expired."""
_PAUSE_S: Final = 0.005


class Load:
    """`clients` of one node. `now_ms` is the campaign's time, see ledger.py."""

    def __init__(self, ledger: Ledger, *, clients: int, seed: int) -> None:
        self.ledger = ledger
        self.findings = Findings()
        self.moved_ms = 0
        """How far the campaign's time is ahead of the real one."""
        self._gate = asyncio.Event()
        self._busy = 0
        self._url = ""
        chance = random.Random(seed)
        self._shared = _id(chance), _id(chance)
        self._clients = [_Client(self, random.Random(f"{seed}/{at}")) for at in range(clients)]
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def shared(self) -> tuple[str, str]:
        """The log that all write."""
        return self._shared

    @property
    def now_ms(self) -> int:
        """The campaign's time."""
        return int(asyncio.get_running_loop().time() * 1000) + self.moved_ms

    def open(self, url: str) -> None:
        """They store and read at `url` from now on."""
        self._url = url
        self._gate.set()
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._run(client)) for client in self._clients]

    async def close(self) -> None:
        """They begin nothing more; returns when what is on its way was answered or failed."""
        self._gate.clear()
        while self._busy:
            self.check()
            await asyncio.sleep(_PAUSE_S)

    async def acknowledged(self, count: int) -> None:
        """Returns when that many more messages were acknowledged, or none will be."""
        goal = self.ledger.acknowledged + count
        deadline = asyncio.get_running_loop().time() + _IDLE_S_MAX
        while self.ledger.acknowledged < goal and asyncio.get_running_loop().time() < deadline:
            self.check()
            await asyncio.sleep(_PAUSE_S)

    def check(self) -> None:
        """Raises what ended a client."""
        for task in self._tasks:
            if task.done():
                task.result()

    async def end(self) -> None:
        """Ends the clients."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def audit(self, url: str) -> None:
        """Reads everything at `url`, holds it against the ledger, and notes what was found."""
        held = await self.everything(url)
        self.findings += self.ledger.audit(held, now_ms=self.now_ms)

    async def everything(self, url: str) -> dict[Message, bytes]:
        """All messages at `url`, by their digests."""
        timeout = aiohttp.ClientTimeout(total=_ANSWER_S_MAX)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            return await _everything(session, url, self.ledger.topics)

    def lose_all(self) -> None:
        """Nothing can be read any more."""
        self.findings += self.ledger.audit({}, now_ms=self.now_ms)

    async def _run(self, client: _Client) -> None:
        timeout = aiohttp.ClientTimeout(total=_ANSWER_S_MAX)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                await self._gate.wait()
                self._busy += 1
                try:
                    await client.act(session, self._url)
                except (aiohttp.ClientError, ConnectionError, TimeoutError):
                    await asyncio.sleep(_PAUSE_S)
                finally:
                    self._busy -= 1


class _Client:
    def __init__(self, load: Load, chance: random.Random) -> None:
        self._load = load
        self._chance = chance
        self._topic = _id(chance)
        self._authors = _id(chance), _id(chance)
        self._word = chance.choice(["blips", "blobs"])
        self._next = dict.fromkeys(self._authors, 0)
        self._waiting: dict[Message, bytes] = {}
        self._since_ms = 0
        self._stored: list[Message] = []
        self._shared_next = 0

    async def act(self, session: aiohttp.ClientSession, url: str) -> None:
        """One request."""
        if self._waiting and self._load.now_ms - self._since_ms > _GIVE_UP_MS:
            self._waiting = {}
        choice = self._chance.random()
        if self._waiting or choice < 0.6:
            await self._store_new(session, url)
        elif choice < 0.7 and self._stored:
            await self._store_again(session, url)
        elif choice < 0.8:
            await self._store_shared(session, url)
        else:
            await self._read(session, url)

    async def _store_new(self, session: aiohttp.ClientSession, url: str) -> None:
        if not self._waiting:
            self._waiting = dict(self._new())
            self._since_ms = self._load.now_ms
        elif self._chance.random() < 0.2:
            # Nobody answered: this app thinks better of it.
            self._waiting = {message: self._bytes() for message in self._waiting}
        if await self._store(session, url, self._waiting):
            self._stored += self._waiting
            self._waiting = {}

    def _new(self) -> Iterator[tuple[Message, bytes]]:
        choice = self._chance.random()
        if choice < 0.04:
            author = self._authors[0]
            size = self._chance.randint(MIB, 3 * MIB)
            yield self._at_next(author), self._chance.randbytes(size)
        elif choice < 0.6:
            yield self._at_next(self._chance.choice(self._authors)), self._bytes()
        else:
            for _ in range(self._chance.randint(2, 40)):
                yield self._at_next(self._chance.choice(self._authors)), self._bytes()

    def _at_next(self, author: str) -> Message:
        seq = self._next[author]
        self._next[author] += 1
        return self._topic, author, seq

    def _bytes(self) -> bytes:
        return self._chance.randbytes(self._chance.randint(0, 2_000))

    async def _store_again(self, session: aiohttp.ClientSession, url: str) -> None:
        message = self._chance.choice(self._stored[-50:])
        await self._store(session, url, {message: self._bytes()})

    async def _store_shared(self, session: aiohttp.ClientSession, url: str) -> None:
        message = (*self._load.shared, self._shared_next)
        if await self._store(session, url, {message: self._bytes()}):
            self._shared_next += 1

    async def _store(
        self, session: aiohttp.ClientSession, url: str, messages: Mapping[Message, bytes]
    ) -> bool:
        """Whether they were acknowledged."""
        now_ms = self._load.now_ms
        self._load.ledger.sent({m: digest(data) for m, data in messages.items()}, now_ms=now_ms)
        body: dict[str, Any] = {}
        for (topic, author, seq), data in messages.items():
            log = body.setdefault(topic, {}).setdefault(author, {})
            log[str(seq)] = base64.b64encode(data).decode()
        path = f"{url}/{self._word}/store"
        async with session.post(path, json={self._word: body}) as answer:
            text = await answer.text()
        if answer.status == 201:
            self._load.ledger.answered(messages, now_ms=self._load.now_ms)
            return True
        if answer.status != 503:
            raise TortureFailed(f"{path} answered {answer.status}: {text}")
        return False

    async def _read(self, session: aiohttp.ClientSession, url: str) -> None:
        topic = self._chance.choice([self._topic, self._load.shared[0]])
        authors = self._authors if topic == self._topic else (self._load.shared[1],)
        nexts = self._next if topic == self._topic else {authors[0]: self._shared_next}
        heights = {a: self._chance.randint(0, max(0, nexts[a] - 1)) for a in authors if nexts[a]}
        asked_ms = self._load.now_ms
        part = await _page(session, url, self._word, {topic: heights})
        now_ms = self._load.now_ms
        found = dict(_messages(part, self._word))
        self._load.findings += self._load.ledger.show(found, asked_ms=asked_ms, now_ms=now_ms)
        missing = part.get(topic, {}).get("missing", {})
        for author, height in heights.items():
            lacking = set(missing.get(author, ()))
            held = ((topic, author, seq) for seq in range(height + 1) if seq not in lacking)
            self._load.ledger.claimed(held, now_ms=now_ms)


async def _everything(
    session: aiohttp.ClientSession, url: str, topics: set[str]
) -> dict[Message, bytes]:
    """All that a client gets which holds nothing, page by page."""
    found: dict[Message, bytes] = {}
    heights: dict[str, dict[str, int]] = {topic: {} for topic in topics}
    while True:
        new = dict(_messages(await _page(session, url, "blips", heights), "blips"))
        if not new:
            return found
        found |= new
        for topic, author, seq in new:
            heights[topic][author] = max(seq, heights[topic].get(author, -1))


async def _page(
    session: aiohttp.ClientSession, url: str, word: str, heights: dict[str, dict[str, int]]
) -> dict[str, Any]:
    async with session.post(f"{url}/{word}/get", json={"topics": heights}) as answer:
        if answer.status != 200:
            raise TortureFailed(f"a read was answered {answer.status}: {await answer.text()}")
        part: dict[str, Any] = (await answer.json())[f"{word}_by_topic"]
        return part


def _messages(part: Mapping[str, Any], word: str) -> Iterator[tuple[Message, bytes]]:
    for topic, answer in part.items():
        for author, log in answer[word].items():
            for seq, text in log.items():
                yield (topic, author, int(seq)), digest(base64.b64decode(text))


def _id(chance: random.Random) -> str:
    return chance.randbytes(32).hex()
