"""Phones: the very libraries by which the apps find mailboxes, as processes on a lab's machines.

`phones/` is a small program over mdns-sd (apps up to 0.19) and swarm-discovery (from 0.20), twice:
with the releases that the apps began with, and with later ones. Cargo builds it once a machine,
into a cache outside of the tree.

    phone = Phone(lab, machine, OLD, "browse", "swarm", "dashchat")
    phone.lists(name, within_s=2)        # the seconds since it began, or since `since`
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from scripts.lines.lab import Lab

SOURCES = Path(__file__).parent / "phones"
BUILD_S_MAX = 540
"""20 s of one core, and what cargo downloads."""


class Age(StrEnum):
    """Which releases of the libraries a phone has."""

    OLD = "old"
    """mdns-sd 0.17.2, swarm-discovery 0.6.0."""
    NEW = "new"
    """mdns-sd 0.21.7, swarm-discovery 0.6.5."""


class Line(NamedTuple):
    """What a phone printed, and when, on CLOCK_MONOTONIC in seconds."""

    at: float
    event: str
    name: str
    port: int
    addresses: tuple[str, ...]


def build() -> dict[Age, Path]:
    """The programs; skips the test where there is no cargo."""
    cargo = shutil.which("cargo")
    if cargo is None:
        pytest.skip("needs cargo, to build the libraries of the apps")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    target = cache / "meshbox" / "phones"
    for age in Age:
        manifest = SOURCES / age / "Cargo.toml"
        done = subprocess.run(
            [cargo, "build", "--quiet", "--locked", "--manifest-path", str(manifest)],
            env={**os.environ, "CARGO_TARGET_DIR": str(target)},
            stderr=subprocess.PIPE,
            text=True,
            timeout=BUILD_S_MAX,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    return {age: target / "debug" / f"{age}-phone" for age in Age}


class Phone:
    """A running program, and every line that it printed."""

    def __init__(self, lab: Lab, machine: str, program: Path, *words: str) -> None:
        self.lines: list[Line] = []
        self.began = time.monotonic()
        self._heard = threading.Condition()
        self._process = lab.run(
            machine, [str(program), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def listed(self) -> dict[str, Line]:
        """The mailboxes that it lists now."""
        listed: dict[str, Line] = {}
        with self._heard:
            for line in self.lines:
                if line.event == "found":
                    listed[line.name] = line
                else:
                    listed.pop(line.name, None)
        return listed

    def lists(self, name: str, *, within_s: float, since: float | None = None) -> float:
        """Waits until `name` is listed; the seconds since it began, or since a moment."""
        self.until(lambda: name in self.listed(), within_s=within_s)
        return self.listed()[name].at - (since or self.began)

    def drops(self, name: str, *, within_s: float) -> float:
        """Waits until the library itself has dropped `name`; when that was."""

        def gone() -> list[float]:
            return [line.at for line in self.lines if (line.event, line.name) == ("gone", name)]

        self.until(lambda: bool(gone()), within_s=within_s)
        return gone()[0]

    def until(self, is_so: Callable[[], bool], *, within_s: float) -> None:
        """Waits until a line makes it so; fails with all of them otherwise."""
        with self._heard:
            assert self._heard.wait_for(is_so, within_s), self.lines

    def stop(self) -> None:
        """Stops it cleanly: it says goodbye, as the apps do."""
        self._process.communicate(timeout=10)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for raw in self._process.stdout:
            said: dict[str, Any] = json.loads(raw)
            line = Line(
                time.monotonic(),
                said["event"],
                said["name"],
                said["port"],
                tuple(said["addresses"]),
            )
            with self._heard:
                self.lines.append(line)
                self._heard.notify_all()
