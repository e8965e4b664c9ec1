"""Nodes as processes: the real command on a temporary folder, with free ports.

    node = start_node(tmp_path)                      # waits for the ready line, at most READY_S_MAX
    node.url("http"), node.ready["node_id"], node.status(), node.command("inventory")
    node.stop()                                      # SIGTERM; its exit status
    node.kill()                                      # SIGKILL

Each node gets its own data folder below the given one (`data_dir`), listens on loopback and speaks
no mDNS unless an option says otherwise. Its log is in `node.log_path`; when it does not become
ready, the end of that log is in the failure. `running_nodes` (a fixture's body) ends what a test
leaves behind.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

READY_S_MAX = 30.0
"""Seconds until the ready line: the goal is 1.5 s, machines are shared."""

STOP_S_MAX = 10.0
COMMAND_S_MAX = 60.0

MESHBOX = (sys.executable, "-m", "meshbox")
FREE_PORTS = (
    *("--http", "127.0.0.1:0", "--https", "127.0.0.1:0", "--sync", "127.0.0.1:0"),
    *("--admin", "127.0.0.1:0"),
)


@dataclass
class Finished:
    """A command that ended."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """Standard output as JSON."""
        document: dict[str, Any] = json.loads(self.out)
        return document


@dataclass
class RunningNode:
    """A node that said that it is ready, or is about to (`begin_node`)."""

    process: subprocess.Popen[bytes]
    ready: dict[str, Any]
    data_dir: Path
    log_path: Path
    environment: Mapping[str, str] = field(repr=False, default_factory=dict)

    @property
    def node_id(self) -> str:
        return str(self.ready["node_id"])

    @property
    def peer_address(self) -> str:
        """What another node is given as `--peer`."""
        return f"meshbox://{self.node_id}@{self.ready['sync']}"

    def url(self, listener: str = "http") -> str:
        """The base URL of a listener: http, https or admin."""
        scheme = "https" if listener == "https" else "http"
        return f"{scheme}://{self.ready[listener]}"

    def command(self, name: str, *options: str) -> Finished:
        """`meshbox NAME --data-dir … OPTIONS`."""
        return meshbox(
            name, "--data-dir", str(self.data_dir), *options, environment=self.environment
        )

    def status(self) -> dict[str, Any]:
        """The status document."""
        return self.document("status")

    def document(self, name: str, *options: str) -> dict[str, Any]:
        """What a command that must succeed prints with `--json`."""
        finished = self.command(name, "--json", *options)
        assert finished.status == 0, finished
        return finished.document

    def await_ready(self, timeout_s: float = READY_S_MAX) -> None:
        """Returns when it printed its ready line; it is ended when it does not."""
        line = _first_line(self.process, timeout_s)
        if not line:
            self.kill()
            raise AssertionError(f"not ready: {self.log()[-2000:]}")
        self.ready.update(json.loads(line))

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL, as a power cut would: nothing is flushed by the process."""
        self.process.kill()
        self.wait()

    def wait(self) -> int:
        status = self.process.wait(STOP_S_MAX)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status


def start_node(
    folder: Path,
    *options: str,
    environment: Mapping[str, str] | None = None,
    prefix: tuple[str, ...] = (),
) -> RunningNode:
    """Runs a node on `folder`/data and waits until it is ready. Later options win.

    `prefix` goes before the command, such as ("ip", "netns", "exec", NAME).
    """
    node = begin_node(folder, *options, environment=environment, prefix=prefix)
    node.await_ready()
    return node


def begin_node(
    folder: Path,
    *options: str,
    environment: Mapping[str, str] | None = None,
    prefix: tuple[str, ...] = (),
) -> RunningNode:
    """The same, without waiting: `await_ready` does, and what the ready line has is not there
    before."""
    data_dir, log_path = folder / "data", folder / "node.log"
    folder.mkdir(parents=True, exist_ok=True)
    variables = clean_environment(environment)
    command = [*prefix, *MESHBOX, "run", "--data-dir", str(data_dir), *FREE_PORTS, "--no-mdns"]
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            [*command, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            env=variables,
        )
    return RunningNode(process, {}, data_dir, log_path, variables)


def meshbox(*arguments: str, environment: Mapping[str, str] | None = None) -> Finished:
    """A command that ends by itself."""
    finished = subprocess.run(
        [*MESHBOX, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=clean_environment(environment),
        timeout=COMMAND_S_MAX,
        check=False,
    )
    return Finished(finished.returncode, finished.stdout, finished.stderr)


def clean_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without its own MESHBOX_… variables, and with `more`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MESHBOX_")}
    return kept | dict(more or {})


def _first_line(process: subprocess.Popen[bytes], timeout_s: float) -> bytes:
    """The first line of standard output; empty when the process ended or took too long."""
    assert process.stdout is not None
    deadline = time.monotonic() + timeout_s
    line = b""
    while not line.endswith(b"\n"):
        left_s = deadline - time.monotonic()
        if left_s <= 0 or not select.select([process.stdout], [], [], left_s)[0]:
            return b""
        more = os.read(process.stdout.fileno(), 4096)
        if not more:
            return b""
        line += more
    return line
