"""Node time (design.md 4.5) as an app sees it: a real node, and clocks that lie to it.

A row is what happens to a machine after a message was stored, and how much of the time that it was
off nobody can know afterwards. The message is then as old as what really passed, less that, and
the node must serve it until it is 7 days less a bucket old, and no longer than 7 days.

The rows happen to one machine, one after another, each in the week after the last one.
"""

from __future__ import annotations

import json
import secrets
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from meshbox.core.retention import BUCKET_MS, DAY_MS, HOUR_MS, RETENTION_MAX_MS
from tests.node.processes import RunningNode, start_node

MINUTE_MS = 60_000
NIGHT_MS = 8 * HOUR_MS
MONTH_MS = 30 * DAY_MS
YEARS_MS = 10 * 365 * DAY_MS
SURE_MS = 30 * MINUTE_MS
"""More than a test takes."""
AUTHOR = "b" * 64

EPOCH, RIGHT, STALE = "1970", "right", "stale"
"""What the wall clock says after a power cut; stale: what it said before, as fake-hwclock does."""


class Machine:
    """A machine with a node on it. `passed_ms` is what really passed since the row began."""

    def __init__(self, folder: Path, *, wall: str = RIGHT, synchronised: bool = True) -> None:
        self.passed_ms = 0
        self._before_ms = 0
        self._folder = folder
        self._file = folder / "clock.json"
        self._boots = 0
        self._boot_offset_ms = 0
        self._wall_offset_ms = self._wall(wall)
        self._synchronised = synchronised
        self._topic = ""
        self.begin()
        self.node = self._start()

    def begin(self) -> None:
        """A new row, with messages of its own. Its clock is as it was left."""
        self._before_ms += self.passed_ms
        self.passed_ms = 0
        self._topic = secrets.token_hex(32)
        self._tell_clocks()

    def run(self, span_ms: int) -> None:
        """Time passes while it runs, or is suspended: CLOCK_BOOTTIME counts both."""
        self.passed_ms += span_ms
        self._boot_offset_ms += span_ms
        self._wall_offset_ms += span_ms
        self._tell_clocks()

    def jump(self, span_ms: int) -> None:
        """Somebody sets its clock."""
        self._wall_offset_ms += span_ms
        self._tell_clocks()

    def synchronise(self) -> None:
        """A time service is found: the wall clock is right, and is known to be."""
        self._wall_offset_ms, self._synchronised = self._wall(RIGHT), True
        self._tell_clocks()

    def lose_time_service(self) -> None:
        self._synchronised = False
        self._tell_clocks()

    def restart(self, span_ms: int = 0, *, jump_ms: int = 0) -> None:
        """The node dies, and is started again in the same boot, later."""
        self.node.kill()
        self.run(span_ms)
        self.jump(jump_ms)
        self.node = self._start()

    def power_cut(self, off_ms: int, *, wall: str, synchronised: bool = False) -> None:
        """Off for a while; the wall clock then says what it does."""
        self.node.kill()
        self.passed_ms += off_ms
        self._boots += 1
        self._wall_offset_ms = self._wall(wall)
        self._synchronised = synchronised
        self._tell_clocks()
        self.node = self._start()

    def store(self, seq: int) -> None:
        """Stores a message; the commit saves a reading of the clock too."""
        told = self._post("/blips/store", {"blips": {self._topic: {AUTHOR: {str(seq): "aGk="}}}})
        assert told == {"watermarks": {self._topic: {AUTHOR: seq}}}

    def serves(self) -> bool:
        """Whether it serves the message; what it does not, it must not ask for again either."""
        told, asked = self._fetched({}), self._fetched({AUTHOR: 0})
        assert asked["missing"] == {}
        return "0" in told["blips"].get(AUTHOR, {})

    def _wall(self, wall: str) -> int:
        if wall == EPOCH:
            return -time.time_ns() // 1_000_000
        return self._before_ms + self.passed_ms if wall == RIGHT else self._wall_offset_ms

    def _start(self) -> RunningNode:
        environment = {"MESHBOX_TEST_CLOCK": str(self._file)}
        return start_node(self._folder, "--sync", "off", environment=environment)

    def _tell_clocks(self) -> None:
        draft = self._file.with_suffix(".new")
        moves = {
            "boot_offset_ms": self._boot_offset_ms,
            "wall_offset_ms": self._wall_offset_ms,
            "synchronised": self._synchronised,
            "boot_id": f"boot-{self._boots}",
        }
        draft.write_text(json.dumps(moves))
        draft.rename(self._file)

    def _fetched(self, heights: dict[str, int]) -> Any:
        got = self._post("/blips/get", {"topics": {self._topic: heights}})
        return got["blips_by_topic"][self._topic]

    def _post(self, path: str, body: Any) -> Any:
        request = urllib.request.Request(
            self.node.url() + path, json.dumps(body).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


@contextmanager
def machine(folder: Path, **clock: Any) -> Iterator[Machine]:
    made = Machine(folder, **clock)
    try:
        yield made
    finally:
        made.node.kill()


@pytest.fixture(scope="module")
def rows_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("machine")) as made:
        yield made


