"""`idle`: what two connected nodes say and compute while there is nothing to say.

Bytes and segments are the kernel's counters of their connection (ss), both directions together:
payload of TCP, TLS and keepalive included, TCP and IP headers not (40 to 52 bytes a segment, and
as much for each acknowledgement). CPU is all threads of one node. Asking costs nothing meanwhile.
"""

from __future__ import annotations

import asyncio
from typing import Final

from scripts.benchmarks.connection import send_all
from scripts.benchmarks.faults import BenchFailed
from scripts.benchmarks.options import Options
from scripts.benchmarks.processes import Node, Stage, socket_traffic
from scripts.benchmarks.requests import DIALECTS, Deposits, Texts, logs
from scripts.benchmarks.rows import Figures

SECONDS: Final = 60.0
BYTES_GOAL: Final = 2000.0
CPU_GOAL: Final = 0.3

_SETTLE_S: Final = 2.0
_CONNECTED_S_MAX: Final = 20.0


async def idle(options: Options) -> Figures:
    """A pair that is equal and connected, for `--seconds` (60) a run."""
    figures = Figures()
    seconds = options.seconds or SECONDS
    with Stage(options.folder) as stage:
        a = stage.node("a")
        b = stage.node("b", f"--peer={a.peer_address}")
        await _make_equal(a, b, options)
        await asyncio.sleep(min(_SETTLE_S, seconds))
        for _ in range(options.runs):
            traffic, cpus = socket_traffic(a.ready["sync"]), [node.cpu_s() for node in (a, b)]
            await asyncio.sleep(seconds)
            after, cpus_after = socket_traffic(a.ready["sync"]), [node.cpu_s() for node in (a, b)]
            if traffic and after:
                if traffic.connections != after.connections:
                    raise BenchFailed(f"their connection did not last: {b.log_end()}")
                a_minute = 60 / seconds
                figures.add(
                    "idle.bytes",
                    "B/min",
                    (after.bytes - traffic.bytes) * a_minute,
                    goal=BYTES_GOAL,
                )
                figures.add(
                    "idle.segments", "1/min", (after.segments - traffic.segments) * a_minute
                )
            for who, before, now in zip("ab", cpus, cpus_after, strict=True):
                if before is not None and now is not None:
                    share = (now - before) / seconds * 100
                    figures.add(f"idle.{who}_cpu", "% of a core", share, goal=CPU_GOAL)
    return figures


async def _make_equal(a: Node, b: Node, options: Options) -> None:
    log = logs(1, label="idle")[0]
    deposit = Deposits(log, texts=Texts(seed=options.seed), dialect=DIALECTS[options.dialect])
    await send_all(a.http, [deposit() for _ in range(10)])
    for _ in range(round(_CONNECTED_S_MAX / 0.1)):
        if b.status()["storage"]["messages"] == 10:
            return
        await asyncio.sleep(0.1)
    raise BenchFailed(f"the nodes do not connect: {b.log_end()}")
