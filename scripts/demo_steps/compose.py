"""The three nodes as the services of docker-compose.yml, under a project name of this run.

They meet on the project's own bridge network, in the default mesh; ports on loopback are chosen by
the engine. `--sync off --no-mdns` is how sync is cut off. Everything of the project is removed at
the end, volumes too; the image stays, so that the next run need not build it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from scripts.demo_steps import app, commands
from scripts.demo_steps.faults import DemoFailed
from scripts.demo_steps.mesh import NAMES
from scripts.demo_steps.waiting import Stopwatch, until

BUILD_S_MAX = 900.0
"""Seconds to build the image: on a small board, with a slow connection."""

READY_S_MAX = 60.0
COMMAND_S_MAX = 60.0
LOG_LINES = 12

_ASK_PAUSE_S = 0.05
_HTTP_PORT = "3000"
_ERASE = "\x1b[2K"
"""Compose 2.26 begins each line of a log with it, also where it does not write to a terminal."""


class ComposeMesh:
    """See `Mesh`. `project` is what the names of everything that is made begin with."""

    kind = "container"
    preparing = "Building the image (minutes, the first time), then starting north, east and south."
    remains = "Nothing is left of it but the image: no container, no network, no volume."

    def __init__(
        self,
        root: Path,
        folder: Path,
        *,
        blocked: str | None = None,
        project: str = "meshbox-demo",
        file: str = "docker-compose.yml",
        names: Iterable[str] = NAMES,
    ) -> None:
        self.project = f"{project}-{os.getpid()}"
        self._root = root
        self._files = [root / file]
        # Ports of loopback that the engine chooses, instead of those in the file.
        self._variables = {f"{name.upper()}_PORT": "127.0.0.1:0" for name in names}
        self._http: dict[str, str] = {}
        if blocked is not None:
            self._files.append(_without_sync(blocked, folder))

    def start(self) -> dict[str, float]:
        self._build()
        return self._up(NAMES)

    def http(self, name: str) -> str:
        return self._http[name]

    def node_id(self, name: str) -> str:
        return str(app.get(self._http[name], name, "/health")["endpoint_id"])

    def status(self, name: str) -> dict[str, Any]:
        return self.ask(name, "status")

    def inventory(self, name: str) -> dict[str, Any]:
        return self.ask(name, "inventory")

    def kill(self, name: str) -> None:
        self.compose("kill", "--signal", "SIGKILL", name)

    def start_again(self, name: str) -> float:
        watch = Stopwatch()
        self.compose("start", name)
        return self._await_ready(name, watch)

    def stop(self) -> dict[str, int]:
        self.compose("stop")
        lines = self.compose("ps", "--all", "--format", "json").strip()
        # A list in one version of compose, an object a line in the next.
        rows = json.loads(lines) if lines.startswith("[") else map(json.loads, lines.splitlines())
        return {row["Service"]: row["ExitCode"] for row in rows}

    def log(self, name: str) -> list[str]:
        try:
            tail = ("--tail", str(LOG_LINES), "--no-log-prefix", "--no-color")
            return self.compose("logs", *tail, name).replace(_ERASE, "").splitlines()
        except DemoFailed:
            return []

    def end(self) -> None:
        try:
            self.compose("down", "--volumes", "--timeout", "5")
        except DemoFailed:
            return

    def find_port(self, name: str) -> str:
        """HOST:PORT of a node that came back to the network: the engine may choose another."""
        self._http[name] = self.compose("port", name, _HTTP_PORT).strip()
        return self._http[name]

    def ask(self, name: str, command: str) -> dict[str, Any]:
        """What `meshbox COMMAND --json` prints inside the container."""
        question = ("meshbox", command, "--data-dir", "/data", "--json")
        document: dict[str, Any] = json.loads(self.compose("exec", "--no-TTY", name, *question))
        return document

    def compose(self, *arguments: str, seconds: float = COMMAND_S_MAX) -> str:
        """The output of `docker compose` for this project; `DemoFailed` with its complaint."""
        files = [part for file in self._files for part in ("--file", str(file))]
        command = ["docker", "compose", "--project-name", self.project, *files, *arguments]
        finished = commands.run(
            command, folder=self._root, seconds=seconds, variables=self._variables
        )
        if finished.status != 0:
            raise DemoFailed(f"docker compose {arguments[0]}: {finished.complaint}")
        return finished.out

    def _build(self) -> None:
        self._find_engine()
        self.compose("build", seconds=BUILD_S_MAX)

    def _up(self, names: Iterable[str]) -> dict[str, float]:
        """Starts containers, and waits until each is ready; the milliseconds that each took."""
        watch, chosen = Stopwatch(), tuple(names)
        self.compose("up", "--detach", "--no-build", *chosen)
        return {name: self._await_ready(name, watch) for name in chosen}

    def _find_engine(self) -> None:
        for command in (("docker", "compose", "version"), ("docker", "version")):
            try:
                finished = commands.run(
                    command, folder=self._root, seconds=COMMAND_S_MAX, variables={}
                )
            except OSError as error:
                raise DemoFailed("there is no docker command on this machine") from error
            if finished.status != 0:
                raise DemoFailed(f"{' '.join(command)}: {finished.complaint}")

    def _await_ready(self, name: str, watch: Stopwatch) -> float:
        """The milliseconds until the node answers; what the engine publishes answers nothing."""
        self.find_port(name)
        if not until(lambda: self._is_ready(name), seconds=READY_S_MAX, pause_s=_ASK_PAUSE_S):
            raise DemoFailed(f"{name} was not ready within {READY_S_MAX:.0f} s", node=name)
        return watch.ms

    def _is_ready(self, name: str) -> bool:
        try:
            return self.node_id(name) != ""
        except DemoFailed:
            return False


def _without_sync(name: str, folder: Path) -> Path:
    """A file (JSON is YAML) that starts this node with its sync cut off."""
    command = ["run", "--data-dir", "/data", "--sync", "off", "--no-mdns"]
    file = folder / "without-sync.json"
    file.write_text(json.dumps({"services": {name: {"command": command}}}), encoding="utf-8")
    return file
