"""An island and its mailbox on the internet, while the line between them goes and returns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from meshbox.cli.running_node import ask
from scripts.lines.lab import Lab
from tests.lab import require_lab
from tests.node.processes import RunningNode, start_node
from tests.waiting import becomes, stand_by

RETURN_S_MAX = 3.0
"""Seconds from the internet's return to sync in both directions (issue 7), on an idle machine."""
AWAY_S = 8.0
"""Seconds without a network, after which tries by back-off are 8 s apart."""


def start(lab: Lab, at: int, folder: Path, *options: str) -> RunningNode:
    return start_node(
        folder / f"node{at}",
        *("--http", "off", "--https", "off", "--admin", "off", *options),
        prefix=tuple(lab.argv(lab.machines[at], [])),
    )


def mailbox(node: RunningNode) -> dict[str, Any]:
    document = ask("GET", "/api/status", data_dir=str(node.data_dir), admin=None)
    (told,) = document["internet"]
    return dict(told)


def test_the_line_goes_and_returns(tmp_path: Path) -> None:
    require_lab()
    with Lab(machines=2) as lab:
        here, there = lab.machines
        far = start(lab, 1, tmp_path, "--sync", "0.0.0.0:3001", "--no-mdns")
        nodes = [far]
        try:
            url = f"meshbox://{far.node_id}@{lab.address(there)}:3001"
            island = start(lab, 0, tmp_path, "--sync", "off", "--no-mdns", "--internet", url)
            nodes.append(island)
            becomes(lambda: mailbox(island)["state"] == "connected")
            lab.cut(there, carrier=True)
            becomes(lambda: mailbox(island)["state"] == "waiting")
            becomes(lambda: mailbox(island)["reason"] == "peer.unreachable")
            lab.heal(there)
            assert becomes(lambda: mailbox(island)["state"] == "connected") < RETURN_S_MAX
            lab.ip(here, "addr", "add", "10.77.0.99/16", "dev", "eth0")
            lab.ip(here, "addr", "del", f"{lab.address(here)}/16", "dev", "eth0")
            since_ms = mailbox(island)["since_ms"]
            becomes(lambda: mailbox(island)["since_ms"] != since_ms)
            assert becomes(lambda: mailbox(island)["state"] == "connected") < RETURN_S_MAX
        finally:
            for running in nodes:
                running.kill()


def test_a_named_peer_is_reached_as_soon_as_the_network_is_back(tmp_path: Path) -> None:
    """Without mDNS, which else notices; by back-off alone it would be up to 15 s."""
    require_lab()
    with Lab(machines=2) as lab:
        here, there = lab.machines
        other = start(lab, 1, tmp_path, "--sync", "0.0.0.0:3001", "--no-mdns")
        nodes = [other]
        try:
            url = f"meshbox://{other.node_id}@{lab.address(there)}:3001"
            node = start(lab, 0, tmp_path, "--sync", "off", "--no-mdns", "--peer", url)
            nodes.append(node)
            becomes(lambda: peer(node)["state"] == "connected")
            lab.unplug(here)
            becomes(lambda: peer(node)["state"] == "waiting")
            stand_by(AWAY_S)
            lab.plug(here)
            assert becomes(lambda: peer(node)["state"] == "connected") < RETURN_S_MAX
        finally:
            for each in nodes:
                each.kill()


def peer(node: RunningNode) -> dict[str, Any]:
    document = ask("GET", "/api/status", data_dir=str(node.data_dir), admin=None)
    (told,) = document["peers"]
    return dict(told)
