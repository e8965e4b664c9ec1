"""`propagation`: from the 201 of a deposit at one node to its being readable at every other.

Deposits come at a fixed rate, whatever the answers (an open loop), at random nodes; a log stays
with one node, as an app writes in order. One reader a node polls with its heights, as an app does:
POLLS a second at all nodes together, so that they stay a small part of the work. A time is exact to
the gap between two answers, of which `propagation.N.poll` is the 99th percentile. A time of 0 means
readable before the depositor had its answer.

With `--backlog` all nodes but the last lack as many blobs when it begins, and what is measured are
the deposits that were answered before the last of them had caught up.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Sequence, Set
from contextlib import suppress
from typing import Final

from scripts.benchmarks.connection import connect, send_all
from scripts.benchmarks.faults import BenchFailed
from scripts.benchmarks.options import Options
from scripts.benchmarks.processes import Node, Stage
from scripts.benchmarks.requests import (
    DIALECTS,
    Deposits,
    Dialect,
    Log,
    Texts,
    filling,
    logs,
    poll,
)
from scripts.benchmarks.rows import Figures, percentile

NODES: Final = 2
RATE: Final = 100
"""Deposits a second, at all nodes together."""
SECONDS: Final = 10.0
LOGS_A_NODE: Final = 10
POLLS: Final = 1000
"""Polls a second, at all nodes together; fewer where an answer takes longer than the pause."""
P50_MS_GOAL: Final = 30.0
P99_MS_GOAL: Final = 300.0
BACKLOG_P99_MS_GOAL: Final = 1_000.0
BACKLOG_LOGS: Final = 1_000

_EVERYWHERE_S_MAX: Final = 20.0
_LOOK_S: Final = 0.01
_WATCH_S: Final = 0.1

Place = tuple[str, int]
"""An author, and a seq."""


async def propagation(options: Options) -> Figures:
    """100 deposits a second at `--nodes` nodes that all know each other."""
    figures = Figures()
    for run in range(options.runs):
        with Stage(options.folder) as stage:
            names = [f"node{i}" for i in range(options.nodes or NODES)]
            if options.backlog:
                await _fill(stage, names[-1], options)
            nodes: list[Node] = []
            for name in names:
                peers = (f"--peer={node.peer_address}" for node in nodes)
                nodes.append(stage.node(name, *peers))
            backlog = _Backlog(nodes, options.backlog)
            spread = _Spread(nodes, options, seed=options.seed + run)
            await spread.warm_up(everywhere=not options.backlog)
            await spread.measure(backlog)
        name = f"propagation.{len(nodes)}"
        p50_goal: float | None = P50_MS_GOAL
        p99_goal = P99_MS_GOAL
        if options.backlog:
            name = f"{name}.backlog"
            p50_goal, p99_goal = None, BACKLOG_P99_MS_GOAL
            figures.add(f"{name}.seconds", "s", backlog.seconds)
        figures.add(f"{name}.blobs", "blobs", len(spread.took_ms))
        figures.add(f"{name}.p50", "ms", percentile(spread.took_ms, 50), goal=p50_goal)
        figures.add(f"{name}.p99", "ms", percentile(spread.took_ms, 99), goal=p99_goal)
        figures.add(f"{name}.max", "ms", max(spread.took_ms))
        figures.add(f"{name}.poll", "ms", percentile(spread.gaps_ms, 99))
        figures.add(f"{name}.node_cpu", "% of a core", spread.node_cpu)
    return figures


async def _fill(stage: Stage, name: str, options: Options) -> None:
    node = stage.node(name)
    some = logs(min(BACKLOG_LOGS, options.backlog), label="backlog", topics=50)
    texts, dialect = Texts(seed=options.seed), DIALECTS[options.dialect]
    await send_all(node.http, filling(some, blobs=options.backlog, texts=texts, dialect=dialect))
    stage.end(node)


class _Backlog:
    """What the nodes catch up on meanwhile."""

    def __init__(self, nodes: Sequence[Node], blobs: int) -> None:
        self._nodes = nodes
        self._blobs = blobs
        self._begun = time.perf_counter()
        self.ended = self._begun if blobs else math.inf
        """When the last node had caught up; without a backlog all that is measured is before."""

    @property
    def seconds(self) -> float:
        """How long it took from the last node's ready line."""
        return self.ended - self._begun

    async def watch(self) -> None:
        """Returns when all nodes hold as many blobs."""
        while self._blobs:
            held = [node.status()["storage"]["messages"] for node in self._nodes]
            if min(held) >= self._blobs:
                self.ended = time.perf_counter()
                return
            await asyncio.sleep(_WATCH_S)


