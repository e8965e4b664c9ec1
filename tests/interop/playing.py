"""Plays rows against a server: fresh names, step after step, each answer against its checks."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from typing import Protocol

from tests.interop.connection import NoAnswer, exchange
from tests.interop.row import Advance, Ask, Kind, Part, Power, Restart, Row, Scene


class Server(Protocol):
    """What a table is played against."""

    powers: frozenset[Power]

    @property
    def url(self) -> str:
        """The base URL."""

    def advance(self, hours: float) -> None:
        """Moves its clock on."""

    def restart(self) -> None:
        """Ends it without notice and starts it again on its data."""


class LiveServer:
    """A server that somebody else runs: nothing can be done to it but ask."""

    powers: frozenset[Power] = frozenset()

    def __init__(self, url: str) -> None:
        self.url = url

    def advance(self, hours: float) -> None:
        raise AssertionError("the clock of this server is not ours")

    def restart(self) -> None:
        raise AssertionError("this server is not ours to restart")


class RowFailed(AssertionError):
    """A server broke a rule. Says which, at which step, and how."""


def play(row: Row, server: Server, kind: Kind) -> None:
    """Plays `row`; `RowFailed` at the first answer that breaks it."""
    scene = new_scene()
    steps = row.steps_for(kind)
    assert steps is not None, f"{row.id} has nothing to ask a server of kind {kind.value}"
    for number, step in enumerate(steps, 1):
        match step:
            case Advance(hours):
                server.advance(hours)
            case Restart():
                server.restart()
            case Ask(request, checks):
                asked = f"step {number}, {request.method} {request.path}"
                where = f"{row.id} ({row.rule}: {row.says})\n  {asked}"
                try:
                    answer = exchange(server.url, request, scene)
                except NoAnswer as silence:
                    raise RowFailed(f"{where}: no answer: {silence}") from silence
                faults = [fault for check in checks if (fault := check.fault(answer, scene))]
                if faults:
                    raise RowFailed(f"{where}: " + "\n    ".join(faults))


def playable(
    rows: Iterable[Row], *, kind: Kind, parts: frozenset[Part], powers: frozenset[Power]
) -> list[Row]:
    """The rows that can be played against such a server."""
    return [
        row
        for row in rows
        if row.part in parts and row.steps_for(kind) is not None and row.needs(kind) <= powers
    ]


def new_scene() -> Scene:
    """Fresh names: 64 hex digits each, as the apps' ids have, ascending within topics and within
    authors. And the time of now."""
    names = {
        letter: f"{place}{secrets.token_hex(32)[1:]}"
        for letters in ("tuv", "abc")
        for place, letter in enumerate(letters, 1)
    }
    return Scene(names, time.time_ns() // 1_000_000)
