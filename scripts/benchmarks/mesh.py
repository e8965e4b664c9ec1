"""`mesh`: what a full mesh sends in order to be equal, and whether anybody is sent a blob twice.

`--nodes` nodes that all know each other (10); `--blobs` blobs of 1 KB (10,000), each deposited by a
request of its own at a random node, on one connection a node, as fast as they are answered. Every
log is written at one node, as an app writes in order. Measured when all hold all, and their digests
are equal: the bytes of all frames that the nodes received, over the bytes of the blobs that they
lacked.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

from scripts.benchmarks.connection import send_all
from scripts.benchmarks.faults import BenchFailed
from scripts.benchmarks.options import Options
from scripts.benchmarks.processes import Node, Stage
from scripts.benchmarks.requests import BLOB_BYTES, DIALECTS, Deposits, Texts, logs
from scripts.benchmarks.rows import Figures

NODES: Final = 10
BLOBS: Final = 10_000
LOGS_A_NODE: Final = 100
RATIO_GOAL: Final = 1.10

_CONNECTED_S_MAX: Final = 60.0
_EQUAL_S_MAX: Final = 120.0
_LOOK_S: Final = 0.1


async def mesh(options: Options) -> Figures:
    """`--blobs` blobs at `--nodes` random nodes, until all are equal."""
    figures = Figures()
    blobs = options.blobs or BLOBS
    for run in range(options.runs):
        with Stage(options.folder) as stage:
            nodes: list[Node] = []
            for i in range(options.nodes or NODES):
                peers = (f"--peer={node.peer_address}" for node in nodes)
                nodes.append(stage.node(f"node{i}", *peers))
            await _connected(nodes)
            before_bytes = _sum(nodes, "bytes_in")
            begun = time.perf_counter()
            requests = _requests(len(nodes), blobs, options, seed=options.seed + run)
            sends = (send_all(node.http, some) for node, some in zip(nodes, requests, strict=True))
            await asyncio.gather(*sends)
            deposited_s = time.perf_counter() - begun
            await _equal(nodes, blobs)
            equal_s = time.perf_counter() - begun
            received_bytes = _sum(nodes, "bytes_in") - before_bytes
            needed_bytes = blobs * (len(nodes) - 1) * BLOB_BYTES
            name = f"mesh.{len(nodes)}"
            figures.add(f"{name}.ratio", "B/B", received_bytes / needed_bytes, goal=RATIO_GOAL)
            figures.add(f"{name}.duplicates", "blobs", _sum(nodes, "duplicates_in"), goal=0)
            figures.add(f"{name}.deposited", "s", deposited_s)
            figures.add(f"{name}.equal", "s", equal_s)
    return figures


def _requests(nodes: int, blobs: int, options: Options, *, seed: int) -> Sequence[Iterator[bytes]]:
    """The requests for each node: every blob is the next of a random log, which has one node."""
    source = random.Random(seed)  # noqa: S311 - repeatable, not secret
    texts, dialect = Texts(seed=seed), DIALECTS[options.dialect]
    some = logs(LOGS_A_NODE * nodes, label="mesh", topics=50)
    makers = [Deposits(log, texts=texts, dialect=dialect) for log in some]
    chosen: list[list[Deposits]] = [[] for _ in range(nodes)]
    for _ in range(blobs):
        at = source.randrange(len(makers))
        chosen[at % nodes].append(makers[at])
    return [(maker() for maker in ones) for ones in chosen]


async def _connected(nodes: Sequence[Node]) -> None:
    def missing() -> int:
        return sum(
            len(nodes) - 1 - sum(peer["state"] == "connected" for peer in node.status()["peers"])
            for node in nodes
        )

    await _until(lambda: not missing(), _CONNECTED_S_MAX, nodes)


async def _equal(nodes: Sequence[Node], blobs: int) -> None:
    def settled(status: dict[str, Any]) -> bool:
        has_all = status["storage"]["messages"] == blobs
        return bool(has_all and status["durable_change"] == status["change"])

    await _until(lambda: all(settled(node.status()) for node in nodes), _EQUAL_S_MAX, nodes)
    digests = {node.inventory()["digest"] for node in nodes}
    if len(digests) != 1:
        raise BenchFailed(f"{len(digests)} digests among {len(nodes)} nodes that hold all")


async def _until(met: Any, patience_s: float, nodes: Sequence[Node]) -> None:
    end = time.perf_counter() + patience_s
    while not met():
        if time.perf_counter() > end:
            held = [node.status()["storage"]["messages"] for node in nodes]
            raise BenchFailed(f"not in {patience_s:.0f} s; held: {held}; {nodes[0].log_end()}")
        await asyncio.sleep(_LOOK_S)


def _sum(nodes: Sequence[Node], counter: str) -> int:
    """A counter of all peers of all nodes."""
    return sum(peer[counter] for node in nodes for peer in node.status()["peers"])
