"""Real nodes on machines of their own, on wires that are cut: found, equal, cut off, caught up.

Machines are network namespaces (scripts/lines/lab.py). Times are recorded as properties of the test
reports; what is asserted are the promises: found, and followed, in 2 s, a lost peer noticed in
10 s.
"""

from __future__ import annotations

import base64
import http.client
import json
import secrets
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from meshbox.cli.running_node import WORK_TIMEOUT_S, ask
from scripts.demo_steps.waiting import Stopwatch, until
from scripts.lines.lab import Lab
from tests.lab import require_lab
from tests.node.processes import RunningNode, start_node

pytestmark = [pytest.mark.usefixtures("_needs_lab"), pytest.mark.timeout(240)]

FOUND_S_MAX = 2.0
"""From when both run."""
NOTICED_S_MAX = 10.0
FOLLOWED_S_MAX = 2.0
LEFT_S_MAX = 2.0
PATIENCE_S = 15.0
EQUAL_S_MAX = 60.0
BIG_BYTES = 40_000_000

Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def _needs_lab() -> None:
    require_lab()


class Machine:
    """A machine with a node on it."""

    def __init__(self, lab: Lab, at: int, folder: Path, *options: str) -> None:
        self.name = lab.machines[at]
        self._options = options
        self._lab = lab
        self._folder = folder / f"node{at}"
        self.start()

    def start(self) -> None:
        """Runs the node as on a machine of its own: standard ports, mDNS on every interface."""
        self.node: RunningNode = start_node(
            self._folder,
            *("--mdns", "--http", "0.0.0.0:3000", "--https", "off", "--sync", "0.0.0.0:3001"),
            *("--admin", "off", *self._options),
            prefix=tuple(self._lab.argv(self.name, [])),
        )

    @property
    def node_id(self) -> str:
        return self.node.node_id

    def ask(self, path: str) -> dict[str, Any]:
        """A document of its control socket."""
        data_dir = str(self.node.data_dir)
        return ask("GET", path, data_dir=data_dir, admin=None, timeout_s=WORK_TIMEOUT_S)

    def peer(self, other: Machine) -> dict[str, Any]:
        """What it says of another; empty when it does not know it."""
        peers = self.ask("/api/status")["peers"]
        return next((peer for peer in peers if peer["node_id"] == other.node_id), {})

    def is_connected(self, *others: Machine) -> bool:
        return all(self.peer(other).get("state") == "connected" for other in others)

    def store(self, messages: dict[str, dict[str, bytes]], *, topic: str) -> None:
        """An app on this machine stores messages, by author and number."""
        logs = {
            author: {seq: base64.b64encode(data).decode() for seq, data in log.items()}
            for author, log in messages.items()
        }
        assert self.post("/blips/store", {"blips": {topic: logs}})[0] == 201

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("localhost")
        connection.sock = self._lab.connect(self.name, 3000, timeout_s=60)
        try:
            kind = {"Content-Type": "application/json"}
            connection.request("POST", path, json.dumps(body), kind)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            connection.close()

    def digest(self) -> tuple[int, str]:
        """How many blobs it holds, and the digest of them."""
        inventory = self.ask("/api/inventory")
        return inventory["blobs"], inventory["digest"]


@contextmanager
def lan(folder: Path, wires: Sequence[Sequence[int]]) -> Iterator[tuple[Lab, list[Machine]]]:
    """A machine with a running node for each entry of `wires`; all of them stopped at the end."""
    with Lab(machines=len(wires), wires=wires) as lab:
        machines: list[Machine] = []
        try:
            for at in range(len(wires)):
                machines += [Machine(lab, at, folder)]
            yield lab, machines
            end(machines)
        finally:
            kill(machines)


def end(machines: Sequence[Machine]) -> None:
    """Clean stops, without a bug."""
    for machine in machines:
        assert "peer.bug" not in machine.node.log()
        assert machine.node.stop() == 0


def kill(machines: Sequence[Machine]) -> None:
    """Those that run still."""
    for machine in machines:
        if machine.node.process.poll() is None:
            machine.node.kill()


