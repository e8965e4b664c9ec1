"""`internet-return`: the internet comes back, and what waited crosses in both directions.

An island and a mailbox on the internet (`--internet`) that met before. The line between them, a TCP
relay, is cut until the island says so; meanwhile both take `--blobs` in 100 logs. Measured from the
moment when the line takes connections again: until one blob is readable in each direction (looked
at every POLL_S, as an app reads), until each has everything, and what came twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from scripts.benchmarks.connection import connect, send_all
from scripts.benchmarks.faults import BenchFailed
from scripts.benchmarks.options import Options
from scripts.benchmarks.processes import Node, Stage
from scripts.benchmarks.requests import DIALECTS, Dialect, Log, Texts, filling, logs, poll
from scripts.benchmarks.rows import Figures
from scripts.lines.line import Line

BLOBS: Final = 10_000
LOGS: Final = 100
FIRST_S_GOAL: Final = 3.0
ALL_S_GOAL: Final = {BLOBS: 5.0}
POLL_S: Final = 0.01

_NOTICED_S_MAX: Final = 30.0
_CROSSED_S_MAX: Final = 120.0


async def internet_return(options: Options) -> Figures:
    """`--blobs` of 1 KB (10,000) wait on each side when the line returns."""
    figures = Figures()
    blobs = options.blobs or BLOBS
    count = min(LOGS, blobs)
    blobs = blobs // count * count
    for _ in range(options.runs):
        with Stage(options.folder) as stage:
            far = stage.node("far")
            with Line(far.ready["sync"]) as line:
                url = f"meshbox://{far.ready['node_id']}@{line.endpoint}"
                island = stage.node("island", f"--internet={url}", "--sync=off")
                await _return(island, far, line, options, blobs=blobs, figures=figures)
                figures.add(f"internet-return.{blobs}.line", "MB", line.bytes / 1e6)
            if island.inventory()["digest"] != far.inventory()["digest"]:
                raise BenchFailed("as many, but not equal")
            twice = _duplicates(island) + _duplicates(far)
            figures.add(f"internet-return.{blobs}.duplicates", "blobs", twice)
    return figures


async def _return(
    island: Node, far: Node, line: Line, options: Options, *, blobs: int, figures: Figures
) -> None:
    """One cut and one return."""
    dialect, texts = DIALECTS[options.dialect], Texts(seed=options.seed)
    sides = {side: logs(min(LOGS, blobs), label=side) for side in ("out", "in")}
    line.heal()
    await _until(lambda: _is_connected(island), _NOTICED_S_MAX)
    line.cut()
    await _until(lambda: not _is_connected(island), _NOTICED_S_MAX)
    for node, side in ((island, "out"), (far, "in")):
        requests = filling(sides[side], blobs=blobs, texts=texts, dialect=dialect)
        await send_all(node.http, requests)
    line.heal()
    began = time.perf_counter()
    first = await asyncio.gather(
        _first_s(far, sides["out"], dialect, began),
        _first_s(island, sides["in"], dialect, began),
    )
    await _until(lambda: min(_held(island), _held(far)) >= 2 * blobs, _CROSSED_S_MAX)
    all_s = time.perf_counter() - began
    for side, first_s in zip(("out", "in"), first, strict=True):
        figures.add(f"internet-return.{side}.first", "s", first_s, goal=FIRST_S_GOAL)
    figures.add(f"internet-return.{blobs}.time", "s", all_s, goal=ALL_S_GOAL.get(blobs))


async def _first_s(node: Node, some: list[Log], dialect: Dialect, began: float) -> float:
    """Seconds until an app that asks `node` for one topic of `some` is given something."""
    connection = await connect(node.http)
    try:
        request = poll({some[0].topic: {}}, dialect=dialect)
        while not _brings(await connection.ask_json(request), some[0].topic, dialect):
            if time.perf_counter() - began > _CROSSED_S_MAX:
                raise BenchFailed(f"nothing crossed: {node.log_end()}")
            await asyncio.sleep(POLL_S)
        return time.perf_counter() - began
    finally:
        connection.close()


def _brings(answer: Any, topic: str, dialect: Dialect) -> bool:
    return bool(answer[dialect.answer_key][topic][dialect.key])


async def _until(is_so: Callable[[], bool], seconds: float) -> None:
    ends = time.perf_counter() + seconds
    while not is_so():
        if time.perf_counter() > ends:
            raise BenchFailed(f"not so within {seconds:.0f} s")
        await asyncio.sleep(POLL_S)


def _is_connected(island: Node) -> bool:
    return bool(island.status()["internet"][0]["state"] == "connected")


def _held(node: Node) -> int:
    return int(node.status()["storage"]["messages"])


def _duplicates(node: Node) -> int:
    return sum(int(peer["duplicates_in"]) for peer in node.status()["peers"])
