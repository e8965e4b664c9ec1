"""A node of ours as the server of a table: the real command, with a clock that rows move."""

from __future__ import annotations

import json
from pathlib import Path

from tests.interop.row import Power
from tests.node.processes import RunningNode, start_node

HOUR_MS = 3_600_000


class OurNode:
    """Runs `meshbox run` on `folder`. End it with `close`."""

    powers = frozenset(Power)

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._clock = folder / "clock.json"
        self._offset_ms = 0
        self._clock.parent.mkdir(parents=True, exist_ok=True)
        self._write_clock()
        self._node = self._start()

    @property
    def url(self) -> str:
        return self._node.url()

    def advance(self, hours: float) -> None:
        """The node's own time, by which it ages blobs; the wall clock stays."""
        self._offset_ms += round(hours * HOUR_MS)
        self._write_clock()

    def restart(self) -> None:
        self._node.kill()
        self._node = self._start()

    def close(self) -> None:
        if self._node.process.poll() is None:
            self._node.kill()

    def _start(self) -> RunningNode:
        # What is asked here is the API alone: no other listener.
        off = ("--https", "off", "--sync", "off", "--admin", "off")
        environment = {"MESHBOX_TEST_CLOCK": str(self._clock)}
        return start_node(self._folder, *off, environment=environment)

    def _write_clock(self) -> None:
        fresh = self._clock.with_suffix(".new")
        fresh.write_text(json.dumps({"boot_offset_ms": self._offset_ms}), encoding="utf-8")
        fresh.replace(self._clock)
