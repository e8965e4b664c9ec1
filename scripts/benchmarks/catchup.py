"""`catchup`: a node that was away gets what its peer took meanwhile.

B met A and stopped; A then took everything in 1,000 logs; B starts. Measured from B's ready line
until it counts as many blobs as A and all of it is durable, looked at every POLL_S over the
control socket. That the two hold the same is proven by their inventories afterwards.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final, NamedTuple

from scripts.benchmarks.connection import send_all
from scripts.benchmarks.faults import BenchFailed
from scripts.benchmarks.options import Options
from scripts.benchmarks.processes import Node, Stage
from scripts.benchmarks.requests import DIALECTS, Texts, filling, logs
from scripts.benchmarks.rows import Figures

BLOBS: Final = 20_000
LOGS: Final = 1_000
GOAL_S: Final = {20_000: 3.0, 100_000: 4.0}
GROWTH_MB_GOAL: Final = 64.0
POLL_S: Final = 0.02

_ACQUAINTANCE_BLOBS: Final = 100
_CAUGHT_UP_S_MAX: Final = 180.0


class _CaughtUp(NamedTuple):
    seconds: float
    rss_max_mb: float
    duplicates: int


async def catchup(options: Options) -> Figures:
    """`--blobs` of 1 KB in 1,000 logs (20,000; the design's goal is for 100,000)."""
    figures = Figures()
    blobs = options.blobs or BLOBS
    some = logs(min(LOGS, blobs), label="catchup", topics=50)
    blobs = blobs // len(some) * len(some)
    name = f"catchup.{blobs}"
    for _ in range(options.runs):
        with Stage(options.folder) as stage:
            a = stage.node("a")
            b = stage.node("b", f"--peer={a.peer_address}")
            await _fill(a, options, blobs=_ACQUAINTANCE_BLOBS, label="acquaintance")
            await _caught_up(a, b)
            stage.end(b)
            await _fill(a, options, blobs=blobs, label="catchup")
            a_before_mb, a_cpu = a.rss_mb(), a.cpu_s()
            b = stage.node("b", f"--peer={a.peer_address}")
            b_before_mb, b_cpu = b.rss_mb(), b.cpu_s()
            result = await _caught_up(a, b)
            a_after, b_after = a.cpu_s(), b.cpu_s()
            a_after_mb, b_after_mb = a.rss_mb(), b.rss_mb()
            _check_equal(a, b)
            figures.add(f"{name}.time", "s", result.seconds, goal=GOAL_S.get(blobs))
            figures.add(f"{name}.rate", "blobs/s", blobs / result.seconds)
            for who, before, after in (("a", a_cpu, a_after), ("b", b_cpu, b_after)):
                if before is not None and after is not None:
                    figures.add(f"{name}.{who}_cpu", "ms/blob", (after - before) * 1000 / blobs)
            figures.add(f"{name}.a_rss_before", "MB", a_before_mb)
            figures.add(f"{name}.a_rss_after", "MB", a_after_mb)
            figures.add(f"{name}.b_rss_before", "MB", b_before_mb)
            figures.add(f"{name}.b_rss_after", "MB", b_after_mb)
            growth_mb = result.rss_max_mb - b_before_mb
            figures.add(f"{name}.b_rss_growth", "MB", growth_mb, goal=GROWTH_MB_GOAL)
            figures.add(f"{name}.duplicates", "blobs", result.duplicates)
    return figures


async def _fill(node: Node, options: Options, *, blobs: int, label: str) -> None:
    some = logs(min(LOGS, blobs), label=label, topics=50)
    texts, dialect = Texts(seed=options.seed), DIALECTS[options.dialect]
    await send_all(node.http, filling(some, blobs=blobs, texts=texts, dialect=dialect))


async def _caught_up(a: Node, b: Node) -> _CaughtUp:
    """Waits until B has what A has, durably; seconds from B's ready line."""
    wanted = a.status()["storage"]["messages"]
    rss_max = 0
    while True:
        status = b.status()
        took_s = time.perf_counter() - b.ready_at
        rss_max = max(rss_max, status["rss_bytes"])
        has_all = status["storage"]["messages"] == wanted
        if has_all and status["durable_change"] == status["change"]:
            duplicates = sum(peer["duplicates_in"] for peer in status["peers"])
            return _CaughtUp(took_s, rss_max / 1e6, duplicates)
        if took_s > _CAUGHT_UP_S_MAX:
            raise BenchFailed(f"{status['storage']['messages']} of {wanted}: {b.log_end()}")
        await asyncio.sleep(POLL_S)


def _check_equal(a: Node, b: Node) -> None:
    ours, theirs = a.inventory(), b.inventory()
    if ours["digest"] != theirs["digest"]:
        raise BenchFailed(f"caught up, but not equal: {ours} {theirs}")
