"""Found by every phone: the libraries of the apps judge what we send, and we hear what they send.

What a node says is judged by mdns-sd and swarm-discovery themselves, never by our own parser.
MESHBOX_SOAK_S is how long nobody may be lost (`scripts/discovery-soak`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from meshbox.core.ids import NodeId
from meshbox.discovery.swarm.packet import answer, label_of, query
from scripts.demo_steps.waiting import Stopwatch, until
from scripts.lines.lab import Lab
from tests.discovery.swarm.captured import ANSWER_060, ANSWER_065, LABEL, TYPE
from tests.interop.avahi import avahi_on
from tests.interop.phone import Age, Phone, build
from tests.lab import require_lab
from tests.node.processes import RunningNode, start_node
from tests.waiting import stand_by

SOAK_S = float(os.environ.get("MESHBOX_SOAK_S", "150"))

pytestmark = [
    pytest.mark.usefixtures("_needs_lab"),
    pytest.mark.timeout(SOAK_S + 600),  # The first one builds the programs.
    pytest.mark.xdist_group("phones"),
]

FOUND_S_MAX = 2.0
GONE_S_MAX = 5.0
PATIENCE_S = 15.0
DIALECTS = ("standard", "swarm")
ROOT = Path(__file__).parents[2]
FLOODER = ROOT / "tests" / "discovery" / "flooder.py"
PEERS_DIALLED_MAX = 512
"""Of some ten thousand that were invented."""
TAP = ROOT / "tests" / "discovery" / "swarm" / "tap.py"

Programs = dict[Age, Path]
Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def _needs_lab() -> None:
    require_lab()


@pytest.fixture(scope="module")
def programs() -> Programs:
    return build()


@contextmanager
def node_on(lab: Lab, at: int, folder: Path, *options: str) -> Iterator[RunningNode]:
    """A node on a machine, on the standard port for apps; killed at the end if it still runs."""
    node = start_node(
        folder / f"node{at}",
        *("--mdns", "--http", "0.0.0.0:3000", "--https", "off", "--sync", "0.0.0.0:3001"),
        *("--admin", "off", *options),
        prefix=tuple(lab.argv(lab.machines[at], [])),
    )
    try:
        yield node
    finally:
        if node.process.poll() is None:
            node.kill()


def browsers(lab: Lab, machine: str, programs: Programs) -> dict[str, Phone]:
    """A phone of every kind on one machine."""
    return {
        f"{age} {dialect}": Phone(lab, machine, programs[age], "browse", dialect, "dashchat")
        for dialect in DIALECTS
        for age in Age
    }


def name_for(kind: str, node: RunningNode) -> str:
    """By which name a kind of phone knows a node."""
    return label_of(NodeId(node.node_id)) if "swarm" in kind else node.node_id


def found_once(phones: dict[str, Phone], node: RunningNode, address: str, since: float) -> float:
    """Every phone lists the node, once, at its IPv4 address; the seconds of the slowest."""
    seconds = []
    for kind, phone in phones.items():
        began = max(since, phone.began)
        seconds.append(phone.lists(name_for(kind, node), within_s=PATIENCE_S, since=began))
        (line,) = phone.listed().values()
        assert line.port == 3000
        assert address in line.addresses
        assert all(":" in other for other in line.addresses if other != address)
    return max(seconds)


def found_and_gone(lab: Lab, folder: Path, programs: Programs, record: Record) -> None:
    """Phones are there before the node, and come after it; then the node is stopped."""
    early = browsers(lab, lab.machines[1], programs)
    for phone in early.values():
        phone.until(lambda phone=phone: bool(phone.lines), within_s=PATIENCE_S)  # type: ignore[misc]
    with node_on(lab, 0, folder) as node:
        ready = time.monotonic()
        address = lab.address(lab.machines[0])
        node_found_s = found_once(early, node, address, ready)
        late = browsers(lab, lab.machines[2], programs)
        phone_found_s = found_once(late, node, address, 0)
        stopped = time.monotonic()
        assert node.stop() == 0
        gone = [
            phone.drops(name_for(kind, node), within_s=PATIENCE_S)
            for phones in (early, late)
            for kind, phone in phones.items()
        ]
    record("node_found_s", round(node_found_s, 2))
    record("phone_finds_s", round(phone_found_s, 2))
    record("gone_s", round(max(gone) - stopped, 2))
    assert node_found_s < FOUND_S_MAX
    assert phone_found_s < FOUND_S_MAX
    assert max(gone) - stopped < GONE_S_MAX
    for phones in (early, late):
        for phone in phones.values():
            assert [line.event for line in phone.lines].count("gone") == 1


def test_every_phone_finds_a_node_and_loses_it_when_it_stops(
    tmp_path: Path, programs: Programs, record_property: Record
) -> None:
    with Lab(machines=3) as lab:
        found_and_gone(lab, tmp_path, programs, record_property)


def test_beside_an_avahi_on_the_same_machine(
    tmp_path: Path, programs: Programs, record_property: Record
) -> None:
    with Lab(machines=3) as lab, avahi_on(lab, lab.machines[0], tmp_path):
        found_and_gone(lab, tmp_path, programs, record_property)


def test_nodes_and_phones_find_each_other_in_a_flood(
    tmp_path: Path, programs: Programs, record_property: Record
) -> None:
    """Two thousand inventions a second: the nodes connect, and phones list them."""
    with Lab(machines=4) as lab, node_on(lab, 0, tmp_path) as old:
        flooder = [sys.executable, str(FLOODER), "many"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        flood = lab.run(lab.machines[2], flooder, stdout=subprocess.PIPE, env=environment)
        assert flood.stdout is not None
        assert flood.stdout.readline() == b"flooding\n"
        phone = Phone(lab, lab.machines[3], programs[Age.OLD], "browse", "swarm", "dashchat")
        with node_on(lab, 1, tmp_path) as new:
            watch = Stopwatch()
            for node in (old, new):
                phone.lists(label_of(NodeId(node.node_id)), within_s=PATIENCE_S)

            def are_connected() -> bool:
                peers = old.status()["peers"]
                return any((p["node_id"], p["state"]) == (new.node_id, "connected") for p in peers)

            assert until(are_connected, seconds=PATIENCE_S)
            record_property("connected_s", round(watch.ms / 1000, 2))
            assert len(old.status()["peers"]) < PEERS_DIALLED_MAX
            assert old.stop() == 0
            assert new.stop() == 0


@pytest.mark.parametrize("age", Age)
def test_what_is_sent_is_what_the_library_sends(programs: Programs, age: Age) -> None:
    """Byte for byte as 0.6.0 does; 0.6.5 differs by its PTR record and its TTL."""
    captured = ANSWER_060 if age is Age.OLD else ANSWER_065
    with Lab(machines=2) as lab:
        tap = lab.run(lab.machines[1], [sys.executable, str(TAP)], stdout=subprocess.PIPE)
        assert tap.stdout is not None
        assert tap.stdout.readline() == b"listening\n"
        announcing = ("announce", "swarm", "dashchat", LABEL, "3000", "10.77.0.1")
        phone = Phone(lab, lab.machines[0], programs[age], *announcing)

        def next_answer() -> bytes:
            assert tap.stdout is not None
            while (heard := bytes.fromhex(tap.stdout.readline().decode())) == query(TYPE):
                pass
            return heard

        assert bytes.fromhex(tap.stdout.readline().decode()) == query(TYPE)
        assert next_answer() == captured
        phone.stop()
        while (leaving := next_answer()) == captured:
            pass
        told = {"label": LABEL, "port": 3000, "addresses": ["10.77.0.1"]}
        if age is Age.OLD:
            assert answer(TYPE, **told, is_leaving=False) == captured  # type: ignore[arg-type]
            assert answer(TYPE, **told, is_leaving=True) == leaving  # type: ignore[arg-type]


def test_nobody_is_lost_among_many(
    tmp_path: Path, programs: Programs, record_property: Record
) -> None:
    """Four nodes and two announcers of the library, seen by phones of every kind.

    On the machine of one of the nodes there is an avahi, throughout.
    """
    with Lab(machines=7) as lab, avahi_on(lab, lab.machines[0], tmp_path):
        phones = browsers(lab, lab.machines[6], programs)
        announcers = {"a" * 51 + "q": Age.OLD, "b" * 51 + "q": Age.NEW}
        for at, (label, age) in enumerate(announcers.items(), start=4):
            address = lab.address(lab.machines[at])
            announcing = ("announce", "swarm", "dashchat", label, "4000", address)
            Phone(lab, lab.machines[at], programs[age], *announcing)
        nodes = [node_on(lab, at, tmp_path) for at in range(4)]
        with nodes[0] as a, nodes[1] as b, nodes[2] as c, nodes[3] as d:
            expected = {
                kind: {name_for(kind, node) for node in (a, b, c, d)}
                | {label for label, age in announcers.items() if "swarm" in kind or age == Age.NEW}
                for kind in phones
            }
            for kind, phone in phones.items():
                phone.until(
                    lambda kind=kind, phone=phone: phone.listed().keys() == expected[kind],  # type: ignore[misc]
                    within_s=PATIENCE_S * 2,
                )
            since = time.monotonic()
            # Nothing is awaited but time: whoever lapses in it is a failure.
            stand_by(SOAK_S)
            lost = [
                (kind, line)
                for kind, phone in phones.items()
                for line in phone.lines
                if line.event != "found" and line.at > since
            ]
            assert lost == []
            assert {kind: phone.listed().keys() for kind, phone in phones.items()} == expected
            assert all(node.stop() == 0 for node in (a, b, c, d))
    record_property("seconds without a loss", SOAK_S)
