"""The three nodes as processes on loopback, each with a folder of its own.

Ports are chosen by the nodes and read from their ready lines. A mesh name of this run keeps other
nodes on the machine out. `--sync off --no-mdns` is how sync is cut off: a node with a blocked sync
port alone would still reach the others by dialling them itself.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.demo_steps import app, interrupts
from scripts.demo_steps.faults import DemoFailed
from scripts.demo_steps.mesh import NAMES
from scripts.demo_steps.waiting import Stopwatch, until

READY_S_MAX = 60.0
"""Seconds until the ready line: usually 1, on a busy small board 10 and more."""

STOP_S_MAX = 10.0
"""Seconds that a node may take to end; it promises 5."""

LOG_LINES = 12

_FREE = "127.0.0.1:0"
_LISTENERS = ("--http", _FREE, "--https", _FREE, "--sync", _FREE, "--admin", _FREE)


class ProcessMesh:
    """See `Mesh`."""

    kind = "process"
    preparing = "Starting three mailboxes on this machine: north, east and south."
    remains = "Nothing is left of it: no process, no folder."

    def __init__(self, folder: Path, *, blocked: str | None = None) -> None:
        self._folder = folder
        self._blocked = blocked
        self._mesh_name = f"demo-{secrets.token_hex(4)}"
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._ready: dict[str, dict[str, Any]] = {}

    def folder_of(self, name: str) -> Path:
        """The data folder of a node."""
        return self._folder / name

    def start(self) -> dict[str, float]:
        return self._start({name: self._options(name) for name in NAMES})

    def http(self, name: str) -> str:
        return str(self._ready[name]["http"])

    def node_id(self, name: str) -> str:
        return str(self._ready[name]["node_id"])

    def status(self, name: str) -> dict[str, Any]:
        return app.get(self._ready[name]["admin"], name, "/api/status")

    def inventory(self, name: str) -> dict[str, Any]:
        return app.get(self._ready[name]["admin"], name, "/api/inventory")

    def kill(self, name: str) -> None:
        process = self._running[name]
        process.kill()
        process.wait(STOP_S_MAX)

    def start_again(self, name: str) -> float:
        return self._start({name: self._options(name)})[name]

    def stop(self) -> dict[str, int]:
        for process in self._running.values():
            process.terminate()
        until(self._all_ended, seconds=STOP_S_MAX)
        still = [name for name, process in self._running.items() if process.poll() is None]
        if still:
            reason = f"{still[0]} did not end within {STOP_S_MAX:.0f} s of being asked to"
            raise DemoFailed(reason, node=still[0])
        return {name: process.wait() for name, process in self._running.items()}

    def log(self, name: str) -> list[str]:
        try:
            text = self._log_path(name).read_text(errors="replace")
        except OSError:
            return []
        return text.splitlines()[-LOG_LINES:]

    def end(self) -> None:
        for process in self._running.values():
            if process.poll() is None:
                process.terminate()
        until(self._all_ended, seconds=STOP_S_MAX)
        for process in self._running.values():
            if process.poll() is None:
                process.kill()
            process.wait()

    def _options(self, name: str) -> list[str]:
        """What a node is started with, beside its folder and listeners."""
        options = ["--mesh", self._mesh_name, "--interface", "127.0.0.1"]
        return [*options, "--sync", "off", "--no-mdns"] if name == self._blocked else options

    def _command(self, name: str) -> list[str]:
        """The command that a node is, without its options."""
        return [sys.executable, "-m", "meshbox", "run"]

    def _start(self, options: Mapping[str, list[str]]) -> dict[str, float]:
        """Starts nodes, each with its options, and waits until all are ready."""
        watch = Stopwatch()
        names = tuple(options)
        for name in names:
            self._spawn(name, options[name])
        took_ms: dict[str, float] = {}

        def all_ready() -> bool:
            for name in names:
                if name not in took_ms and self._is_ready(name):
                    took_ms[name] = watch.ms
            return len(took_ms) == len(names)

        if not until(all_ready, seconds=READY_S_MAX):
            late = next(name for name in names if name not in took_ms)
            raise DemoFailed(f"{late} was not ready within {READY_S_MAX:.0f} s", node=late)
        return took_ms

    def _spawn(self, name: str, options: list[str]) -> None:
        command = self._command(name)
        command += ["--data-dir", str(self.folder_of(name)), *_LISTENERS, *options]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MESHBOX_")}
        with (
            self._ready_path(name).open("wb") as out,
            self._log_path(name).open("ab") as log,
            interrupts.held_off(),
        ):
            # In a session of its own: Ctrl-C is for the demo, which then ends its nodes itself.
            self._running[name] = subprocess.Popen(  # noqa: S603 - our own command
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                env=environment,
                start_new_session=True,
            )

    def _is_ready(self, name: str) -> bool:
        line = self._ready_path(name).read_bytes()
        if line.endswith(b"\n"):
            self._ready[name] = json.loads(line)
            return True
        status = self._running[name].poll()
        if status is not None:
            how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
            raise DemoFailed(f"{name} ended before it was ready ({how})", node=name)
        return False

    def _all_ended(self) -> bool:
        return all(process.poll() is not None for process in self._running.values())

    def _ready_path(self, name: str) -> Path:
        return self._folder / f"{name}.ready"

    def _log_path(self, name: str) -> Path:
        return self._folder / f"{name}.log"
