"""`deposits`, `deposits-batch`: durable stores over HTTP, from many clients and from one.

A closed loop of keep-alive connections, each writing a log of its own; an answer means that the
blob is on disk. The baseline, measured in the same run by the same clients, makes every request
durable by itself (baseline.py).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Final

from scripts.benchmarks.load import Load, RequestMaker, run_load
from scripts.benchmarks.options import Options
from scripts.benchmarks.processes import Process, Stage
from scripts.benchmarks.recorded import BATCH_BLOBS_PER_S, DEPOSITS
from scripts.benchmarks.requests import DIALECTS, Batches, Deposits, Texts, logs
from scripts.benchmarks.rows import Figures

CLIENTS: Final = 64
RATE_GOAL: Final = {CLIENTS: 4000.0, 1: 1000.0}
P99_MS_GOAL: Final = {CLIENTS: 60.0}
SECONDS: Final = 5.0

BATCH_BLOBS: Final = 500
BATCH_LOGS: Final = 10
BATCH_CLIENTS: Final = 4
BATCH_RATE_GOAL: Final = 25_000.0

Measured = tuple[Load, float | None]
"""A load, and the CPU milliseconds of the server per request."""


async def deposits(options: Options) -> Figures:
    """Single blobs of 1 KB, 64 clients and one."""
    figures = Figures()
    for _ in range(options.runs):
        for clients in (CLIENTS, 1):
            makers = _single(options, clients)
            node = await _at_node(options, makers)
            base = await _at_baseline(options, makers)
            _add(figures, clients, node, base)
    return figures


async def deposits_batch(options: Options) -> Figures:
    """500 blobs of 1 KB in 10 logs a request."""
    figures = Figures()
    for _ in range(options.runs):
        load, cpu_ms = await _at_node(options, _batched(options))
        rate = load.per_second * BATCH_BLOBS
        figures.add(
            "deposits-batch.rate",
            "blobs/s",
            rate,
            goal=BATCH_RATE_GOAL,
            recorded=BATCH_BLOBS_PER_S,
        )
        figures.add("deposits-batch.p50", "ms", load.p50_ms)
        figures.add("deposits-batch.p99", "ms", load.p99_ms)
        figures.add("deposits-batch.client_cpu", "% of a core", load.client_cpu)
        if cpu_ms is not None:
            figures.add("deposits-batch.node_cpu", "ms/blob", cpu_ms / BATCH_BLOBS)
    return figures


def _single(options: Options, clients: int) -> Callable[[], Sequence[RequestMaker]]:
    texts, dialect = Texts(seed=options.seed), DIALECTS[options.dialect]

    def makers() -> Sequence[RequestMaker]:
        some = logs(clients, label="deposits", topics=clients)
        return [Deposits(log, texts=texts, dialect=dialect) for log in some]

    return makers


def _batched(options: Options) -> Callable[[], Sequence[RequestMaker]]:
    texts, dialect = Texts(seed=options.seed), DIALECTS[options.dialect]

    def makers() -> Sequence[RequestMaker]:
        return [
            Batches(
                logs(BATCH_LOGS, label=f"batch {client}"),
                blobs=BATCH_BLOBS,
                texts=texts,
                dialect=dialect,
            )
            for client in range(BATCH_CLIENTS)
        ]

    return makers


async def _at_node(options: Options, makers: Callable[[], Sequence[RequestMaker]]) -> Measured:
    with Stage(options.folder) as stage:
        return await _load(stage.node("node"), makers(), options)


async def _at_baseline(options: Options, makers: Callable[[], Sequence[RequestMaker]]) -> Measured:
    with Stage(options.folder) as stage:
        (stage.folder / "files").mkdir()
        module = "scripts.benchmarks.baseline"
        files = str(stage.folder / "files")
        server = stage.process("base", sys.executable, "-m", module, files, options.baseline)
        return await _load(server, makers(), options)


async def _load(server: Process, makers: Sequence[RequestMaker], options: Options) -> Measured:
    before = server.cpu_s()
    load = await run_load(server.http, makers, seconds=options.seconds or SECONDS)
    after = server.cpu_s()
    if before is None or after is None:
        return load, None
    return load, (after - before) * 1000 / load.answers


def _add(figures: Figures, clients: int, node: Measured, base: Measured) -> None:
    (load, cpu_ms), (base_load, base_cpu_ms) = node, base
    name, recorded = f"deposits.{clients}", DEPOSITS[clients]
    figures.add(
        f"{name}.rate",
        "deposits/s",
        load.per_second,
        goal=RATE_GOAL[clients],
        baseline=base_load.per_second,
        recorded=recorded.rate,
    )
    figures.add(
        f"{name}.p50", "ms", load.p50_ms, baseline=base_load.p50_ms, recorded=recorded.p50_ms
    )
    figures.add(
        f"{name}.p99",
        "ms",
        load.p99_ms,
        goal=P99_MS_GOAL.get(clients),
        baseline=base_load.p99_ms,
        recorded=recorded.p99_ms,
    )
    figures.add(f"{name}.node_cpu", "ms/deposit", cpu_ms, baseline=base_cpu_ms)
    figures.add(f"{name}.client_cpu", "% of a core", load.client_cpu, baseline=base_load.client_cpu)
