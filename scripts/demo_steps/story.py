"""The story, step by step: what is done, what must be seen, and within which time.

Each step either tells what was seen, with its times, or raises `DemoFailed` with a sentence.
"""

from __future__ import annotations

from scripts.demo_steps.app import OLDER, Messages, new_id, write
from scripts.demo_steps.faults import DemoFailed
from scripts.demo_steps.mesh import NAMES, Mesh
from scripts.demo_steps.tale import (
    PATIENCE_S,
    SHOWN_CHARACTERS,
    Tale,
    answers,
    each,
)
from scripts.demo_steps.telling import Report, spoken
from scripts.demo_steps.waiting import Stopwatch


class Story(Tale):
    """Tells one run of the demo on a mesh."""

    everyone = "all three"

    def __init__(self, mesh: Mesh, report: Report, *, patience_s: float = PATIENCE_S) -> None:
        super().__init__(mesh, report, NAMES, patience_s=patience_s)

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
                key = self._ids[name][:SHOWN_CHARACTERS]
                self._report.note(f"  {name:5}  http://{self._mesh.http(name)}  its key: {key}…")

    def _find_each_other(self) -> None:
        with self._report.step("find") as step:
            connected_ms = self._met([NAMES])
            step.measured["connected_ms"] = connected_ms
            self._report.seen(
                "They found each other by mDNS and proved their keys: all three are connected, "
                f"{spoken(connected_ms)} later."
            )

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
            self._report.seen(f"Since then, all 30 were readable {each(after_ms)}.")

    def _serve_older_apps(self) -> None:
        with self._report.step("older apps") as step:
            messages = write(new_id(), first=0, count=5)
            self._store("east", messages, step, by=OLDER)
            after_ms = self._await(messages, NAMES, step)
            self._report.seen(
                "An older release of the app stored 5 at east in its own dialect; newer ones read "
                f"them {each(after_ms)}."
            )

    def _kill_south(self) -> Messages:
        """The messages that south acknowledged last, before it was killed."""
        with self._report.step("kill") as step:
            messages = write(new_id(), first=0, count=20)
            self._store("south", messages, step)
            watch = Stopwatch()
            self._mesh.kill("south")
            killed_ms = step.measured["killed_ms"] = watch.ms
            if answers(self._mesh.http("south")):
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
                f"{each(after_ms)}."
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
                f"was ready; its own 20 were readable {each(back_ms)}."
            )
