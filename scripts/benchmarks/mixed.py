"""`mixed`: what most of a mailbox's day is: nine polls to a deposit, all in one topic.

16 clients, each with a log of its own in a topic of 10,000 blobs. A poll names, of every log, what
was acknowledged when its client polled last, so it is answered with what the others stored since.
"""

from __future__ import annotations

import random
from typing import Final

from scripts.benchmarks.connection import send_all
from scripts.benchmarks.load import run_load
from scripts.benchmarks.options import Options
from scripts.benchmarks.processes import Stage
from scripts.benchmarks.recorded import MIXED
from scripts.benchmarks.requests import DIALECTS, Deposits, Dialect, Log, Texts, filling, logs, poll
from scripts.benchmarks.rows import Figures

BLOBS: Final = 10_000
CLIENTS: Final = 16
DEPOSIT_SHARE: Final = 0.1
SECONDS: Final = 5.0
RATE_GOAL: Final = 4000.0
P99_MS_GOAL: Final = 50.0


async def mixed(options: Options) -> Figures:
    """90 % polls and 10 % deposits on 16 connections."""
    figures = Figures()
    texts, dialect = Texts(seed=options.seed), DIALECTS[options.dialect]
    some = logs(CLIENTS, label="mixed")
    blobs = options.blobs or BLOBS
    for run in range(options.runs):
        source = random.Random(options.seed + run)  # noqa: S311 - repeatable, not secret
        with Stage(options.folder) as stage:
            node = stage.node("node")
            await send_all(node.http, filling(some, blobs=blobs, texts=texts, dialect=dialect))
            heights = {log.author: max(blobs // CLIENTS, 1) - 1 for log in some}
            clients = [
                _Client(log, heights, texts=texts, dialect=dialect, source=source) for log in some
            ]
            before = node.cpu_s()
            load = await run_load(node.http, clients, seconds=options.seconds or SECONDS)
            after = node.cpu_s()
        figures.add(
            "mixed.rate", "requests/s", load.per_second, goal=RATE_GOAL, recorded=MIXED.rate
        )
        figures.add("mixed.p50", "ms", load.p50_ms, recorded=MIXED.p50_ms)
        figures.add("mixed.p99", "ms", load.p99_ms, goal=P99_MS_GOAL, recorded=MIXED.p99_ms)
        if before is not None and after is not None:
            figures.add("mixed.node_cpu", "ms/request", (after - before) * 1000 / load.answers)
        figures.add("mixed.client_cpu", "% of a core", load.client_cpu)
    return figures


class _Client:
    """The requests of one client, each made when the one before was answered."""

    def __init__(
        self,
        log: Log,
        acknowledged: dict[str, int],
        *,
        texts: Texts,
        dialect: Dialect,
        source: random.Random,
    ) -> None:
        """`acknowledged`: author → the highest seq that is stored; all clients share it."""
        self._log = log
        self._acknowledged = acknowledged
        self._has_read = dict(acknowledged)
        self._deposit = Deposits(
            log, texts=texts, dialect=dialect, seq=acknowledged[log.author] + 1
        )
        self._is_depositing = False
        self._dialect = dialect
        self._source = source

    def __call__(self) -> bytes:
        if self._is_depositing:
            self._acknowledged[self._log.author] += 1
        self._is_depositing = self._source.random() < DEPOSIT_SHARE
        if self._is_depositing:
            return self._deposit()
        request = poll({self._log.topic: self._has_read}, dialect=self._dialect)
        self._has_read = dict(self._acknowledged)
        return request
