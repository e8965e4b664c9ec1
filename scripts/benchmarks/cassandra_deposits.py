"""`cassandra-deposits`: durable stores over HTTP into a real Cassandra, by one process and by two.

A server of scripts/clusters beside the nodes, on the same cores; 64 clients, each with a log of its
own. What the server was sent is counted by the server itself, for all its clients.
"""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from meshbox.storage.cassandra.address import Access, ClusterAddress
from meshbox.storage.cassandra.administering import initialise
from meshbox.storage.cassandra.connection import Connection
from scripts.benchmarks.deposits import CLIENTS
from scripts.benchmarks.faults import BenchFailed
from scripts.benchmarks.load import Load, run_load
from scripts.benchmarks.options import Options
from scripts.benchmarks.processes import Node, Stage
from scripts.benchmarks.requests import DIALECTS, Deposits, Texts, logs
from scripts.benchmarks.rows import Figures
from scripts.clusters.cluster import Cluster
from scripts.clusters.configuration import CQL_PORT
from scripts.clusters.faults import ClusterFailed

RATE_GOAL: Final = 400.0
SECONDS: Final = 5.0
KEY_NAME: Final = "identity.key"


async def cassandra_deposits(options: Options) -> Figures:
    """Single blobs of 1 KB on 64 logs: one process, then two that share the clients."""
    figures = Figures()
    with Stage(options.folder) as stage:
        async with _keyspace(stage.folder / "cassandra") as access:
            nodes = _start_two(stage, access)
            for run in range(options.runs):
                await _measure(figures, options, nodes[:1], access, label=f"one {run}")
                await _measure(figures, options, nodes, access, label=f"two {run}")
            for node in nodes:
                stage.end(node)
    return figures


@asynccontextmanager
async def _keyspace(folder: Path) -> AsyncIterator[Access]:
    """A server with an empty keyspace."""
    chance = random.SystemRandom()
    network = f"127.{chance.randrange(1, 255)}.{chance.randrange(256)}"
    cluster = Cluster(folder, tied=True)
    try:
        await asyncio.to_thread(cluster.up, nodes=1, network=network)
        access = Access(ClusterAddress(((f"{network}.1", CQL_PORT),), "bench"), "datacenter1")
        await initialise(access, {"": 1})
        yield access
    except ClusterFailed as error:
        raise BenchFailed(f"Cassandra {error}") from error
    finally:
        await asyncio.to_thread(cluster.down)


def _start_two(stage: Stage, access: Access) -> tuple[Node, Node]:
    """Two processes of one mailbox."""
    options = ("--store", str(access.address), "--cassandra-trust-clock")
    first = stage.node("first", *options)
    data_dir = first.data_dir.parent.parent / "second" / "data"
    data_dir.mkdir(mode=0o700, parents=True)
    shutil.copy(first.data_dir / KEY_NAME, data_dir)
    return first, stage.node("second", *options)


async def _measure(
    figures: Figures, options: Options, nodes: Sequence[Node], access: Access, *, label: str
) -> None:
    texts, dialect = Texts(seed=options.seed), DIALECTS[options.dialect]
    some = logs(CLIENTS, label=f"cassandra {label}", topics=CLIENTS)
    shares = [some[at :: len(nodes)] for at in range(len(nodes))]
    before, cpu_before = await _requests(access), [node.cpu_s() for node in nodes]
    loads: Sequence[Load] = await asyncio.gather(
        *(
            run_load(
                node.http,
                [Deposits(log, texts=texts, dialect=dialect) for log in share],
                seconds=options.seconds or SECONDS,
            )
            for node, share in zip(nodes, shares, strict=True)
        )
    )
    answers = sum(load.answers for load in loads)
    sent = await _requests(access) - before
    name = f"cassandra-deposits.{len(nodes)}"
    rate = sum(load.per_second for load in loads)
    figures.add(f"{name}.rate", "deposits/s", rate, goal=RATE_GOAL if len(nodes) == 1 else None)
    figures.add(f"{name}.p50", "ms", max(load.p50_ms for load in loads))
    figures.add(f"{name}.p99", "ms", max(load.p99_ms for load in loads))
    figures.add(f"{name}.statements", "a deposit", sent / answers)
    spent = [
        after - begun
        for after, begun in zip([node.cpu_s() for node in nodes], cpu_before, strict=True)
        if after is not None and begun is not None
    ]
    if spent:
        figures.add(f"{name}.node_cpu", "ms/deposit", sum(spent) * 1000 / answers)


async def _requests(access: Access) -> int:
    """What the server was asked by all clients that are connected now."""
    connection = await Connection.open(access, keyspace="system_views")
    try:
        read = await connection.prepare("SELECT request_count FROM ks.clients", idempotent=True)
        return sum(count for (count,) in await connection.execute(read))
    finally:
        await connection.close()
