"""mDNS and `--peer` introduce nodes to each other; what happens on the LAN is logged."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from meshbox.core.address import Endpoint, parse_address
from meshbox.core.errors import DiscoveryFailed
from meshbox.core.ids import NodeId
from meshbox.discovery.events import (
    CloneSeen,
    Event,
    NetworkChanged,
    PeerChanged,
    PeerFound,
    PeerGone,
    Troubled,
)
from meshbox.discovery.found import Peer
from meshbox.node.finding import Finding
from meshbox.node.settings import resolve
from tests.node.processes import RunningNode
from tests.waiting import becomes

pytestmark = pytest.mark.slow

A, B = NodeId("A" * 43), NodeId("B" * 42 + "A")
AT = (Endpoint("10.0.0.1", 3001),)
PEER = Peer(node_id=B, endpoints=AT, protocol=1)

StartNode = Callable[..., RunningNode]


class Told:
    """Stands where sync and the log are told things, and keeps them."""

    def __init__(self) -> None:
        self.peers: list[tuple[Any, ...]] = []
        self.events: list[str] = []

    def connected(self, node_id: NodeId) -> bool:
        return False

    def peer_found(self, node_id: NodeId, endpoints: tuple[Endpoint, ...], source: str) -> None:
        self.peers.append((node_id, endpoints, source))

    def peer_gone(self, node_id: NodeId) -> None:
        self.peers.append((node_id,))

    def network_changed(self) -> None:
        self.peers.append(("network",))

    def info(self, event: str, **_: object) -> None:
        self.events.append(event)

    warning = info


def finding(told: Told, warnings: dict[str, str], *peers: str) -> Finding:
    options = {"mdns": "off", "peer": list(peers)}
    settings = resolve(options=options, environment={}).settings
    return Finding(settings, node_id=A, sync=told, log=told, warnings=warnings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("event", "told_sync", "told_log"),
    [
        (PeerFound(PEER), (B, AT, "mdns"), "peer.found"),
        (PeerChanged(PEER), (B, AT, "mdns"), "peer.moved"),
        (PeerGone(PEER), (B,), "peer.gone"),
    ],
)
async def test_what_is_heard_of_peers_goes_to_sync(
    event: Event, told_sync: tuple[Any, ...], told_log: str
) -> None:
    told = Told()
    await finding(told, {})._heard(event)
    assert told.peers == [told_sync]
    assert told.events == [told_log]


async def test_troubles_are_warned_of_until_the_network_changes() -> None:
    told, warnings = Told(), dict[str, str]()
    heard = finding(told, warnings)._heard
    await heard(Troubled(DiscoveryFailed("no multicast")))
    assert warnings == {
        "discovery": "no multicast (free UDP port 5353, or use --no-mdns and --peer)"
    }
    await heard(NetworkChanged(("10.0.0.2",)))
    assert warnings == {}
    assert told.events == ["discovery.troubled", "network.changed"]
    assert told.peers == [("network",)]


async def test_a_clone_is_warned_of() -> None:
    told, warnings = Told(), dict[str, str]()
    await finding(told, warnings)._heard(CloneSeen(PEER))
    assert "10.0.0.1:3001" in warnings["clone"]
    assert told.events == ["identity.cloned"]


async def test_named_peers_are_told_at_once() -> None:
    told = Told()
    address = f"meshbox://{B}@10.0.0.1:3001,10.0.0.2:3001"
    found = finding(told, {}, address)
    await found.start(http=None, https=None, sync=None)
    await found.stop()
    assert told.peers == [(B, parse_address(address).endpoints, "static")]


@pytest.fixture
def mesh() -> tuple[str, ...]:
    """Options of nodes that find each other on this machine, and nobody else's."""
    name = f"t{uuid.uuid4().hex[:12]}"
    return ("--mdns", "--mesh", name, "--interface", "127.0.0.1")


def test_nodes_find_each_other_and_take_leave(start: StartNode, mesh: tuple[str, ...]) -> None:
    a, b = start("a", *mesh), start("b", *mesh)
    becomes(lambda: any(p["state"] == "connected" for p in b.status()["peers"]))
    (peer,) = a.status()["peers"]
    assert (peer["node_id"], peer["state"]) == (b.node_id, "connected")
    assert b.stop() == 0
    becomes(lambda: "peer.gone" in a.log())
    assert a.stop() == 0


def test_a_copied_folder_is_noticed(
    start: StartNode, mesh: tuple[str, ...], tmp_path: Path
) -> None:
    original = start("original", *mesh)
    original.kill()
    shutil.copytree(original.data_dir, tmp_path / "copy" / "data", ignore=_sockets)
    original, copy = start("original", *mesh), start("copy", *mesh)
    assert original.node_id == copy.node_id
    becomes(lambda: warns_of_a_clone(original))
    becomes(lambda: warns_of_a_clone(copy))


def warns_of_a_clone(node: RunningNode) -> bool:
    return any("announces this node's id" in warning for warning in node.status()["warnings"])


def _sockets(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if (Path(folder) / name).is_socket()]
