"""The islands as machines: a network namespace for each mailbox, a wire for each island and the
internet.

What is cut is the cable of harbour: as beyond a broken link nothing is refused, packets are lost.
Apps, which are not on those wires, reach each mailbox at a port of this machine's loopback.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from scripts.demo_steps import app, interrupts
from scripts.demo_steps.islands import ALL, GATEWAYS, HARBOUR, ISLAND_A, ISLAND_B
from scripts.demo_steps.processes import ProcessMesh
from scripts.lines.lab import Lab
from scripts.lines.line import Line

_WIRE_A, _WIRE_B, _INTERNET = 0, 1, 2
_HTTP_PORT, _SYNC_PORT, _ADMIN_PORT = 3000, 3001, 3002


class IslandNamespaces(ProcessMesh):
    """See `IslandMesh`."""

    kind = "process in a network namespace of its own"
    preparing = "Starting two islands of two mailboxes each, and one on the internet, as machines."
    remains = "Nothing is left of it: no process, no folder, no network namespace."

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._lab = Lab(machines=len(ALL), wires=[_wires_of(name) for name in ALL])
        self._held = ExitStack()
        self._ways_in: dict[tuple[str, int], Line] = {}

    def start(self) -> dict[str, float]:
        with interrupts.held_off():
            self._held.enter_context(self._lab)
        for name in ALL:
            for port in (_HTTP_PORT, _ADMIN_PORT):
                way_in = self._held.enter_context(_WayIn(self._lab, self._machine(name), port))
                way_in.heal()
                self._ways_in[name, port] = way_in
        took_ms = self._start({HARBOUR: [*_listeners(), "--no-mdns"]})
        self.cut()
        return took_ms | self._start({name: self._options(name) for name in (*ISLAND_A, *ISLAND_B)})

    def http(self, name: str) -> str:
        return self._ways_in[name, _HTTP_PORT].endpoint

    def status(self, name: str) -> dict[str, Any]:
        return app.get(self._ways_in[name, _ADMIN_PORT].endpoint, name, "/api/status")

    def inventory(self, name: str) -> dict[str, Any]:
        return app.get(self._ways_in[name, _ADMIN_PORT].endpoint, name, "/api/inventory")

    def cut(self) -> None:
        self._lab.cut(self._machine(HARBOUR), wire=_INTERNET, carrier=True)

    def heal(self) -> None:
        self._lab.heal(self._machine(HARBOUR), wire=_INTERNET)

    def end(self) -> None:
        super().end()
        self._held.close()

    def _command(self, name: str) -> list[str]:
        return self._lab.argv(self._machine(name), super()._command(name))

    def _options(self, name: str) -> list[str]:
        own, *_ = _wires_of(name)
        options = [*_listeners(), "--mesh", self._mesh_name, "--interface", f"eth{own}"]
        if name in GATEWAYS:
            there = self._lab.address(self._machine(HARBOUR), wire=_INTERNET)
            options += ["--internet", f"meshbox://{self.node_id(HARBOUR)}@{there}:{_SYNC_PORT}"]
        return options

    def _machine(self, name: str) -> str:
        return self._lab.machines[ALL.index(name)]


class _WayIn(Line):
    """Leads to a port of a machine's own loopback."""

    def __init__(self, lab: Lab, machine: str, port: int) -> None:
        super().__init__(f"{machine}:{port}")
        self._lab, self._machine, self._inner_port = lab, machine, port

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        inside = await asyncio.to_thread(self._lab.connect, self._machine, self._inner_port)
        inside.settimeout(0)
        return await asyncio.open_connection(sock=inside)


def _wires_of(name: str) -> tuple[int, ...]:
    """Its island's first."""
    if name == HARBOUR:
        return (_INTERNET,)
    island = _WIRE_A if name in ISLAND_A else _WIRE_B
    return (island, _INTERNET) if name in GATEWAYS else (island,)


def _listeners() -> list[str]:
    """At all addresses of the machine; the admin's at its loopback."""
    open_ports = (("--http", _HTTP_PORT), ("--sync", _SYNC_PORT))
    options = [part for name, port in open_ports for part in (name, f"0.0.0.0:{port}")]
    return [*options, "--https", "off", "--admin", f"127.0.0.1:{_ADMIN_PORT}"]
