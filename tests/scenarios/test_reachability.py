"""A node that a peer from the internet dials says so; one that only neighbours dial does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from meshbox.cli.running_node import ask
from scripts.lines.lab import Lab
from tests.lab import require_lab
from tests.node.processes import RunningNode, start_node
from tests.waiting import becomes

CONNECTED_S_MAX = 20.0
FAR = "9.0.0.2"
"""An address of the internet, as far as a namespace that nothing leaves can tell."""


def start(lab: Lab, at: int, folder: Path, *options: str) -> RunningNode:
    return start_node(
        folder / f"node{at}",
        *("--http", "off", "--https", "off", "--admin", "off", *options),
        prefix=tuple(lab.argv(lab.machines[at], [])),
    )


def status(node: RunningNode) -> dict[str, Any]:
    return ask("GET", "/api/status", data_dir=str(node.data_dir), admin=None)


def wait_connected(node: RunningNode, *, peers: int) -> dict[str, Any]:
    def connected() -> bool:
        states = [peer["state"] for peer in status(node)["peers"]]
        return states.count("connected") == peers

    becomes(connected, within_s=CONNECTED_S_MAX)
    return status(node)


def test_being_dialled_from_beyond_is_seen(tmp_path: Path) -> None:
    require_lab()
    with Lab(machines=3) as lab:
        here, _, far = lab.machines
        lab.ip(here, "route", "add", f"{FAR}/32", "dev", "eth0")
        lab.ip(far, "addr", "add", f"{FAR}/32", "dev", "eth0")
        lab.ip(far, "route", "add", f"{lab.address(here)}/32", "dev", "eth0", "src", FAR)
        node = start(lab, 0, tmp_path, "--sync", "0.0.0.0:3001")
        peer = f"meshbox://{node.node_id}@{lab.address(here)}:3001"
        nodes = [node]
        try:
            nodes.append(start(lab, 1, tmp_path, "--sync", "off", "--peer", peer))
            reach = wait_connected(node, peers=1)["reachability"]
            assert reach["ipv4"] == {"route": False, "dialled": "unknown"}
            lab.ip(here, "route", "add", "default", "via", "10.77.0.99")
            nodes.append(start(lab, 2, tmp_path, "--sync", "off", "--peer", peer))
            reach = wait_connected(node, peers=2)["reachability"]
            assert reach["ipv4"] == {"route": True, "dialled": "yes"}
            assert reach["ipv6"] == {"route": False, "dialled": "unknown"}
        finally:
            for running in nodes:
                running.kill()
