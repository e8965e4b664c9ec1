"""What every story of the demo is told with: storing, waiting until it is read, and judging it.

What counts is what apps get at a node: bytes, compared with those stored. Every step has authors of
its own, because an app asks only for what is above the highest number that it has of an author.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterable, Mapping
from typing import Any

from scripts.demo_steps.app import NEWER, Messages, Reader, Release, new_id, store
from scripts.demo_steps.faults import DemoFailed
from scripts.demo_steps.mesh import Mesh
from scripts.demo_steps.telling import Report, Step, listed, spoken
from scripts.demo_steps.waiting import PAUSE_S, Stopwatch, until

PATIENCE_S = 20.0
"""Seconds that any one wait for sync may take: what is shown takes well under one."""

SHOWN_CHARACTERS = 12
_FIND_PAUSE_S = 0.02


class Tale:
    """One run of the demo on the nodes `names` of a mesh."""

    everyone: str
    """Their number, for the reader: "all three"."""

    def __init__(
        self, mesh: Mesh, report: Report, names: Iterable[str], *, patience_s: float = PATIENCE_S
    ) -> None:
        self._mesh = mesh
        self._report = report
        self._names = tuple(names)
        self._patience_s = patience_s
        self._topic = new_id()
        self._ids: dict[str, str] = {}
        self._sent: Messages = {}
        self._readers = {name: Reader(name, self._topic, mesh.http) for name in self._names}

    def tell(self) -> None:
        """All steps. Raises `DemoFailed` at the first thing that was not seen."""
        raise NotImplementedError

    def _met(self, groups: Iterable[tuple[str, ...]]) -> float:
        """Waits until all of each group are connected with each other; the milliseconds."""
        watch = Stopwatch()
        unmet = {name: group for group in groups for name in group}
        groups_of = dict(unmet)

        def all_met() -> bool:
            for name, group in groups_of.items():
                if unmet[name]:
                    unmet[name] = self._unconnected(name, group)
            return not any(unmet.values())

        if not until(all_met, seconds=self._patience_s, pause_s=_FIND_PAUSE_S):
            name = max(unmet, key=lambda candidate: len(unmet[candidate]))
            raise DemoFailed(
                f"after {self._patience_s:g} s {name} has no connection with "
                f"{listed(unmet[name])}: mDNS or the sync port does not get through",
                node=name,
            )
        return watch.ms

    def _unconnected(self, name: str, group: Iterable[str]) -> tuple[str, ...]:
        peers = self._mesh.status(name)["peers"]
        connected = {peer["node_id"] for peer in peers if peer["state"] == "connected"}
        others = (other for other in group if other != name)
        return tuple(other for other in others if self._ids[other] not in connected)

    def _store(self, name: str, messages: Messages, step: Step, *, by: Release = NEWER) -> float:
        took_ms = store(self._mesh.http(name), name, self._topic, messages, by=by)
        self._sent |= messages
        step.measured[f"{name}_stored_ms"] = took_ms
        return took_ms

    def _await(
        self,
        messages: Messages,
        names: Iterable[str],
        step: Step,
        *,
        watch: Stopwatch | None = None,
        label: str = "readable",
    ) -> dict[str, float]:
        """Until apps read all of `messages` at each of `names`; the milliseconds on `watch`."""
        watch = watch or Stopwatch()
        deadline = time.monotonic() + self._patience_s
        waiting = [self._readers[name] for name in names]
        after_ms: dict[str, float] = {}
        while True:
            for reader in tuple(waiting):
                reader.poll()
                if reader.has(messages):
                    after_ms[reader.name] = watch.ms
                    waiting.remove(reader)
            if not waiting:
                step.measured |= {f"{name}_{label}_ms": ms for name, ms in after_ms.items()}
                return after_ms
            if time.monotonic() >= deadline:
                late = waiting[0]
                reason = f"after {self._patience_s:g} s {late.name} has {late.count(messages)}"
                raise DemoFailed(f"{reason} of {len(messages)} messages", node=late.name)
            time.sleep(PAUSE_S)

    def _compare(self) -> None:
        with self._report.step("compare") as step:
            for name in self._names:
                reader = Reader(name, self._topic, self._mesh.http)
                reader.poll_all()
                judge_content(reader, self._sent)
            inventories = {name: self._mesh.inventory(name) for name in self._names}
            judge_inventories(inventories, self._sent)
            size = bytes_of(self._sent)
            step.measured |= {"messages": len(self._sent), "bytes": size}
            digest = str(inventories[self._names[0]]["digest"])[:SHOWN_CHARACTERS]
            self._report.seen(
                f"Everything was read back at {self.everyone} and compared: {len(self._sent)} "
                f"messages, {size / 1000:.0f} kB, byte for byte what the apps had stored; and "
                f"their own digests of all they hold are equal ({digest}…)."
            )

    def _stop(self) -> None:
        with self._report.step("stop") as step:
            watch = Stopwatch()
            for name, status in self._mesh.stop().items():
                if status != 0:
                    raise DemoFailed(f"{name} ended with exit status {status}", node=name)
            step.measured["stopped_ms"] = watch.ms
            self._report.seen(
                f"{self.everyone.capitalize()} stopped cleanly when asked, within "
                f"{spoken(watch.ms)}."
            )


def judge_content(reader: Reader, sent: Messages) -> None:
    """`DemoFailed` unless what was read is exactly what was sent."""
    if not reader.has(sent):
        reason = f"{reader.name} has {reader.count(sent)} of {len(sent)} messages"
        raise DemoFailed(reason, node=reader.name)
    if len(reader.got) != len(sent):
        reason = f"{reader.name} has {len(reader.got) - len(sent)} messages that nobody stored"
        raise DemoFailed(reason, node=reader.name)


def judge_inventories(inventories: Mapping[str, Mapping[str, Any]], sent: Messages) -> None:
    """`DemoFailed` unless each node counts what was sent, and all digests are equal."""
    size = bytes_of(sent)
    for name, document in inventories.items():
        if (document["blobs"], document["bytes"]) != (len(sent), size):
            counted = f"{document['blobs']} messages of {document['bytes']} bytes"
            raise DemoFailed(f"{name} counts {counted}, not {len(sent)} of {size}", node=name)
    first, *others = inventories
    for name in others:
        if inventories[name]["digest"] != inventories[first]["digest"]:
            raise DemoFailed(f"the digests of {first} and {name} differ", node=name)


def bytes_of(messages: Messages) -> int:
    return sum(len(content) for content in messages.values())


def each(after_ms: Mapping[str, float]) -> str:
    return listed([f"at {name} after {spoken(ms)}" for name, ms in after_ms.items()])


def answers(address: str) -> bool:
    connection = http.client.HTTPConnection(address, timeout=2)
    try:
        connection.request("GET", "/health")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True
