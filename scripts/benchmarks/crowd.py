"""`crowd`: what it costs an internet mailbox that many islands are connected to it.

`--nodes` islands (1,000), in one process beside it, each a mailbox of its own with TLS and a store
in memory, that has this one as its internet mailbox. In this order:

    join        until all are connected, from the moment when they began to look
    idle        memory of the mailbox for each of them; bytes and CPU while nothing is to say
    deliver     from a blob's commit at one island until every island holds it
    outage      the mailbox is killed and started again: until all are connected again, from its
                ready line; and the slowest poll of an app meanwhile
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Final

from scripts.benchmarks.connection import connect
from scripts.benchmarks.faults import BenchFailed
from scripts.benchmarks.options import Options
from scripts.benchmarks.processes import Node, Stage, Talker, socket_traffic
from scripts.benchmarks.requests import post
from scripts.benchmarks.rows import Figures

ISLANDS: Final = 1_000
SECONDS: Final = 30.0
_SETTLE_S: Final = 6.0
_CONNECTED_S_MAX: Final = 180.0
_DELIVERED_S_MAX: Final = 60.0
_LOOK_S: Final = 0.1
_POLL_S: Final = 0.02


async def crowd(options: Options) -> Figures:
    """`--nodes` islands at one mailbox."""
    figures = Figures()
    count = options.nodes or ISLANDS
    for run in range(options.runs):
        with Stage(options.folder) as stage:
            await _run(stage, figures, count, options.seconds or SECONDS, run)
    return figures


async def _run(stage: Stage, figures: Figures, count: int, seconds: float, run: int) -> None:
    name = f"crowd.{count}"
    node = stage.node(f"mailbox{run}")
    empty_mb = node.rss_mb()
    program = "scripts.benchmarks.islands"
    islands = stage.talker(
        f"islands{run}", sys.executable, "-m", program, str(count), node.peer_address
    )
    begun, cpu = time.perf_counter(), _cpu_s(node)
    await _until_all(islands, "connected", count, _CONNECTED_S_MAX, node)
    figures.add(f"{name}.join", "s", time.perf_counter() - begun)
    figures.add(f"{name}.join_cpu", "ms each", (_cpu_s(node) - cpu) * 1e3 / count)
    await asyncio.sleep(min(_SETTLE_S, seconds))
    figures.add(f"{name}.memory", "kB each", (node.rss_mb() - empty_mb) * 1e3 / count)
    await _idle(figures, name, node, count, seconds)
    await _deliver(figures, name, node, islands, count)
    await _outage(stage, figures, name, node, islands, count)


async def _idle(figures: Figures, name: str, node: Node, count: int, seconds: float) -> None:
    before, cpu = socket_traffic(node.ready["sync"]), _cpu_s(node)
    await asyncio.sleep(seconds)
    after = socket_traffic(node.ready["sync"])
    if before and after:
        if before.connections != after.connections:
            raise BenchFailed(f"their connections did not last: {node.log_end()}")
        a_minute = (after.bytes - before.bytes) * 60 / seconds
        figures.add(f"{name}.bytes", "B/min each", a_minute / count)
    figures.add(f"{name}.idle_cpu", "% of a core", (_cpu_s(node) - cpu) / seconds * 100)


async def _deliver(figures: Figures, name: str, node: Node, islands: Talker, count: int) -> None:
    begun, cpu = time.perf_counter(), _cpu_s(node)
    islands.ask("put")
    await _until_all(islands, "blobs_min", 1, _DELIVERED_S_MAX, node)
    figures.add(f"{name}.deliver", "s", time.perf_counter() - begun)
    figures.add(f"{name}.deliver_cpu", "ms each", (_cpu_s(node) - cpu) * 1e3 / count)


async def _outage(
    stage: Stage, figures: Figures, name: str, node: Node, islands: Talker, count: int
) -> None:
    folder, sync = node.folder.name, node.ready["sync"]
    stage.kill(node)
    await _until_none(islands, _CONNECTED_S_MAX)
    again = stage.node(folder, f"--sync={sync}")
    begun, cpu = again.ready_at, _cpu_s(again)
    polls = asyncio.create_task(_slowest_poll_ms(again))
    try:
        await _until_all(islands, "connected", count, _CONNECTED_S_MAX, again)
        figures.add(f"{name}.outage", "s", time.perf_counter() - begun)
        figures.add(f"{name}.outage_cpu", "ms each", (_cpu_s(again) - cpu) * 1e3 / count)
    finally:
        polls.cancel()
    figures.add(f"{name}.outage_poll_max", "ms", await polls)


async def _slowest_poll_ms(node: Node) -> float:
    """Polls an empty topic until it is cancelled."""
    connection = await connect(node.http)
    poll, slowest_s = post("/blips/get", b'{"topics":{"t":{}}}'), 0.0
    try:
        while True:
            begun = time.perf_counter()
            await connection.ask(poll)
            slowest_s = max(slowest_s, time.perf_counter() - begun)
            await asyncio.sleep(_POLL_S)
    except asyncio.CancelledError:
        return slowest_s * 1e3
    finally:
        connection.close()


async def _until_all(islands: Talker, what: str, least: int, patience_s: float, node: Node) -> None:
    end = time.perf_counter() + patience_s
    while (counts := islands.ask("counts"))[what] < least:
        if time.perf_counter() > end:
            raise BenchFailed(f"not in {patience_s:.0f} s: {counts}; {node.log_end()}")
        await asyncio.sleep(_LOOK_S)


async def _until_none(islands: Talker, patience_s: float) -> None:
    end = time.perf_counter() + patience_s
    while islands.ask("counts")["connected"]:
        if time.perf_counter() > end:
            raise BenchFailed(f"connections outlast their mailbox by {patience_s:.0f} s")
        await asyncio.sleep(_LOOK_S)


def _cpu_s(node: Node) -> float:
    return node.cpu_s() or 0.0
