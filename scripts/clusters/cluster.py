"""A cluster in one folder: up, down, and what of it runs.

    FOLDER/cluster.json  its addresses
    FOLDER/role          clients can log in
    FOLDER/node-N/       data, log, settings and process id of a server

A process id is kept with the moment when that process began, so that another one which got the
number later is left alone. The file stays until the process is gone.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any, Final, NamedTuple

from scripts.clusters.artifacts import check_machine, fetch
from scripts.clusters.configuration import CQL_PORT, STORAGE_PORT, Server
from scripts.clusters.faults import ClusterFailed

NODES_MAX: Final = 3
READY_S_MAX: Final = 180.0
"""Seconds until all answer: 7 to 22 on an idle machine."""
STOP_S_MAX: Final = 30.0
"""Seconds that a clean stop may take: 4 to 5 on an idle machine."""
_LOOK_S: Final = 0.1
_LOG_END: Final = 2_000
_OPTIONS: Final = bytes.fromhex("040000000500000000")
"""CQL's question what a server supports; it answers when it takes clients."""
_SUPPORTED: Final = 6
_ROLE_MADE: Final = "Created default superuser role"


class ServerState(NamedTuple):
    """What one server is."""

    address: str
    pid: int | None
    """None when it does not run."""
    ready: bool


