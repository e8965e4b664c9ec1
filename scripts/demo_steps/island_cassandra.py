"""The islands as processes on loopback, and harbour on a Cassandra as scripts/cassandra runs it."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from scripts.clusters.cluster import Cluster
from scripts.clusters.configuration import CQL_PORT
from scripts.clusters.faults import ClusterFailed
from scripts.demo_steps import commands
from scripts.demo_steps.faults import DemoFailed
from scripts.demo_steps.island_processes import IslandProcesses

INIT_S_MAX = 60.0
"""Seconds to make the keyspace: 2 to 5."""


class IslandCassandra(IslandProcesses):
    """See `IslandMesh`. The server runs as long as the mesh, and is killed if the demo is."""

    preparing = (
        "Starting a Cassandra (half a minute, or minutes if it is to be fetched first), two "
        "islands of two mailboxes each, and one on the internet on that Cassandra."
    )
    remains = "Nothing is left of it: no process, no folder but what Maven fetched."

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        chance = random.SystemRandom()
        self._network = f"127.{chance.randrange(1, 255)}.{chance.randrange(256)}"
        self._cluster = Cluster(folder / "cassandra", tied=True)

    def end(self) -> None:
        super().end()
        self._cluster.down()

    def _harbour_options(self) -> list[str]:
        store = f"cassandra://{self._network}.1:{CQL_PORT}/islands"
        try:
            self._cluster.up(nodes=1, network=self._network)
        except ClusterFailed as error:
            raise DemoFailed(f"Cassandra: {error}") from error
        init = [sys.executable, "-m", "meshbox", "store", "init", "--store", store]
        made = commands.run(
            [*init, "--cassandra-replication", "1"],
            folder=self._folder,
            seconds=INIT_S_MAX,
            variables={},
        )
        if made.status != 0:
            raise DemoFailed(f"meshbox store init: {made.complaint}")
        # Where it is the one process of its mailbox, no other clock has to agree with this one.
        return [*super()._harbour_options(), "--store", store, "--cassandra-trust-clock"]
