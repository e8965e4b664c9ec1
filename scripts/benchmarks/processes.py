"""The processes that are measured: started, waited for, asked, and ended by their own process id.

A `Stage` owns the processes of one benchmark and the folder that they use; leaving it ends and
removes both, whatever happened.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, TypeVar

from meshbox.admin.control_socket import connect
from scripts.benchmarks.faults import BenchFailed

READY_S_MAX: Final = 30.0
_STOP_S_MAX: Final = 10.0
_ASK_S_MAX: Final = 10.0
_LOG_END: Final = 2000


class Process:
    """One that printed a JSON line when it was ready."""

    def __init__(self, child: subprocess.Popen[bytes], folder: Path, log: Path) -> None:
        self._child = child
        self._log = log
        self.folder = folder
        self.ready: dict[str, Any] = {}
        self.ready_ms = 0.0
        """Milliseconds from its start to its ready line."""
        self.ready_at = 0.0
        """`perf_counter` of its ready line."""

    @property
    def http(self) -> str:
        """HOST:PORT of the listener for apps."""
        return str(self.ready["http"])

    @property
    def pid(self) -> int:
        return self._child.pid

    def cpu_s(self) -> float | None:
        """CPU seconds of all its threads until now; None where only Linux would tell."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2]
        except OSError:
            return None
        user, system = fields.split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def await_ready(self, begun: float) -> None:
        """Reads the ready line; `BenchFailed` when there is none in time."""
        assert self._child.stdout is not None
        readable, _, _ = select.select([self._child.stdout], [], [], READY_S_MAX)
        line = self._child.stdout.readline() if readable else b""
        self.ready_at = time.perf_counter()
        self.ready_ms = (self.ready_at - begun) * 1000
        if not line:
            self.end()
            raise BenchFailed(f"not ready: {self.log_end()}")
        self.ready = json.loads(line)

    def log_end(self) -> str:
        """The end of what it wrote to standard error."""
        return self._log.read_text(errors="replace")[-_LOG_END:]

    def kill(self) -> None:
        """SIGKILL."""
        self._child.kill()
        self._child.wait()
        self._close()

    def end(self) -> None:
        """SIGTERM, and SIGKILL when that was not enough."""
        self._child.terminate()
        try:
            self._child.wait(_STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._close()

    def _close(self) -> None:
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()


class Node(Process):
    """A `meshbox run`."""

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def peer_address(self) -> str:
        """What another node is given as `--peer`."""
        return f"meshbox://{self.ready['node_id']}@{self.ready['sync']}"

    def status(self) -> dict[str, Any]:
        """Its status document, over its control socket: less than a millisecond of its time."""
        return self._ask("/api/status")

    def inventory(self) -> dict[str, Any]:
        """What it holds, with a digest; reads all there is."""
        return self._ask("/api/inventory")

    def sweep(self) -> dict[str, Any]:
        """Frees what is due; what that was."""
        return self._ask("/api/sweep", method="POST")

    def rss_mb(self) -> float:
        """Resident memory, MB."""
        return float(self.status()["rss_bytes"]) / 1e6

    def _ask(self, path: str, *, method: str = "GET") -> dict[str, Any]:
        connection = _ControlConnection(self.data_dir / "control.sock")
        try:
            connection.request(method, path)
            document: dict[str, Any] = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise BenchFailed(f"no answer to {path}: {error!r} {self.log_end()}") from error
        finally:
            connection.close()
        return document


class Talker(Process):
    """A process that answers each line of its input with a line of JSON, and ends with it."""

    def ask(self, line: str) -> dict[str, Any]:
        """The document that answers `line`; `BenchFailed` when it ended."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(line.encode() + b"\n")
        self._child.stdin.flush()
        answer = self._child.stdout.readline()
        if not answer:
            raise BenchFailed(f"no answer to {line}: {self.log_end()}")
        document: dict[str, Any] = json.loads(answer)
        return document


class SocketTraffic(NamedTuple):
    """What the kernel counted on the established connections at a listener, both ways."""

    connections: frozenset[str]
    """The far ends."""
    bytes: int
    """Payload of TCP."""
    segments: int


def socket_traffic(listener: str) -> SocketTraffic | None:
    """The traffic at HOST:PORT until now; None without ss."""
    command = shutil.which("ss")
    if command is None:
        return None
    port = listener.rpartition(":")[2]
    shown = subprocess.run(  # noqa: S603 - a command of the system, with a port of ours
        [command, "-tinH", "state", "established", "sport", "=", f":{port}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return SocketTraffic(
        connections=frozenset(re.findall(rf":{port}\s+(\S+)", shown)),
        bytes=_sum("bytes_sent", shown) + _sum("bytes_received", shown),
        segments=_sum("segs_out", shown) + _sum("segs_in", shown),
    )


def _sum(counter: str, shown: str) -> int:
    return sum(int(value) for value in re.findall(rf"\b{counter}:(\d+)", shown))


_P = TypeVar("_P", bound=Process)


class Stage:
    """A new folder below `parent`, and the processes that run in it."""

    def __init__(self, parent: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="meshbox-bench-", dir=parent))
        self._processes: list[Process] = []

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        try:
            for process in reversed(self._processes):
                process.end()
        finally:
            shutil.rmtree(self.folder)

    def node(self, name: str, *options: str, environment: Mapping[str, str] | None = None) -> Node:
        """Runs a node on the folder `name`, new or as it was left; on loopback, without mDNS."""
        folder = self.folder / name
        command = [
            *(sys.executable, "-m", "meshbox", "run", "--data-dir", str(folder / "data")),
            *("--http", "127.0.0.1:0", "--https", "off", "--sync", "127.0.0.1:0"),
            *("--admin", "off", "--no-mdns", *options),
        ]
        return self._start(Node, command, folder, environment)

    def process(self, name: str, *command: str) -> Process:
        """Runs another program that prints a ready line, such as a baseline."""
        return self._start(Process, list(command), self.folder / name)

    def talker(self, name: str, *command: str) -> Talker:
        """Runs a program that prints a ready line and then answers questions."""
        return self._start(Talker, list(command), self.folder / name)

    def end(self, process: Process) -> None:
        """Ends one process, whose folder stays."""
        self._processes.remove(process)
        process.end()

    def kill(self, process: Process) -> None:
        """Kills one process, whose folder stays."""
        self._processes.remove(process)
        process.kill()

    def _start(
        self,
        kind: type[_P],
        command: list[str],
        folder: Path,
        environment: Mapping[str, str] | None = None,
    ) -> _P:
        folder.mkdir(exist_ok=True)
        log = folder / "log"
        begun = time.perf_counter()
        with log.open("ab") as errors:
            child = subprocess.Popen(  # noqa: S603 - our own command
                command,
                stdin=subprocess.PIPE if kind is Talker else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**_clean_environment(), **(environment or {})},
                # Ctrl-C is for this process, which ends the children in its own time.
                start_new_session=True,
            )
        process = kind(child, folder, log)
        self._processes.append(process)
        process.await_ready(begun)
        return process


def _clean_environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("MESHBOX_")}


class _ControlConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_ASK_S_MAX)
        self._path = path

    def connect(self) -> None:
        self.sock = connect(self._path, _ASK_S_MAX)
