"""Where multicast is blocked: nodes that know one node in common come to know each other by it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scripts.demo_steps.waiting import Stopwatch, until
from scripts.lines.lab import Lab
from tests.lab import require_lab
from tests.scenarios.test_lan import Machine, Record, connected, end, equal, kill, write

pytestmark = [pytest.mark.usefixtures("_needs_lab"), pytest.mark.timeout(120)]

PATIENCE_S = 20.0
TOLD_S_MAX = 5.0


@pytest.fixture(scope="module")
def _needs_lab() -> None:
    require_lab()


@contextmanager
def around_one(folder: Path, lab: Lab, *options: str) -> Iterator[list[Machine]]:
    """A node for each machine, the first of which is named to all others."""
    machines = [Machine(lab, 0, folder, *options)]
    try:
        peer = f"meshbox://{machines[0].node_id}@{lab.address(lab.machines[0])}:3001"
        for at in range(1, len(lab.machines)):
            machines += [Machine(lab, at, folder, "--peer", peer, *options)]
        yield machines
        end(machines)
    finally:
        kill(machines)


def test_two_that_know_a_third_know_each_other_when_it_is_gone(
    tmp_path: Path, record_property: Record
) -> None:
    topic = secrets.token_hex(32)
    with Lab(machines=3) as lab, around_one(tmp_path, lab, "--no-mdns") as machines:
        hub, a, c = machines
        seconds = connected(machines, within_s=PATIENCE_S)
        record_property("told_s", seconds)
        assert seconds < TOLD_S_MAX
        assert "told" in {a.peer(c)["source"], c.peer(a)["source"]}
        assert hub.node.stop() == 0
        a.store(write(10), topic=topic)
        equal((a, c), 10)
        hub.start()


def test_an_access_point_that_passes_no_multicast(tmp_path: Path, record_property: Record) -> None:
    with Lab(machines=3) as lab:
        for at in range(3):
            set_port(lab, at, "mcast_flood", "off")
        with around_one(tmp_path, lab) as machines:
            record_property("told_s", connected(machines, within_s=PATIENCE_S))
            assert not any("peer.found" in machine.node.log() for machine in machines)


def test_an_access_point_that_isolates_its_clients(tmp_path: Path) -> None:
    """What cannot be reached is told of, and costs nothing: the third passes everything on."""
    topic = secrets.token_hex(32)
    with Lab(machines=3) as lab:
        for at in (1, 2):
            set_port(lab, at, "isolated", "on")
        with around_one(tmp_path, lab) as machines:
            hub, a, c = machines
            connected((hub, a), within_s=PATIENCE_S)
            connected((hub, c), within_s=PATIENCE_S)
            assert until(lambda: "peer.told" in a.node.log() + c.node.log(), seconds=PATIENCE_S)
            a.store(write(10), topic=topic)
            equal(machines, 10)
            assert not a.is_connected(c)


def test_who_wants_no_introduction_is_left_alone(tmp_path: Path) -> None:
    alone = ("--no-mdns", "--no-introduce")
    with Lab(machines=3) as lab, around_one(tmp_path, lab, *alone) as machines:
        hub, a, c = machines
        connected((hub, a), within_s=PATIENCE_S)
        connected((hub, c), within_s=PATIENCE_S)
        watch = Stopwatch()
        assert until(lambda: watch.ms > TOLD_S_MAX * 1_000, seconds=PATIENCE_S)
        assert a.peer(c) == c.peer(a) == {}


def set_port(lab: Lab, at: int, option: str, value: str) -> None:
    """Sets an option of the bridge's port that a machine is plugged into."""
    lab.ip(lab.wire, "link", "set", f"v{at}w0", "type", "bridge_slave", option, value)
