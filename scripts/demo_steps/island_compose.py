"""The islands as the services of docker-compose.islands.yml, under a project name of this run.

Each island and the internet is a network of its own. All lines are cut by taking harbour off the
internet; its port for apps is on another network.
"""

from __future__ import annotations

from pathlib import Path

from scripts.demo_steps import commands
from scripts.demo_steps.compose import COMMAND_S_MAX, ComposeMesh
from scripts.demo_steps.faults import DemoFailed
from scripts.demo_steps.islands import ALL, HARBOUR, ISLAND_A, ISLAND_B

_FILE = "docker-compose.islands.yml"


class IslandCompose(ComposeMesh):
    """See `IslandMesh`."""

    preparing = "Building the image (minutes, the first time), then starting five mailboxes."

    def __init__(self, root: Path, folder: Path, *, project: str = "meshbox-islands") -> None:
        super().__init__(root, folder, project=project, file=_FILE, names=ALL)

    def start(self) -> dict[str, float]:
        self._build()
        took_ms = self._up([HARBOUR])
        self._variables["HARBOUR"] = f"meshbox://{self.node_id(HARBOUR)}@{HARBOUR}:3001"
        self.cut()
        return took_ms | self._up((*ISLAND_A, *ISLAND_B))

    def cut(self) -> None:
        self._network("disconnect")

    def heal(self) -> None:
        self._network("connect", "--alias", HARBOUR)

    def _network(self, *arguments: str) -> None:
        """Takes harbour off the internet, or puts it there."""
        container = self.compose("ps", "--quiet", HARBOUR).strip()
        network = f"{self.project}_internet"
        finished = commands.run(
            ["docker", "network", *arguments, network, container],
            folder=self._root,
            seconds=COMMAND_S_MAX,
            variables={},
        )
        if finished.status != 0:
            raise DemoFailed(f"docker network {arguments[0]}: {finished.complaint}", node=HARBOUR)
        self.find_port(HARBOUR)
