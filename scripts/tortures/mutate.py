"""The campaign of mutated requests: a node's HTTP listener and the decoders, against bad input.

A connection sends one to a few of them and then, behind them, a proper last request. What comes
back must be answers of the table, or a closed connection. Where an odd length left the node
waiting, the client leaves; one of `_STAYS` stays to see that the node closes in its own time.
Meanwhile a canary in another process does what apps do, and the node's memory and log are watched.

Talks to sockets alone, whatever server is behind them. The decoders are asked in this process.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import sys
import uuid
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from scripts.tortures import decoders, mutations
from scripts.tortures.answers import statuses
from scripts.tortures.faults import TortureFailed
from scripts.tortures.node import Node

SCHEMA: Final = "meshbox.torture.mutate/1"

CONNECTIONS: Final = 96
_LAST: Final = b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
_QUIET_S: Final = 0.2
"""A client that hears nothing for so long leaves."""
_STAYS: Final = 500
"""One of so many clients that hear nothing stays."""
_LONG_REQUESTS: Final = 10_000
_CLOSED_S_MAX: Final = 120.0
"""The node's longest wait for a header or a body, and what a busy machine takes."""
_STALL_MS_MAX: Final = 2_000.0
_KEPT_MB_MAX: Final = 32.0
_EXAMPLES_MAX: Final = 5
_PARTS: Final = 4


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a campaign is to do."""

    seed: int
    requests: int
    folder: Path


class Figures(msgspec.Struct):
    """What came of it."""

    schema: str
    seed: int
    requests: int = 0
    connections: int = 0
    seconds: float = 0.0
    answers: dict[str, int] = {}
    """By status."""
    closed: int = 0
    """Connections that the node ended; from the others the client went."""
    improper: int = 0
    """Answers that are not in the table."""
    open: int = 0
    """Connections that it did not close in its own time."""
    bodies: int = 0
    frames: int = 0
    """Given to the decoders."""
    faults: int = 0
    """Of them that ended in something else than a value or a documented error."""
    rss_mb: list[float] = []
    """The node's memory when it began, and after each quarter."""
    canary: dict[str, Any] = {}
    log: list[str] = []
    """Lines of the node's log that bad input must not make."""
    examples: list[str] = []
    """What was sent for the first improper answers and faults."""

    @property
    def is_clean(self) -> bool:
        """Whether everything is as promised."""
        bad = self.improper or self.open or self.faults or self.log or self.canary["failures"]
        kept_mb = self.rss_mb[-1] - self.rss_mb[_PARTS // 2]
        return not bad and self.canary["max_ms"] < _STALL_MS_MAX and kept_mb < _KEPT_MB_MAX


async def mutate(options: Options) -> Figures:
    """Runs the campaign. `TortureFailed` when it cannot be carried out."""
    async with _Campaign(options) as campaign:
        return await campaign.run()


class _Campaign:
    def __init__(self, options: Options) -> None:
        self._options = options
        self._stage = options.folder / f"meshbox-torture-{uuid.uuid4().hex[:12]}"
        self._figures = Figures(SCHEMA, options.seed)
        self._answers: Counter[str] = Counter()
        self._staying: list[asyncio.Task[None]] = []
        self._node: Node | None = None

    async def __aenter__(self) -> Self:
        self._stage.mkdir()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        for task in self._staying:
            task.cancel()
        if self._node is not None:
            await self._node.kill()
        shutil.rmtree(self._stage)

    async def run(self) -> Figures:
        log = self._stage / "log"
        options = ("--sync", "127.0.0.1:0")
        node = self._node = await Node.start(self._stage / "data", *options, log=log)
        if not await node.await_ready():
            raise TortureFailed(f"the node does not start: {node.log_end()}")
        loop = asyncio.get_running_loop()
        begun = loop.time()
        canary = await _Canary.start(str(node.ready["http"]))
        await self._note_memory(node)
        for part in range(_PARTS):
            await self._send_part(str(node.ready["http"]), part)
            await self._note_memory(node)
        await self._wait_for_those_that_stay()
        self._figures.canary = await canary.end()
        self._ask_decoders()
        self._figures.seconds = round(loop.time() - begun, 1)
        self._figures.answers = dict(sorted(self._answers.items()))
        if await node.stop() != 0:
            self._figures.log.append("it did not end well")
        self._figures.log += _complaints(log)
        return self._figures

    @property
    def _is_long(self) -> bool:
        """Whether there is time for waiting out the node's patience, half a minute."""
        return self._options.requests >= _LONG_REQUESTS

    async def _send_part(self, address: str, part: int) -> None:
        count = self._options.requests // _PARTS // CONNECTIONS + 1
        await asyncio.gather(
            *(
                self._send(address, count, random.Random(f"{self._options.seed}/{part}/{at}"))
                for at in range(CONNECTIONS)
            )
        )

    async def _send(self, address: str, count: int, chance: random.Random) -> None:
        """`count` mutated requests, a connection each or a few on one."""
        while count > 0:
            on_one = min(count, chance.choice([1, 1, 1, 2, 5]))
            count -= on_one
            sent = b"".join(mutations.requests(chance) for _ in range(on_one)) + _LAST
            self._figures.requests += on_one
            self._figures.connections += 1
            client = await _Client.connect(address)
            if await client.hear(sent, quiet_s=_QUIET_S):
                self._figures.closed += 1
                self._judge(client.received, sent)
                client.cut()
            elif self._is_long and chance.randrange(_STAYS) == 0:
                self._staying.append(asyncio.create_task(self._stay(client, sent)))
            else:
                self._judge(client.received, sent)
                client.cut()

    async def _stay(self, client: _Client, sent: bytes) -> None:
        """Waits for the node to lose its patience."""
        if await client.hear(b"", quiet_s=_CLOSED_S_MAX):
            self._judge(client.received, sent)
        else:
            self._figures.open += 1
            self._give_example("not closed", sent)
        client.cut()

    async def _wait_for_those_that_stay(self) -> None:
        if self._staying:
            await asyncio.wait(self._staying)

    def _judge(self, received: bytes, sent: bytes) -> None:
        for status in statuses(received):
            if isinstance(status, int):
                self._answers[str(status)] += 1
            else:
                self._figures.improper += 1
                self._give_example(status, sent)

    def _ask_decoders(self) -> None:
        chance = random.Random(f"{self._options.seed}/decoders")
        count = self._options.requests
        found = decoders.ask(chance, count=count)
        self._figures.bodies, self._figures.frames = found.bodies, found.frames
        self._figures.faults = len(found.faults)
        for fault, data in found.faults:
            self._give_example(fault, data)

    def _give_example(self, what: str, sent: bytes) -> None:
        if len(self._figures.examples) < _EXAMPLES_MAX:
            self._figures.examples.append(f"{what} ← {sent[:2_000]!r}")

    async def _note_memory(self, node: Node) -> None:
        status = await node.control("GET", "/api/status")
        self._figures.rss_mb.append(round(status["rss_bytes"] / 1e6, 1))


class _Client(asyncio.Protocol):
    """One connection: what was received until it was closed, or until it was quiet."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._closed = asyncio.get_running_loop().create_future()
        self._heard = asyncio.Event()
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def connect(cls, address: str) -> _Client:
        host, _, port = address.rpartition(":")
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(cls, host, int(port))
        return client

    @property
    def received(self) -> bytes:
        return b"".join(self._parts)

    async def hear(self, sent: bytes, *, quiet_s: float) -> bool:
        """Sends; whether the node closed the connection, before it said nothing for that long."""
        assert self._transport is not None
        self._transport.write(sent)
        while not self._closed.done():
            self._heard.clear()
            try:
                async with asyncio.timeout(quiet_s):
                    await self._heard.wait()
            except TimeoutError:
                return self._closed.done()
        return True

    def cut(self) -> None:
        assert self._transport is not None
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parts.append(data)
        self._heard.set()

    def connection_lost(self, _: Exception | None) -> None:
        self._heard.set()
        if not self._closed.done():
            self._closed.set_result(None)


class _Canary:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, address: str) -> _Canary:
        host, _, port = address.rpartition(":")
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-m", "scripts.tortures.canary", host, port)
        return cls(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe))

    async def end(self) -> dict[str, Any]:
        """What it measured."""
        told, _ = await self._process.communicate(b"")
        if not told:
            raise TortureFailed("the canary died")
        figures: dict[str, Any] = json.loads(told)
        return figures


def _complaints(log: Path) -> list[str]:
    """What is worse than news. The first lines of a node may warn of its settings."""
    lines = log.read_text(errors="replace").splitlines()
    return [
        line
        for line in lines
        if any(word in line for word in ("[warning", "[error", "[critical", "Traceback"))
    ][:20]