def power_lost_every_50_seconds(m: Machine) -> None:
    for _ in range(3):
        m.power_cut(10_000, wall=EPOCH)
        m.run(50_000)


def lost_before_the_cut(m: Machine) -> None:
    m.lose_time_service()
    m.run(DAY_MS)
    m.store(1)
    m.power_cut(NIGHT_MS, wall=RIGHT, synchronised=True)


def a_day_and_a_night(m: Machine, wall: str, *, unsure_ms: int | None) -> None:
    """In its second day a machine is off, and finds a time service so much later, or never."""
    m.run(DAY_MS)
    m.store(1)
    m.power_cut(NIGHT_MS, wall=wall)
    if unsure_ms is not None:
        assert m.serves()
        m.run(unsure_ms)
        m.synchronise()


def jumps(m: Machine) -> None:
    for span_ms in (YEARS_MS, -2 * YEARS_MS, YEARS_MS):
        m.jump(span_ms)
        assert m.serves()


Steps = Callable[[Machine], object]

ROWS: list[Any] = [
    # (what happens, and the time off that nobody knows)
    pytest.param(jumps, 0, id="the clock jumps by ten years while it runs"),
    pytest.param(lambda m: m.restart(HOUR_MS, jump_ms=YEARS_MS), 0, id="+10 years between runs"),
    pytest.param(lambda m: m.restart(HOUR_MS, jump_ms=-YEARS_MS), 0, id="-10 years between runs"),
    pytest.param(lambda m: m.restart(NIGHT_MS), 0, id="suspended for a night"),
    pytest.param(
        lambda m: m.power_cut(NIGHT_MS, wall=RIGHT, synchronised=True), 0, id="off for a night"
    ),
    pytest.param(
        lambda m: m.power_cut(MONTH_MS, wall=RIGHT, synchronised=True), 0, id="off for a month"
    ),
    pytest.param(
        lambda m: m.power_cut(MONTH_MS, wall=RIGHT), 0, id="off for a month, with a good battery"
    ),
    pytest.param(
        lambda m: m.power_cut(NIGHT_MS, wall=STALE), NIGHT_MS, id="a stale saved clock, for good"
    ),
    pytest.param(
        lambda m: a_day_and_a_night(m, EPOCH, unsure_ms=30_000), 0, id="1970, sure after 30 s"
    ),
    pytest.param(
        lambda m: a_day_and_a_night(m, EPOCH, unsure_ms=HOUR_MS), 0, id="1970, sure after an hour"
    ),
    pytest.param(
        lambda m: a_day_and_a_night(m, STALE, unsure_ms=HOUR_MS), 0, id="stale, sure after an hour"
    ),
    pytest.param(
        lambda m: a_day_and_a_night(m, EPOCH, unsure_ms=None), NIGHT_MS, id="1970, never sure"
    ),
    pytest.param(lost_before_the_cut, 0, id="unsure before it was off, sure after"),
    pytest.param(power_lost_every_50_seconds, 3 * MINUTE_MS, id="power lost every 50 seconds"),
]


@pytest.mark.parametrize(("happens", "unknown_ms"), ROWS)
def test_a_message_lives_a_week_less_a_bucket_to_a_week(
    happens: Steps, unknown_ms: int, rows_machine: Machine
) -> None:
    m = rows_machine
    m.begin()
    m.synchronise()
    m.store(0)
    happens(m)
    known_ms = m.passed_ms - unknown_ms
    left_ms = RETENTION_MAX_MS - BUCKET_MS - known_ms
    if left_ms > SURE_MS:
        m.run(left_ms - SURE_MS)
        assert m.serves(), "it died early"
        m.run(BUCKET_MS + 2 * SURE_MS)
    assert not m.serves(), "it lives too long"


@pytest.mark.parametrize("unsure_ms", [30_000, None])
def test_a_machine_without_battery_starts_in_1970(unsure_ms: int | None, tmp_path: Path) -> None:
    """Its first start: what it then takes lives its week, whenever it learns what time it is."""
    with machine(tmp_path, wall=EPOCH, synchronised=False) as m:
        m.store(0)
        if unsure_ms is not None:
            m.run(unsure_ms)
            m.synchronise()
        m.run(RETENTION_MAX_MS - BUCKET_MS - SURE_MS - m.passed_ms)
        assert m.serves()
        m.run(BUCKET_MS + 2 * SURE_MS)
        assert not m.serves()
        swept = m.node.document("sweep")
        assert swept["blobs"] == 1
        m.store(0)
        assert not m.serves()
