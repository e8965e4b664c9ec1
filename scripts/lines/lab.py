"""A laboratory of network namespaces: several "machines" on one wire, cut and healed at will.

Needs root and iproute2. A wire is a bridge in a namespace of its own, so that nothing of the
host's network is touched and no firewall of the host stands in the way. Machine i is a namespace
with ethW, 10.(77+W).0.(i+1)/16, on each wire W that it is plugged into; by default on wire 0.

    with Lab(machines=2) as lab:
        process = lab.run(lab.machines[0], ["python", "-c", "…"], stdout=subprocess.PIPE)
        lab.cut(lab.machines[1])

Invariants: names carry the pid, so parallel runs do not meet; `close` ends the processes started
here and removes every namespace, after a failure too, and the next lab removes what a killed run
left behind.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Final

MACHINES_MAX: Final = 200

_NAMESPACE = re.compile(r"mbx([0-9]+)x[0-9]+(?:br|n[0-9]+)")
_serial = count()
_reason: list[str | None] = []


class LabFailed(Exception):
    """A command that builds the lab, or changes it, did not work."""


def unavailable() -> str | None:
    """Why there can be no lab here; None if there can. Tried once, for real."""
    if not _reason:
        _reason.append(_find_reason())
    return _reason[0]


def _find_reason() -> str | None:
    if os.geteuid() != 0:
        return "needs root"
    if shutil.which("ip") is None:
        return "needs the command ip (package iproute2)"
    try:
        with Lab(machines=1) as lab:
            lab.ip(lab.machines[0], "link", "show", "eth0")
    except LabFailed as error:
        return str(error)
    return None


class Lab(AbstractContextManager["Lab"]):
    """`machines` namespaces on one bridge, up and connected once entered.

    `wires`: for each machine the wires that it is plugged into, where there are several.
    """

    def __init__(self, *, machines: int, wires: Sequence[Sequence[int]] | None = None) -> None:
        assert 0 < machines <= MACHINES_MAX
        self._wires = wires or [[0]] * machines
        prefix = f"mbx{os.getpid()}x{next(_serial)}"
        self.wire = f"{prefix}br"
        self.machines = [f"{prefix}n{i}" for i in range(machines)]
        self._made: list[str] = []
        self._processes: list[subprocess.Popen[Any]] = []

    def __enter__(self) -> Lab:
        _remove_left_behind()
        try:
            self._make(self.wire)
            for wire in sorted({wire for wires in self._wires for wire in wires}):
                bridge = f"br{wire}"
                self.ip(self.wire, "link", "add", bridge, "type", "bridge", "stp_state", "0")
                self.ip(self.wire, "link", "set", bridge, "up")
            for machine, wires in zip(self.machines, self._wires, strict=True):
                self._make(machine)
                for wire in wires:
                    self.plug(machine, wire=wire)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends every process started with `run` and removes the namespaces."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
        while self._made:
            _ip("netns", "del", self._made.pop())

    def ip(self, namespace: str, *arguments: str) -> str:
        """`ip` inside a namespace; its output. `LabFailed` with what it complained of."""
        return _ip("-n", namespace, *arguments)

    def argv(self, machine: str, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` on a machine; `ip` replaces itself by it."""
        return ["ip", "netns", "exec", machine, *argv]

    def run(self, machine: str, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Starts `argv` on a machine, with the options of `Popen`; it ends with the lab."""
        process = subprocess.Popen(self.argv(machine, argv), **options)  # noqa: S603 - our own
        self._processes.append(process)
        return process

    def connect(self, machine: str, port: int, *, timeout_s: float = 10) -> socket.socket:
        """A TCP connection to a port of a machine's own loopback, for a process of this host."""
        with ThreadPoolExecutor(1) as inside:
            return inside.submit(_connect_inside, machine, port, timeout_s).result()

    def address(self, machine: str, *, wire: int = 0) -> str:
        """The IPv4 address of a machine on a wire."""
        return f"10.{77 + wire}.0.{self.machines.index(machine) + 1}"

    def plug(self, machine: str, *, wire: int = 0, interface: str | None = None) -> None:
        """Connects a machine to a wire by a new cable, with its first address there."""
        cable, name = self._cable(machine, wire), interface or f"eth{wire}"
        peer = ("type", "veth", "peer", "name", name, "netns", machine)
        self.ip(self.wire, "link", "add", cable, *peer)
        self.ip(self.wire, "link", "set", cable, "master", f"br{wire}", "up")
        self.ip(machine, "link", "set", "lo", "up")
        self.ip(machine, "link", "set", name, "up")
        self.ip(machine, "addr", "add", f"{self.address(machine, wire=wire)}/16", "dev", name)
        self.ip(machine, "route", "append", "224.0.0.0/4", "dev", name)

    def unplug(self, machine: str, *, wire: int = 0) -> None:
        """Takes the cable away with the interface, as leaving a container's network does."""
        self.ip(self.wire, "link", "del", self._cable(machine, wire))

    def cut(self, machine: str, *, wire: int = 0, carrier: bool = False) -> None:
        """Nothing passes any more. With `carrier` the link stays up, as behind a failed switch."""
        change = ("nomaster",) if carrier else ("down",)
        self.ip(self.wire, "link", "set", self._cable(machine, wire), *change)

    def heal(self, machine: str, *, wire: int = 0) -> None:
        """Undoes either kind of `cut`."""
        cable = self._cable(machine, wire)
        self.ip(self.wire, "link", "set", cable, "master", f"br{wire}", "up")

    def _cable(self, machine: str, wire: int) -> str:
        return f"v{self.machines.index(machine)}w{wire}"

    def _make(self, namespace: str) -> None:
        _ip("netns", "add", namespace)
        self._made.append(namespace)


def _connect_inside(machine: str, port: int, timeout_s: float) -> socket.socket:
    """For a thread that ends with it: the thread moves to the machine, the socket stays there."""
    with Path(f"/run/netns/{machine}").open("rb") as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0) != 0:
            raise LabFailed(f"setns: {os.strerror(ctypes.get_errno())}")
    return socket.create_connection(("127.0.0.1", port), timeout_s)


def _ip(*arguments: str) -> str:
    command = ["ip", *arguments]
    done = subprocess.run(  # noqa: S603 - our own command
        command, capture_output=True, text=True, timeout=10, check=False
    )
    if done.returncode != 0:
        raise LabFailed(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def _remove_left_behind() -> None:
    """Removes the namespaces of runs that were killed before they could."""
    for line in _ip("netns", "list").splitlines():
        match = _NAMESPACE.fullmatch(line.split()[0])
        if match and not Path(f"/proc/{match[1]}").exists():
            with suppress(LabFailed):  # A run beside this one was quicker.
                _ip("netns", "del", match[0])
