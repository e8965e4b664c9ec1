"""`evict`: what goes for room at a full allocation, while apps deposit.

`--blobs` of 1 KB in 1,000 logs, and as many again until something goes, fill what the node may
take; then 16 connections store one blob after another, and for each another goes. The control is
the same load at the beginning, when there is room.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from scripts.benchmarks.connection import send_all
from scripts.benchmarks.faults import BenchFailed
from scripts.benchmarks.load import RequestMaker, run_load
from scripts.benchmarks.options import Options
from scripts.benchmarks.processes import Stage
from scripts.benchmarks.requests import DIALECTS, Deposits, Texts, filling, logs
from scripts.benchmarks.rows import Figures

BLOBS: Final = 100_000
LOGS: Final = 1_000
CONNECTIONS: Final = 16
SECONDS: Final = 5.0
LOOP_MS_GOAL: Final = 50.0

LIMIT_BYTES_A_BLOB: Final = 1_700
"""So that the blobs are a little less than what fits beside the database's own needs."""
LIMIT_BYTES_MIN: Final = 16_000_000
"""The smallest limit that a node takes."""


async def evict(options: Options) -> Figures:
    """`--blobs` (100,000) at a limit that they fill, and deposits on top."""
    figures = Figures()
    blobs = options.blobs or BLOBS
    texts, dialect = Texts(seed=options.seed), DIALECTS[options.dialect]
    some = logs(min(LOGS, blobs), label="evict", topics=50)
    limit = max(LIMIT_BYTES_MIN, blobs * LIMIT_BYTES_A_BLOB)

    def makers(label: str) -> Sequence[RequestMaker]:
        own = logs(CONNECTIONS, label=label, topics=CONNECTIONS)
        return [Deposits(log, texts=texts, dialect=dialect) for log in own]

    for _ in range(options.runs):
        with Stage(options.folder) as stage:
            node = stage.node("node", "--storage-limit", str(limit))
            seconds = options.seconds or SECONDS
            control = await run_load(node.http, makers("evict control"), seconds=seconds / 5)
            filled = 0
            while not node.status()["storage"]["evicted"]:
                if filled > 3 * blobs:
                    raise BenchFailed(f"nothing goes for {filled} blobs: {node.log_end()}")
                more = filling(some, blobs=blobs, texts=texts, dialect=dialect)
                await send_all(node.http, more)
                filled += blobs
                some = logs(min(LOGS, blobs), label=f"evict {filled}", topics=50)
            before = node.status()["storage"]["evicted"]
            load = await run_load(node.http, makers("evict"), seconds=seconds)
            status = node.status()
        went = status["storage"]["evicted"] - before
        name = f"evict.{blobs}"
        figures.add(f"{name}.rate", "deposits/s", load.per_second, baseline=control.per_second)
        figures.add(f"{name}.p99", "ms", load.p99_ms, baseline=control.p99_ms)
        figures.add(f"{name}.max", "ms", load.max_ms, baseline=control.max_ms)
        figures.add(f"{name}.went", "blobs/deposit", went / load.answers)
        figures.add(f"{name}.loop_held", "ms", status["loop_held_ms_max"], goal=LOOP_MS_GOAL)
    return figures
