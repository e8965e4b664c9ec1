"""`poll-idle`: what a poll costs that finds nothing new, by the size of the topic.

The baseline is the same poll of a topic that does not exist, in the same node and run: how much
a poll costs must not depend on what is stored.
"""

from __future__ import annotations

from typing import Final

from scripts.benchmarks.connection import send_all
from scripts.benchmarks.load import Load, run_load
from scripts.benchmarks.options import Options
from scripts.benchmarks.processes import Node, Stage
from scripts.benchmarks.recorded import POLLS
from scripts.benchmarks.requests import DIALECTS, Log, Texts, filling, logs, name_of, poll
from scripts.benchmarks.rows import Figures

SIZES: Final = (100, 10_000, 100_000, 1_000_000)
CLIENTS: Final = (16, 1)
LOGS: Final = 10
SECONDS: Final = 2.0
RATE_GOAL: Final = 10_000.0
"""Polls a second on 16 connections, whatever the topic's size."""


async def poll_idle(options: Options) -> Figures:
    """Polls a second of topics of four sizes, in one node that holds them all."""
    figures = Figures()
    sizes = SIZES if options.blobs is None else (options.blobs,)
    topics = {size: logs(LOGS, label=f"poll {size}") for size in sizes}
    with Stage(options.folder) as stage:
        node = stage.node("node")
        for size, some in topics.items():
            texts, dialect = Texts(seed=options.seed), DIALECTS[options.dialect]
            requests = filling(some, blobs=size, texts=texts, dialect=dialect)
            await send_all(node.http, requests)
        for _ in range(options.runs):
            for clients in CLIENTS:
                unknown, _ = await _polls(node, logs(LOGS, label="unknown"), 0, clients, options)
                for size, some in topics.items():
                    load, cpu_ms = await _polls(node, some, size, clients, options)
                    name = f"poll-idle.{size}.{clients}"
                    recorded = POLLS.get((size, clients))
                    figures.add(
                        f"{name}.rate",
                        "polls/s",
                        load.per_second,
                        goal=RATE_GOAL if clients == max(CLIENTS) else None,
                        baseline=unknown.per_second,
                        recorded=recorded and recorded.rate,
                    )
                    figures.add(
                        f"{name}.p99",
                        "ms",
                        load.p99_ms,
                        baseline=unknown.p99_ms,
                        recorded=recorded and recorded.p99_ms,
                    )
                    figures.add(f"{name}.node_cpu", "ms/poll", cpu_ms)
                    figures.add(f"{name}.client_cpu", "% of a core", load.client_cpu)
    return figures


async def _polls(
    node: Node, some: list[Log], blobs: int, clients: int, options: Options
) -> tuple[Load, float | None]:
    """Polls of one who holds everything; and the node's CPU milliseconds for each."""
    height = max(blobs // LOGS, 1) - 1
    topic = some[0].topic if blobs else name_of("a topic that does not exist")
    heights = {topic: {log.author: height for log in some} if blobs else {}}
    request = poll(heights, dialect=DIALECTS[options.dialect])
    before = node.cpu_s()
    load = await run_load(
        node.http,
        [lambda: request] * clients,
        seconds=options.seconds or SECONDS,
        warm_up_s=0.3,
    )
    after = node.cpu_s()
    if before is None or after is None:
        return load, None
    return load, (after - before) * 1000 / load.answers
