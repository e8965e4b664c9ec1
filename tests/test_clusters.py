"""`scripts/cassandra`: the real server is started, killed and stopped, and nothing else is."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from scripts.clusters.cluster import Cluster, is_ready
from scripts.clusters.configuration import CQL_PORT, Server, check_network
from scripts.clusters.faults import ClusterFailed
from tests import cassandra

ROOT = Path(__file__).parents[1]


def command(*arguments: str) -> tuple[int, dict[str, Any]]:
    ended = subprocess.run(
        [ROOT / "scripts/cassandra", *arguments, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, json.loads(ended.stdout)


def server(tmp_path: Path, number: int, *, count: int) -> dict[str, Any]:
    made = Server(number, count, "127.1.2", authenticate=False, folder=tmp_path, jars=tmp_path)
    made.prepare()
    settings = json.loads((tmp_path / "cassandra.yaml").read_text())
    assert isinstance(settings, dict)
    return settings


def test_servers_share_the_ring_evenly(tmp_path: Path) -> None:
    tokens = [int(server(tmp_path, n, count=3)["initial_token"]) for n in (1, 2, 3)]
    assert tokens[0] == -(2**63)
    assert len({round((b - a) / 2**60) for a, b in pairwise(tokens)}) == 1
    assert server(tmp_path, 1, count=1)["initial_token"] == "0"


def test_any_server_comes_back_by_any_other(tmp_path: Path) -> None:
    """Whichever of them were killed: one that hears of none of its seeds ends."""
    for number in (1, 2, 3):
        (provider,) = server(tmp_path, number, count=3)["seed_provider"]
        assert provider["parameters"] == [{"seeds": "127.1.2.1,127.1.2.2,127.1.2.3"}]


def test_what_is_acknowledged_is_synced(tmp_path: Path) -> None:
    assert server(tmp_path, 1, count=1)["commitlog_sync"] == "group"


@pytest.mark.parametrize("network", ["10.0.0", "127.0", "127.0.0.1", "here"])
def test_only_loopback_networks_are_used(network: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of two libraries
        check_network(network)


def test_a_folder_without_a_cluster_has_nothing_to_tell(tmp_path: Path) -> None:
    status, document = command("status", "--folder", str(tmp_path))
    assert (status, document["servers"]) == (1, [])
    assert command("down", "--folder", str(tmp_path))[0] == 0


def test_another_process_of_the_same_number_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "node-1").mkdir()
    (tmp_path / "node-1/pid").write_text(f"{os.getpid()} 1")
    Cluster(tmp_path).kill(1)
    assert not Cluster(tmp_path).down()


@pytest.mark.xdist_group("cassandra")
def test_a_taken_port_is_told(cassandra_cluster: Cluster, tmp_path: Path) -> None:
    network = cassandra.some_network()
    with socket.socket() as taken:
        taken.bind((f"{network}.1", CQL_PORT))
        taken.listen()
        with pytest.raises(ClusterFailed, match=f"{network}.1:{CQL_PORT} cannot be used"):
            Cluster(tmp_path).up(nodes=1, network=network)


@pytest.mark.xdist_group("cassandra")
@pytest.mark.timeout(300)
def test_up_kill_and_down(cassandra_cluster: Cluster, tmp_path: Path) -> None:
    network = cassandra.some_network()
    options = ("--network", network, "--folder", str(tmp_path))
    status, document = command("up", *options)
    try:
        assert (status, document["contact_points"]) == (0, [f"{network}.1:{CQL_PORT}"])
        (running,) = document["servers"]
        assert command("up", *options)[1]["servers"] == [running]  # Nothing is started twice.
        with pytest.raises(ClusterFailed, match="take it down first"):
            Cluster(tmp_path).up(nodes=2, network=network)
        os.kill(running["pid"], signal.SIGKILL)
        while is_ready(f"{network}.1"):
            pass
        assert command("status", "--folder", str(tmp_path))[0] == 1
    finally:
        status, document = command("down", "--folder", str(tmp_path), "--wipe")
    assert (status, document["servers"]) == (0, [])
    assert list(tmp_path.iterdir()) == []
