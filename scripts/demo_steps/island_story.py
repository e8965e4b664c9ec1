"""The story of two islands: messages leave when the internet returns, and come in the same way."""

from __future__ import annotations

from collections.abc import Iterable

from scripts.demo_steps.app import Messages, new_id, write
from scripts.demo_steps.faults import DemoFailed
from scripts.demo_steps.islands import ALL, HARBOUR, ISLAND_A, ISLAND_B, IslandMesh
from scripts.demo_steps.tale import (
    PATIENCE_S,
    SHOWN_CHARACTERS,
    Tale,
    answers,
    each,
)
from scripts.demo_steps.telling import Report, spoken
from scripts.demo_steps.waiting import Stopwatch, until

TAKEN_OVER_MS_MAX = 10_000.0
"""Milliseconds within which another gateway takes over."""
_AUTHORS = 10
"""Of messages that go by two gateways, those of each author by one of them."""
_PAUSE_S = 0.02


class IslandStory(Tale):
    """Tells one run of the demo of islands."""

    everyone = "all five"

    def __init__(self, mesh: IslandMesh, report: Report, *, patience_s: float = PATIENCE_S) -> None:
        super().__init__(mesh, report, ALL, patience_s=patience_s)
        self._islands = mesh

    def tell(self) -> None:
        """All steps. Raises `DemoFailed` at the first thing that was not seen."""
        self._start()
        self._find_neighbours()
        self._cross("ash", ISLAND_A, (HARBOUR, *ISLAND_B), "out")
        self._islands.cut()
        self._await_cut()
        self._cross("beech", ISLAND_B, (HARBOUR, *ISLAND_A), "back")
        self._take_over()
        self._come_back()
        self._compare()
        self._stop()

    def _start(self) -> None:
        with self._report.step("start") as step:
            self._report.note(self._islands.preparing)
            took_ms = self._islands.start()
            self._ids = {name: self._islands.node_id(name) for name in ALL}
            step.measured |= {f"{name}_ready_ms": took_ms[name] for name in ALL}
            self._report.seen(
                f"Five mailboxes run, each a {self._islands.kind}: alder and ash on one island, "
                "birch and beech on another, harbour on the internet. alder, ash and birch have a "
                "line to harbour, and all lines are cut."
            )
            for name in ALL:
                key = self._ids[name][:SHOWN_CHARACTERS]
                self._report.note(f"  {name:7}  http://{self._islands.http(name)}  its key: {key}…")

    def _find_neighbours(self) -> None:
        with self._report.step("find") as step:
            step.measured["connected_ms"] = met_ms = self._met([ISLAND_A, ISLAND_B])
            for name in (*ISLAND_A, *ISLAND_B):
                self._must_be_alone(name, ISLAND_A if name in ISLAND_A else ISLAND_B)
            self._report.seen(
                f"Neighbours found each other by mDNS after {spoken(met_ms)}; nobody beyond its "
                "island."
            )

    def _must_be_alone(self, name: str, island: Iterable[str]) -> None:
        near = {self._ids[other] for other in island}
        for peer in self._islands.status(name)["peers"]:
            if peer["state"] == "connected" and peer["node_id"] not in near:
                raise DemoFailed(f"{name} is connected beyond its island", node=name)

    def _await_cut(self) -> None:
        def all_cut() -> bool:
            return all(
                box["state"] != "connected"
                for name in (*ISLAND_A, "birch")
                for box in self._islands.status(name)["internet"]
            )

        if not until(all_cut, seconds=self._patience_s, pause_s=_PAUSE_S):
            raise DemoFailed("a gateway does not see that its line is cut")

    def _cross(
        self, writer: str, island: tuple[str, ...], beyond: tuple[str, ...], step_name: str
    ) -> None:
        """Stored while the lines are cut; then they are healed."""
        with self._report.step(step_name) as step:
            messages = self._of_many()
            self._store(writer, messages, step)
            near_ms = self._await(messages, island, step)
            self._must_lack(beyond, messages)
            self._report.seen(
                f"While all lines are cut {_AUTHORS} people stored a message at {writer}: readable "
                f"{each(near_ms)}, and nowhere else."
            )
            watch = Stopwatch()
            self._islands.heal()
            after_ms = self._await(messages, beyond, step, watch=watch, label="crossed")
            self._report.seen(f"The internet returned: since then readable {each(after_ms)}.")

    def _must_lack(self, names: Iterable[str], messages: Messages) -> None:
        for name in names:
            reader = self._readers[name]
            reader.poll_all()
            if reader.count(messages):
                raise DemoFailed(f"{name} has what no line can have brought", node=name)

    def _take_over(self) -> None:
        with self._report.step("take over") as step:
            carried = {name: self._carried(name) for name in ISLAND_A}
            step.measured |= {f"{name}_carried": count for name, count in carried.items()}
            self._islands.kill("alder")
            if answers(self._islands.http("alder")):
                raise DemoFailed("alder still answers though it was killed", node="alder")
            watch = Stopwatch()
            out, back = self._of_many(), self._of_many()
            self._store("ash", out, step)
            self._store("birch", back, step)
            out_ms = self._await(out, (HARBOUR, *ISLAND_B), step, watch=watch, label="out")
            back_ms = self._await(back, (HARBOUR, "ash"), step, watch=watch, label="back")
            late_ms = max(*out_ms.values(), *back_ms.values())
            if late_ms > TAKEN_OVER_MS_MAX:
                raise DemoFailed(f"ash took over only after {spoken(late_ms)}", node="ash")
            self._report.seen(
                f"Of these 20, alder had carried {carried['alder']}, ash {carried['ash']}. alder "
                f"was killed. Messages of {_AUTHORS} people, stored at ash right after, were "
                f"readable {each(out_ms)}; those of {_AUTHORS} people at birch were readable "
                f"{each(back_ms)}: ash carries alone."
            )

    def _carried(self, name: str) -> int:
        """Messages that a gateway took over its line, both ways."""
        boxes = self._islands.status(name)["internet"]
        return sum(int(box["blobs_in"]) + int(box["blobs_out"]) for box in boxes)

    def _of_many(self) -> Messages:
        messages: Messages = {}
        for _ in range(_AUTHORS):
            messages |= write(new_id(), first=0, count=1)
        return messages

    def _come_back(self) -> None:
        with self._report.step("come back") as step:
            ready_ms = step.measured["alder_ready_ms"] = self._islands.start_again("alder")
            after_ms = self._await(self._sent, ("alder",), step)
            self._report.seen(
                f"alder was started again: ready after {spoken(ready_ms)}, and all that it had "
                f"missed readable {each(after_ms)}."
            )
