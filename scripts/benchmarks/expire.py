"""`expire`: a week's messages go at once, while apps poll and deposit.

`--blobs` of 1 KB in 1,000 logs, stored eight days ago by the clock that the node is shown. Four
connections ask one after another all the time, nine polls to a deposit: first with nothing to
sweep, which is the control, then while a sweep frees it all.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Sequence
from typing import Final

from scripts.benchmarks.connection import send_all
from scripts.benchmarks.faults import BenchFailed
from scripts.benchmarks.load import Load, RequestMaker, run_load
from scripts.benchmarks.options import Options
from scripts.benchmarks.processes import Node, Stage
from scripts.benchmarks.requests import DIALECTS, Deposits, Dialect, Texts, filling, logs, poll
from scripts.benchmarks.rows import Figures

BLOBS: Final = 100_000
LOGS: Final = 1_000
CONNECTIONS: Final = 4
SECONDS: Final = 4.0
SECONDS_GOAL: Final = 2.0
REQUEST_MS_GOAL: Final = 100.0
LOOP_MS_GOAL: Final = 50.0

_EIGHT_DAYS_MS: Final = 8 * 24 * 3_600_000
_UNDER_WAY_S: Final = 0.3
"""Seconds of load before the sweep begins."""


async def expire(options: Options) -> Figures:
    """`--blobs` (100,000) that are all due, swept under load."""
    figures = Figures()
    blobs = options.blobs or BLOBS
    seconds = options.seconds or SECONDS
    texts, dialect = Texts(seed=options.seed), DIALECTS[options.dialect]
    some = logs(min(LOGS, blobs), label="expire", topics=50)
    for _ in range(options.runs):
        with Stage(options.folder) as stage:
            clock = stage.folder / "clock.json"
            clock.write_text("{}")
            node = stage.node("node", environment={"MESHBOX_TEST_CLOCK": str(clock)})
            await send_all(node.http, filling(some, blobs=blobs, texts=texts, dialect=dialect))
            held = node.status()["storage"]["messages"]
            makers = _clients(texts, dialect)
            control = await run_load(node.http, makers, seconds=seconds)
            clock.write_text(json.dumps({"boot_offset_ms": _EIGHT_DAYS_MS}))
            load, took_s, freed = await _swept_under_load(node, makers, seconds)
            if freed < held:
                raise BenchFailed(f"{freed} blobs of {held} were freed: {node.log_end()}")
            held_ms = node.status()["loop_held_ms_max"]
        name = f"expire.{blobs}"
        figures.add(f"{name}.time", "s", took_s, goal=SECONDS_GOAL)
        figures.add(f"{name}.max", "ms", load.max_ms, goal=REQUEST_MS_GOAL, baseline=control.max_ms)
        figures.add(f"{name}.p99", "ms", load.p99_ms, baseline=control.p99_ms)
        figures.add(f"{name}.loop_held", "ms", held_ms, goal=LOOP_MS_GOAL)
    return figures


def _clients(texts: Texts, dialect: Dialect) -> Sequence[RequestMaker]:
    """Nine polls of a topic with nothing new, then a deposit into another, over and over."""

    def client(number: int) -> RequestMaker:
        log = logs(1, label=f"expire client {number}")[0]
        deposit = Deposits(log, texts=texts, dialect=dialect)
        ask = poll({logs(1, label="expire polled")[0].topic: {}}, dialect=dialect)
        turns = itertools.count()
        return lambda: ask if next(turns) % 10 else deposit()

    return [client(number) for number in range(CONNECTIONS)]


async def _swept_under_load(
    node: Node, makers: Sequence[RequestMaker], seconds: float
) -> tuple[Load, float, int]:
    """The load, how long the sweep took, and the blobs that it freed."""
    load = asyncio.create_task(run_load(node.http, makers, seconds=seconds))
    await asyncio.sleep(_UNDER_WAY_S)
    begun = time.perf_counter()
    swept = await asyncio.to_thread(node.sweep)
    took_s = time.perf_counter() - begun
    return await load, took_s, int(swept["blobs"])
