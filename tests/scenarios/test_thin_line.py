"""A gateway on 64 kbit/s, with a second there and back and 5 % of the packets lost, gets through.

tbf bounds the rate of both machines, iptables drops one packet of 20 by its statistic match, and a
relay beside the gateway delays what is sent; both by a seed. Loss and rate act on the kernel's own
TCP.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from meshbox.cli.running_node import ask
from scripts.lines.lab import Lab
from tests.lab import require_lab
from tests.node.processes import RunningNode, start_node
from tests.waiting import becomes

RATE = "64kbit"
DELAY_S = 0.5
LOST_EVERY = 20
SEED = 1
SMALL = 20
LARGE_BYTES = 60_000
CROSSED_S_MAX = 60.0
"""Seconds for everything: 85 kB, of which the line takes 8 a second; 20 s where nothing is lost."""
FRESH_S_MAX = 10.0
"""Seconds for what is written while the large one is on its way: it does not wait for it."""
HTTP_PORT = 3000

RELAY = """
import signal, sys
from scripts.lines.line import Line
with Line(sys.argv[1], delay_s=float(sys.argv[2]), seed=int(sys.argv[3])) as line:
    line.heal()
    print(line.endpoint, flush=True)
    signal.pause()
"""


class Ends(NamedTuple):
    """The gateway and its mailbox on the internet."""

    island: RunningNode
    far: RunningNode
    machines: dict[str, str]
    lab: Lab

    def store(self, node: RunningNode, author: str, size_bytes: int) -> None:
        """An app stores one message of an author."""
        connection = http.client.HTTPConnection("node")
        connection.sock = self.lab.connect(self.machines[node.node_id], HTTP_PORT)
        content = base64.b64encode(os.urandom(size_bytes)).decode()
        body = json.dumps({"blips": {"topic": {author: {"0": content}}}})
        connection.request("POST", "/blips/store", body, {"Content-Type": "application/json"})
        assert connection.getresponse().status == http.client.CREATED
        connection.close()


def status(node: RunningNode) -> dict[str, Any]:
    return ask("GET", "/api/status", data_dir=str(node.data_dir), admin=None)


def held(node: RunningNode) -> int:
    return int(status(node)["storage"]["messages"])


def has(node: RunningNode, author: str) -> bool:
    """Whether a message of the author is held."""
    path = "/api/inventory?topic=topic"
    document = ask("GET", path, data_dir=str(node.data_dir), admin=None)
    return any(log["author"] == author for log in document["logs"])


def thin(lab: Lab, machine: str, *, lost_first: int) -> None:
    """What the machine sends is slow, and what it is sent gets lost: every 20th packet from
    `lost_first` on, counted from 0."""
    rate = ("rate", RATE, "burst", "3000", "latency", "2000ms")
    nth = ("--mode", "nth", "--every", str(LOST_EVERY), "--packet", str(lost_first))
    lost = ("-m", "statistic", *nth, "-j", "DROP")
    for command in (
        ["tc", "qdisc", "add", "dev", "eth0", "root", "tbf", *rate],
        ["iptables", "-A", "INPUT", "-i", "eth0", *lost],
    ):
        subprocess.run(lab.argv(machine, command), check=True, capture_output=True)


@contextmanager
def ends(folder: Path) -> Iterator[Ends]:
    require_lab()
    if not (shutil.which("tc") and shutil.which("iptables")):
        pytest.skip("needs the commands tc and iptables")
    with Lab(machines=2) as lab:
        here, there = lab.machines
        chance = random.Random(SEED)
        for machine in lab.machines:
            thin(lab, machine, lost_first=chance.randrange(LOST_EVERY))
        common = ("--http", f"127.0.0.1:{HTTP_PORT}", "--https", "off", "--admin", "off")
        sync = f"{lab.address(there)}:3001"
        far = start_node(
            *(folder / "far", *common, "--sync", sync, "--no-mdns"),
            prefix=tuple(lab.argv(there, [])),
        )
        nodes = [far]
        try:
            argv = [sys.executable, "-c", RELAY, sync, str(DELAY_S), str(SEED)]
            relay = lab.run(here, argv, stdout=subprocess.PIPE, text=True)
            assert relay.stdout is not None
            url = f"meshbox://{far.node_id}@{relay.stdout.readline().strip()}"
            island = start_node(
                *(folder / "island", *common, "--sync", "off", "--no-mdns", "--internet", url),
                prefix=tuple(lab.argv(here, [])),
            )
            nodes.append(island)
            yield Ends(island, far, {island.node_id: here, far.node_id: there}, lab)
        finally:
            for node in nodes:
                node.kill()


@pytest.mark.timeout(150)
def test_it_gets_through(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    with ends(tmp_path) as both:
        island, far = both.island, both.far
        for number in range(SMALL):
            both.store(island, f"out {number}", 1_000)
        both.store(island, "large", LARGE_BYTES)
        both.store(far, "in", 1_000)
        small_s = becomes(lambda: held(far) >= SMALL, within_s=CROSSED_S_MAX)
        both.store(island, "fresh", 500)
        fresh_s = becomes(lambda: has(far, "fresh"), within_s=FRESH_S_MAX)
        assert not has(far, "large"), "nothing was on its way"
        large_s = becomes(lambda: held(far) == SMALL + 3, within_s=CROSSED_S_MAX)
        becomes(lambda: held(island) == SMALL + 3, within_s=CROSSED_S_MAX)
        (peer,) = status(far)["peers"]
        assert peer["duplicates_in"] == 0
        record_property("small_s", small_s)
        record_property("fresh_s", fresh_s)
        record_property("large_s", large_s)