class _Spread:
    """One run: its writers, its readers, and what they saw when."""

    def __init__(self, nodes: Sequence[Node], options: Options, *, seed: int) -> None:
        self._nodes = nodes
        self._dialect = DIALECTS[options.dialect]
        self._random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._count = round((options.seconds or SECONDS) * RATE)
        texts = Texts(seed=seed)
        self._logs = logs(LOGS_A_NODE * len(nodes), label="propagation")
        self._makers = [
            Deposits(log, texts=texts, dialect=self._dialect, seq=1) for log in self._logs
        ]
        topic, pause_s = self._logs[0].topic, len(nodes) / POLLS
        self._readers = [_Reader(node, topic, self._dialect, pause_s=pause_s) for node in nodes]
        self._first = [Deposits(log, texts=texts, dialect=self._dialect)() for log in self._logs]
        self.took_ms: list[float] = []
        self.node_cpu: float | None = None
        """Percent of a core of one node, the mean of all; polls and deposits included."""

    @property
    def gaps_ms(self) -> list[float]:
        """Milliseconds between two answers to one reader."""
        return [gap for reader in self._readers for gap in reader.gaps_ms]

    async def warm_up(self, *, everywhere: bool) -> None:
        """The first blob of each log; `everywhere`: until all nodes have them, and so are
        connected."""
        for i, request in enumerate(self._first):
            await send_all(self._nodes[i % len(self._nodes)].http, [request])
        places = {(log.author, 0) for log in self._logs}
        for reader in self._readers:
            await reader.start()
        if everywhere:
            await self._everywhere(places)

    async def measure(self, backlog: _Backlog) -> None:
        """Deposits, and waits until all of it is everywhere; counts what came before its end."""
        for reader in self._readers:
            reader.gaps_ms.clear()
        writers = [_Writer(log, maker) for log, maker in zip(self._logs, self._makers, strict=True)]
        for i, writer in enumerate(writers):
            await writer.connect(self._nodes[i % len(self._nodes)])
        begun, cpu_s = time.perf_counter(), self._cpu_s()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(backlog.watch())
            for i in range(self._count):
                await asyncio.sleep(begun + i / RATE - time.perf_counter())
                tasks.create_task(self._random.choice(writers).deposit())
        answered = {place: at for writer in writers for place, at in writer.answered.items()}
        await self._everywhere(answered.keys())
        if cpu_s is not None and (after_s := self._cpu_s()) is not None:
            lasted = time.perf_counter() - begun
            self.node_cpu = (after_s - cpu_s) / lasted / len(self._nodes) * 100
        for reader in self._readers:
            await reader.stop()
        for writer in writers:
            writer.close()
        self.took_ms = [
            max(reader.seen[place] - at, 0.0) * 1000
            for i, writer in enumerate(writers)
            for reader in self._others(i)
            for place, at in writer.answered.items()
            if at < backlog.ended
        ]
        if not self.took_ms:
            raise BenchFailed("the backlog was over before the first deposit: a larger --backlog")

    def _cpu_s(self) -> float | None:
        """CPU seconds of all nodes until now."""
        each = [node.cpu_s() for node in self._nodes]
        return None if None in each else sum(filter(None, each))

    def _others(self, writer: int) -> list[_Reader]:
        at = writer % len(self._nodes)
        return [reader for i, reader in enumerate(self._readers) if i != at]

    async def _everywhere(self, wanted: Set[Place]) -> None:
        try:
            async with asyncio.timeout(_EVERYWHERE_S_MAX):
                while any(not wanted <= reader.seen.keys() for reader in self._readers):
                    for reader in self._readers:
                        reader.check()
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError as error:
            lacking = [len(wanted - reader.seen.keys()) for reader in self._readers]
            ends = "\n".join(node.log_end() for node in self._nodes)
            raise BenchFailed(f"not everywhere, the nodes lack {lacking} blobs: {ends}") from error


class _Writer:
    """Writes one log at one node, a blob after another."""

    def __init__(self, log: Log, next_request: Deposits) -> None:
        self._log = log
        self._next_request = next_request
        self._turn = asyncio.Lock()
        self._seq = 0
        self.answered: dict[Place, float] = {}
        """When each blob was acknowledged."""

    async def connect(self, node: Node) -> None:
        self._connection = await connect(node.http)

    async def deposit(self) -> None:
        """Stores the next blob when those before it are stored."""
        async with self._turn:
            self._seq += 1
            await self._connection.ask(self._next_request())
            self.answered[self._log.author, self._seq] = time.perf_counter()

    def close(self) -> None:
        self._connection.close()


class _Reader:
    """Polls one node as an app does: by the highest seq that it has of each author."""

    def __init__(self, node: Node, topic: str, dialect: Dialect, *, pause_s: float) -> None:
        self._node = node
        self._topic = topic
        self._dialect = dialect
        self._pause_s = pause_s
        self._heights: dict[str, int] = {}
        self.seen: dict[Place, float] = {}
        """When each blob was read."""
        self.gaps_ms: list[float] = []

    async def start(self) -> None:
        self._connection = await connect(self._node.http)
        self._polls = asyncio.create_task(self._poll())

    async def stop(self) -> None:
        self._polls.cancel()
        with suppress(asyncio.CancelledError):
            await self._polls
        self._connection.close()

    def check(self) -> None:
        """Raises what ended the polls, if anything did."""
        if self._polls.done():
            self._polls.result()

    async def _poll(self) -> None:
        last = time.perf_counter()
        while True:
            request = poll({self._topic: self._heights}, dialect=self._dialect)
            answer = await self._connection.ask_json(request)
            now = time.perf_counter()
            self.gaps_ms.append((now - last) * 1000)
            last = now
            by_author = answer[self._dialect.answer_key][self._topic][self._dialect.key]
            for author, blobs in by_author.items():
                seqs = [int(seq) for seq in blobs]
                self._heights[author] = max(seqs)
                self.seen.update({(author, seq): now for seq in seqs})
            await asyncio.sleep(self._pause_s)