class Cluster:
    """The servers of a folder."""

    def __init__(self, folder: Path, *, tied: bool = False) -> None:
        """`tied`: the servers that it starts are killed when this process ends, however it does."""
        self.folder = folder.absolute()
        self._tied = tied
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def up(self, *, nodes: int, network: str, authenticate: bool = False) -> bool:
        """Starts `nodes` servers and waits until all take clients; whether any was started.

        `authenticate`: clients must log in, as cassandra with the password cassandra, and may use
        TLS. Data of
        before is kept when it is of a cluster that was the same in all this. `ClusterFailed`.
        """
        check_machine()
        plan = {"nodes": nodes, "network": network, "authenticate": authenticate}
        running = [state for state in self.states() if state.pid is not None]
        if running and self._plan() != plan:
            raise ClusterFailed("another cluster runs in this folder: take it down first")
        if self._plan() not in (None, plan):
            self.wipe()
        jars = fetch()
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "cluster.json").write_text(json.dumps(plan), encoding="utf-8")
        servers = self._servers(jars)
        started = [server for server in servers if self._start(server)]
        self._await_ready(servers)
        self._await_acquainted(servers)
        if authenticate:
            self._await_role(servers)
        return bool(started)

    def start(self, number: int) -> None:
        """Starts one server that is down again, and waits for it."""
        server = self._servers(fetch())[number - 1]
        self._start(server)
        self._await_ready([server])

    def kill(self, number: int) -> None:
        """SIGKILL for one server; returns when it is gone."""
        self._end(number, signal.SIGKILL)

    def stop(self, number: int) -> None:
        """SIGTERM for one server; returns when it is gone."""
        self._end(number, signal.SIGTERM)

    def send(self, number: int, which: signal.Signals) -> None:
        """Sends a signal to one server that runs."""
        pid = self._pid(number)
        if pid is not None:
            os.kill(pid, which)

    def down(self) -> bool:
        """Stops all that runs; whether anything did."""
        running = [n for n in range(1, NODES_MAX + 1) if self._pid(n) is not None]
        for number in running:
            self.send(number, signal.SIGTERM)
        for number in running:
            self._end(number, signal.SIGTERM)
        return bool(running)

    def wipe(self) -> None:
        """Removes the data of servers that are down; the jars stay."""
        for number in range(1, NODES_MAX + 1):
            shutil.rmtree(self._folder_of(number), ignore_errors=True)
        for name in ("cluster.json", "role"):
            (self.folder / name).unlink(missing_ok=True)

    def states(self) -> tuple[ServerState, ...]:
        """What each server is; nothing when there never was a cluster."""
        plan = self._plan()
        if plan is None:
            return ()
        states = []
        for number in range(1, plan["nodes"] + 1):
            address, pid = f"{plan['network']}.{number}", self._pid(number)
            states.append(ServerState(address, pid, pid is not None and is_ready(address)))
        return tuple(states)

    @property
    def authenticates(self) -> bool:
        """Whether its clients must log in."""
        plan = self._plan()
        return plan is not None and plan["authenticate"]

    def _plan(self) -> dict[str, Any] | None:
        try:
            plan = json.loads((self.folder / "cluster.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        assert isinstance(plan, dict)
        return plan

    def _servers(self, jars: Path) -> tuple[Server, ...]:
        plan = self._plan()
        assert plan is not None, "a plan is written before anything is started"
        return tuple(
            Server(
                number,
                count=plan["nodes"],
                network=plan["network"],
                authenticate=plan["authenticate"],
                folder=self._folder_of(number),
                jars=jars,
            )
            for number in range(1, plan["nodes"] + 1)
        )

    def _folder_of(self, number: int) -> Path:
        return self.folder / f"node-{number}"

    def _start(self, server: Server) -> bool:
        """Starts a server unless it runs. `ClusterFailed` when its ports are another's."""
        if self._pid(server.number) is not None:
            return False
        # Else the new one would die while the other one answers in its place.
        for port in (CQL_PORT, STORAGE_PORT):
            _check_free(server.address, port)
        server.prepare()
        with server.log.open("wb") as log:
            process = self._children[server.number] = subprocess.Popen(  # noqa: S603 - our own command
                server.command(tied=self._tied),
                cwd=server.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        mark = f"{process.pid} {_began(process.pid)}"
        (server.folder / "pid").write_text(mark, encoding="ascii")
        return True

    def _await_ready(self, servers: Sequence[Server]) -> None:
        until_s = time.monotonic() + READY_S_MAX
        for server in servers:
            while not is_ready(server.address):
                if self._pid(server.number) is None:
                    raise ClusterFailed(f"{server.address} ended: {_end_of(server.log)}")
                if time.monotonic() > until_s:
                    raise ClusterFailed(
                        f"{server.address} is not ready after {READY_S_MAX:.0f} s: "
                        f"{_end_of(server.log)}"
                    )
                time.sleep(_LOOK_S)

    def _await_acquainted(self, servers: Sequence[Server]) -> None:
        """Until each has heard of all others: before, a change of the schema counts as agreed on
        by those who are not known yet."""
        for server, other in permutations(servers, 2):
            told = f"InetAddress /{other.address}:{STORAGE_PORT} is now UP"
            failure = f"{server.address} does not hear of {other.address}"
            self._await_told([server], told, failure)

    def _await_role(self, servers: Sequence[Server]) -> None:
        """Until one of them made the first role, of a new cluster: who logs in before is refused,
        and that is remembered for as long as passwords are."""
        done = self.folder / "role"
        if not done.exists():
            self._await_told(servers, _ROLE_MADE, "no server made the first role")
            done.touch()

    def _await_told(self, servers: Sequence[Server], text: str, failure: str) -> None:
        """Until one of them says so in its log."""
        until_s = time.monotonic() + READY_S_MAX
        while not any(text in server.log.read_text(errors="replace") for server in servers):
            if time.monotonic() > until_s:
                raise ClusterFailed(failure)
            time.sleep(_LOOK_S)

    def _end(self, number: int, how: signal.Signals) -> None:
        pid = self._pid(number)
        if pid is None:
            return
        os.kill(pid, how)
        until_s = time.monotonic() + STOP_S_MAX
        while self._pid(number) is not None:
            if time.monotonic() > until_s:
                os.kill(pid, signal.SIGKILL)
                until_s += STOP_S_MAX
            time.sleep(_LOOK_S)

    def _pid(self, number: int) -> int | None:
        """The process of a server, if it still runs."""
        mark = self._folder_of(number) / "pid"
        try:
            pid_text, began = mark.read_text(encoding="ascii").split()
        except FileNotFoundError:
            return None
        pid = int(pid_text)
        if _began(pid) == began:
            return pid
        if number in self._children:
            self._children.pop(number).wait()
        mark.unlink(missing_ok=True)
        return None


def is_ready(address: str) -> bool:
    """Whether a server takes clients there."""
    try:
        with socket.create_connection((address, CQL_PORT), timeout=2) as connection:
            connection.sendall(_OPTIONS)
            header = connection.recv(9)
    except OSError:
        return False
    return len(header) > 4 and header[4] == _SUPPORTED


def _check_free(address: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise ClusterFailed(
                f"{address}:{port} cannot be used ({error.strerror}): choose another --network"
            ) from error


def _began(pid: int) -> str | None:
    """When a process began, in the kernel's ticks; None when there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The second field is a name in brackets, which may have any characters.
    fields = text.rpartition(")")[2].split()
    # One that ended and was not waited for (no init does so in many containers) is gone as well.
    return None if fields[0] == "Z" else fields[19]


def _end_of(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-_LOG_END:]
