"""The story, step by step: what is done, what must be seen, and within which time.

Each step either tells what was seen, with its times, or raises `DemoFailed` with a sentence. What
counts is what apps get at a node: bytes, compared with those stored. Every step has authors of its
own, because an app asks only for what is above the highest number that it has of an author.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterable, Mapping
from typing import Any

from scripts.demo_steps.app import NEWER, OLDER, Messages, Reader, Release, new_id, store, write
from scripts.demo_steps.faults import DemoFailed
from scripts.demo_steps.mesh import NAMES, Mesh
from scripts.demo_steps.telling import Report, Step, listed, spoken
from scripts.demo_steps.waiting import PAUSE_S, Stopwatch, until

PATIENCE_S = 20.0
"""Seconds that any one wait for sync may take: what is shown takes well under one."""

_FIND_PAUSE_S = 0.02
_SHOWN_CHARACTERS = 12


class Story:
    """Tells one run of the demo on a mesh."""

    def __init__(self, mesh: Mesh, report: Report, *, patience_s: float = PATIENCE_S) -> None:
        self._mesh = mesh
        self._report = report
        self._patience_s = patience_s
        self._topic = new_id()
        self._ids: dict[str, str] = {}
        self._sent: Messages = {}
        self._readers = {name: Reader(name, self._topic, mesh.http) for name in NAMES}

    def tell(self) -> None:
        """All steps. Raises `DemoFailed` at the first thing that was not seen."""
        self._start()
        self._find_each_other()
        self._deliver()
        self._serve_older_apps()
        last = self._kill_south()
        missed = self._go_on_without_south()
        self._catch_up(last, missed)
        self._compare()
        self._stop()

    def _start(self) -> None:
        with self._report.step("start") as step:
            self._report.note(self._mesh.preparing)
            took_ms = self._mesh.start()
            self._ids = {name: self._mesh.node_id(name) for name in NAMES}
            step.measured |= {f"{name}_ready_ms": took_ms[name] for name in NAMES}
            self._report.seen(
                f"Three mailboxes run, each a {self._mesh.kind} with a folder of its own; ready "
                f"{spoken(max(took_ms.values()))} after they were started. Apps reach them over "
                "HTTP:"
            )
            for name in NAMES:
                key = self._ids[name][:_SHOWN_CHARACTERS]
                self._report.note(f"  {name:5}  http://{self._mesh.http(name)}  its key: {key}…")

    def _find_each_other(self) -> None:
        with self._report.step("find") as step:
            watch = Stopwatch()
            unmet: dict[str, tuple[str, ...]] = dict.fromkeys(NAMES, NAMES)

            def all_met() -> bool:
                for name in NAMES:
                    if unmet[name]:
                        unmet[name] = self._unconnected(name)
                return not any(unmet.values())

            if not until(all_met, seconds=self._patience_s, pause_s=_FIND_PAUSE_S):
                name = max(NAMES, key=lambda candidate: len(unmet[candidate]))
                raise DemoFailed(
                    f"after {self._patience_s:g} s {name} has no connection with "
                    f"{listed(unmet[name])}: mDNS or the sync port does not get through",
                    node=name,
                )
            step.measured["connected_ms"] = watch.ms
            self._report.seen(
                "They found each other by mDNS and proved their keys: all three are connected, "
                f"{spoken(watch.ms)} later."
            )

    def _unconnected(self, name: str) -> tuple[str, ...]:
        peers = self._mesh.status(name)["peers"]
        connected = {peer["node_id"] for peer in peers if peer["state"] == "connected"}
        others = (other for other in NAMES if other != name)
        return tuple(other for other in others if self._ids[other] not in connected)

    def _deliver(self) -> None:
        with self._report.step("deliver") as step:
            messages: Messages = {}
            for _ in range(3):
                messages |= write(new_id(), first=0, count=10)
            stored_ms = self._store("north", messages, step)
            self._report.seen(
                f"An app stored 30 messages of 3 people at north; on disk after {spoken(stored_ms)}"
                "."
            )
            after_ms = self._await(messages, NAMES, step)
            self._report.seen(f"Since then, all 30 were readable {_each(after_ms)}.")

    def _serve_older_apps(self) -> None:
        with self._report.step("older apps") as step:
            messages = write(new_id(), first=0, count=5)
            self._store("east", messages, step, by=OLDER)
            after_ms = self._await(messages, NAMES, step)
            self._report.seen(
                "An older release of the app stored 5 at east in its own dialect; newer ones read "
                f"them {_each(after_ms)}."
            )

    def _kill_south(self) -> Messages:
        """The messages that south acknowledged last, before it was killed."""
        with self._report.step("kill") as step:
            messages = write(new_id(), first=0, count=20)
            self._store("south", messages, step)
            watch = Stopwatch()
            self._mesh.kill("south")
            killed_ms = step.measured["killed_ms"] = watch.ms
            if _answers(self._mesh.http("south")):
                raise DemoFailed("south still answers though it was killed", node="south")
            self._report.seen(
                "south said that it had stored 20 more and was killed at once (dead "
                f"{spoken(killed_ms)} later; SIGKILL leaves no time to save anything). It answers "
                "no more."
            )
            return messages

    def _go_on_without_south(self) -> Messages:
        """The messages that were stored while south was dead."""
        with self._report.step("go on") as step:
            messages: Messages = {}
            for name in ("north", "east"):
                part = write(new_id(), first=0, count=100)
                self._store(name, part, step)
                messages |= part
            after_ms = self._await(messages, ("north", "east"), step)
            self._report.seen(
                "Meanwhile apps stored 100 at north and 100 at east; all 200 were readable "
                f"{_each(after_ms)}."
            )
            return messages

    def _catch_up(self, last: Messages, missed: Messages) -> None:
        with self._report.step("catch up") as step:
            ready_ms = self._mesh.start_again("south")
            watch = Stopwatch()
            step.measured["ready_ms"] = ready_ms
            if self._mesh.node_id("south") != self._ids["south"]:
                raise DemoFailed("south came back with another key", node="south")
            self._readers["south"].poll_all()
            if not self._readers["south"].has(last):
                kept = self._readers["south"].count(last)
                reason = f"south came back with {kept} of the {len(last)} messages"
                raise DemoFailed(f"{reason} that it had said were stored", node="south")
            self._report.seen(
                f"south was started again: ready after {spoken(ready_ms)}, with the same key and "
                "the 20 that it had said were stored."
            )
            after_ms = self._await(missed, ("south",), step, watch=watch, label="caught_up")
            back_ms = self._await(last, ("north", "east"), step, watch=watch, label="returned")
            self._report.seen(
                f"It had caught up on the 200 that it missed {spoken(after_ms['south'])} after it "
                f"was ready; its own 20 were readable {_each(back_ms)}."
            )

    def _compare(self) -> None:
        with self._report.step("compare") as step:
            for name in NAMES:
                reader = Reader(name, self._topic, self._mesh.http)
                reader.poll_all()
                judge_content(reader, self._sent)
            inventories = {name: self._mesh.inventory(name) for name in NAMES}
            judge_inventories(inventories, self._sent)
            size = _bytes_of(self._sent)
            step.measured |= {"messages": len(self._sent), "bytes": size}
            digest = str(inventories["north"]["digest"])[:_SHOWN_CHARACTERS]
            self._report.seen(
                f"Everything was read back at each of them and compared: {len(self._sent)} "
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
            self._report.seen(f"All three stopped cleanly when asked, within {spoken(watch.ms)}.")

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
    size = _bytes_of(sent)
    for name, document in inventories.items():
        if (document["blobs"], document["bytes"]) != (len(sent), size):
            counted = f"{document['blobs']} messages of {document['bytes']} bytes"
            raise DemoFailed(f"{name} counts {counted}, not {len(sent)} of {size}", node=name)
    first, *others = inventories
    for name in others:
        if inventories[name]["digest"] != inventories[first]["digest"]:
            raise DemoFailed(f"the digests of {first} and {name} differ", node=name)


def _bytes_of(messages: Messages) -> int:
    return sum(len(content) for content in messages.values())


def _each(after_ms: Mapping[str, float]) -> str:
    return listed([f"at {name} after {spoken(ms)}" for name, ms in after_ms.items()])


def _answers(address: str) -> bool:
    connection = http.client.HTTPConnection(address, timeout=2)
    try:
        connection.request("GET", "/health")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True