def write(count: int, *, logs: int = 10, first: int = 0) -> dict[str, dict[str, bytes]]:
    """`count` messages of 1 KB in new logs."""
    authors = [secrets.token_hex(32) for _ in range(logs)]
    messages: dict[str, dict[str, bytes]] = {author: {} for author in authors}
    for at in range(count):
        messages[authors[at % logs]][str(first + at // logs)] = secrets.token_bytes(1_000)
    return messages


def connected(machines: Sequence[Machine], *, within_s: float) -> float:
    """Waits until all know all; the seconds that it took."""
    watch = Stopwatch()

    def all_are() -> bool:
        return all(a.is_connected(*(b for b in machines if b is not a)) for a in machines)

    assert until(all_are, seconds=within_s, pause_s=0.02), [m.node.log() for m in machines]
    return watch.ms / 1000


def equal(machines: Sequence[Machine], blobs: int) -> float:
    """Waits until all hold the same `blobs` blobs; the seconds that it took."""
    watch = Stopwatch()

    def are_equal() -> bool:
        held = {machine.digest() for machine in machines}
        return len(held) == 1 and held.pop()[0] == blobs

    assert until(are_equal, seconds=EQUAL_S_MAX), [m.digest() for m in machines]
    return watch.ms / 1000


def lost(machine: Machine, other: Machine) -> float:
    """Waits until a machine says that it has no session with another; the seconds."""
    watch = Stopwatch()
    assert until(lambda: not machine.is_connected(other), seconds=NOTICED_S_MAX, pause_s=0.05)
    return watch.ms / 1000


def test_three_find_each_other_are_cut_and_catch_up(
    tmp_path: Path, record_property: Record
) -> None:
    topic = secrets.token_hex(32)
    with lan(tmp_path, [[0], [0], [0]]) as (lab, (a, b, c)):
        record_property("found_s", connected((a, b, c), within_s=FOUND_S_MAX))
        a.store(write(200), topic=topic)
        record_property("equal_200_s", equal((a, b, c), 200))

        lab.cut(c.name, carrier=True)
        record_property("cut_noticed_s", lost(a, c))
        a.store(write(1_000, logs=50), topic=topic)
        c.store(write(1_000, logs=50), topic=topic)
        record_property("equal_without_it_s", equal((a, b), 1_200))
        assert c.digest()[0] == 1_200
        lab.heal(c.name)
        record_property("connected_again_s", connected((a, b, c), within_s=NOTICED_S_MAX * 2))
        record_property("caught_up_s", equal((a, b, c), 2_200))

        b.store({secrets.token_hex(32): {"0": secrets.token_bytes(BIG_BYTES)}}, topic=topic)
        record_property("equal_40_mb_s", equal((a, b, c), 2_201))
        duplicates = [
            m.peer(o)["duplicates_in"] for m in (a, b, c) for o in (a, b, c) if m is not o
        ]
        assert sum(duplicates) == 0


def test_a_joiner_and_those_already_there_sync_at_once(
    tmp_path: Path, record_property: Record
) -> None:
    """From its ready line to what was stored before at both of the others."""
    topic = secrets.token_hex(32)
    with Lab(machines=3) as lab:
        machines: list[Machine] = []
        try:
            machines += [Machine(lab, at, tmp_path) for at in (0, 1)]
            connected(machines, within_s=FOUND_S_MAX)
            for machine in machines:
                machine.store(write(10), topic=topic)
            equal(machines, 20)
            machines += [Machine(lab, 2, tmp_path)]
            watch = Stopwatch()
            connected(machines, within_s=FOUND_S_MAX)
            equal(machines, 20)
            synced_s = watch.ms / 1000
            record_property("joined_s", synced_s)
            assert synced_s < FOUND_S_MAX
            joiner = machines.pop()
            joiner.node.process.terminate()
            left_s = max(lost(machine, joiner) for machine in machines)
            record_property("left_s", left_s)
            assert left_s < LEFT_S_MAX
            end([*machines, joiner])
        finally:
            kill(machines)


def are_anew(a: Machine, b: Machine, *, after: int) -> bool:
    """Whether both have a session with the other that they began after so many."""
    return a.is_connected(b) and b.is_connected(a) and min(sessions(a), sessions(b)) > after


def sessions(machine: Machine) -> int:
    """How many a machine ever began."""
    return machine.node.log().count("peer.connected")


def test_a_node_that_gets_another_address_is_followed(
    tmp_path: Path, record_property: Record
) -> None:
    """One of the two dialled the session that is left, and then the other."""
    topic = secrets.token_hex(32)
    with lan(tmp_path, [[0], [0]]) as (lab, (a, b)):
        connected((a, b), within_s=FOUND_S_MAX)
        assert until(lambda: a.peer(b)["address"] and b.peer(a)["address"], seconds=PATIENCE_S)
        for blobs, there in enumerate((b, a), start=1):
            new, before = f"10.77.0.{100 + blobs}", max(sessions(a), sessions(b))
            lab.ip(there.name, "addr", "del", f"{lab.address(there.name)}/16", "dev", "eth0")
            lab.ip(there.name, "addr", "add", f"{new}/16", "dev", "eth0")
            watch = Stopwatch()
            there.store(write(1, logs=1), topic=topic)
            assert until(lambda n=before: are_anew(a, b, after=n), seconds=PATIENCE_S)  # type: ignore[misc]
            followed_s = watch.ms / 1000
            record_property(f"followed_{blobs}_s", followed_s)
            assert followed_s < FOLLOWED_S_MAX, (a.node.log(), b.node.log())
            equal((a, b), blobs)


def test_a_frozen_node_is_noticed_and_catches_up(tmp_path: Path, record_property: Record) -> None:
    topic = secrets.token_hex(32)
    with lan(tmp_path, [[0], [0]]) as (_, (a, b)):
        connected((a, b), within_s=FOUND_S_MAX)
        b.node.process.send_signal(signal.SIGSTOP)
        record_property("frozen_noticed_s", lost(a, b))
        a.store(write(500), topic=topic)
        b.node.process.send_signal(signal.SIGCONT)
        record_property("equal_again_s", equal((a, b), 500))


def test_islands_that_one_node_joins_become_equal(tmp_path: Path, record_property: Record) -> None:
    """A and B on one wire, D and E on another, C on both; C is killed while a large blob passes."""
    topic = secrets.token_hex(32)
    with lan(tmp_path, [[0], [0], [0, 1], [1], [1]]) as (_, machines):
        a, b, c, d, e = machines
        connected((a, b, c), within_s=FOUND_S_MAX)
        connected((c, d, e), within_s=FOUND_S_MAX)
        a.store(write(300), topic=topic)
        e.store(write(300), topic=topic)
        record_property("equal_across_s", equal(machines, 600))

        a.store({secrets.token_hex(32): {"0": secrets.token_bytes(BIG_BYTES)}}, topic=topic)
        assert until(lambda: c.peer(a)["bytes_in"] > BIG_BYTES // 4, seconds=20, pause_s=0.001)
        c.node.kill()
        assert "peer.bug" not in c.node.log()
        d.store(write(100), topic=topic)
        c.start()
        record_property("equal_after_a_kill_s", equal(machines, 701))
