"""The islands as processes on loopback: a mesh name for each island, a relay for each line."""

from __future__ import annotations

from contextlib import ExitStack

from scripts.demo_steps.islands import GATEWAYS, HARBOUR, ISLAND_A, ISLAND_B
from scripts.demo_steps.processes import ProcessMesh
from scripts.lines.line import Line


class IslandProcesses(ProcessMesh):
    """See `IslandMesh`."""

    preparing = "Starting two islands of two mailboxes each, and one on the internet."

    _lines: dict[str, Line]
    _lines_held: ExitStack

    def start(self) -> dict[str, float]:
        self._lines, self._lines_held = {}, ExitStack()
        took_ms = self._start({HARBOUR: self._harbour_options()})
        for name in GATEWAYS:
            line = Line(str(self._ready[HARBOUR]["sync"]))
            self._lines[name] = self._lines_held.enter_context(line)
        islanders = {name: self._options(name) for name in (*ISLAND_A, *ISLAND_B)}
        return took_ms | self._start(islanders)

    def cut(self) -> None:
        for line in self._lines.values():
            line.cut()

    def heal(self) -> None:
        for line in self._lines.values():
            line.heal()

    def end(self) -> None:
        super().end()
        self._lines_held.close()

    def _harbour_options(self) -> list[str]:
        """What harbour is started with, beside its folder and listeners."""
        return ["--no-mdns"]

    def _options(self, name: str) -> list[str]:
        island = "a" if name in ISLAND_A else "b"
        options = ["--mesh", f"{self._mesh_name}-{island}", "--interface", "127.0.0.1"]
        if name in self._lines:
            harbour = f"meshbox://{self.node_id(HARBOUR)}@{self._lines[name].endpoint}"
            options += ["--internet", harbour]
        return options
