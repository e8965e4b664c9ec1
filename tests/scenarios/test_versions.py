"""A node of the version before, as it was released, in one mesh with nodes of this one.

`releases/` holds its wheel, which Python runs as it is. It is exchanged with each release.
"""

from __future__ import annotations

import base64
import json
import os
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from meshbox.node.release import VERSION
from scripts.demo_steps.waiting import until
from tests.node.conftest import StartNode
from tests.node.processes import RunningNode

(WHEEL,) = (Path(__file__).parent / "releases").glob("*.whl")
FORMER = WHEEL.name.split("-")[1]
AS_FORMER = {"PYTHONPATH": str(WHEEL), "PYTHONSAFEPATH": "1"}
EQUAL_S_MAX = 30.0
LARGE = os.urandom(3_000_000)

pytestmark = pytest.mark.timeout(180)


def deposit(node: RunningNode, topic: str, *blobs: bytes) -> None:
    log = {str(seq): base64.b64encode(blob).decode() for seq, blob in enumerate(blobs)}
    body = json.dumps({"blips": {topic: {"author": log}}}).encode()
    request = urllib.request.Request(
        node.url() + "/blips/store", body, {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 201


def held(node: RunningNode) -> tuple[int, str]:
    """How many blobs, and the digest of all of them."""
    inventory: dict[str, Any] = node.document("inventory")
    return inventory["blobs"], inventory["digest"]


def all_hold(count: int, *nodes: RunningNode) -> None:
    def are_equal() -> bool:
        found = {held(node) for node in nodes}
        return len(found) == 1 and found.pop()[0] == count

    assert until(are_equal, seconds=EQUAL_S_MAX, pause_s=0.2)
    for node in nodes:
        assert "peer.bug" not in node.log()
        assert "node.defect" not in node.log()
        assert not any(peer["misbehaved"] for peer in node.status()["peers"])


def test_a_node_of_the_version_before_carries_between_two_of_this(start: StartNode) -> None:
    assert tuple(map(int, FORMER.split("."))) < tuple(map(int, VERSION.split(".")))
    former = start("former", environment=AS_FORMER)
    assert former.ready["version"] == FORMER
    deposit(former, "before", b"one", b"two")
    a = start("a", "--peer", former.peer_address)
    assert a.ready["version"] == VERSION
    deposit(a, "strangers", b"three", LARGE)
    b = start("b", "--peer", former.peer_address)
    all_hold(4, a, former, b)
    deposit(b, "live", b"five")
    all_hold(5, a, former, b)
    former.kill()
    deposit(a, "late", b"six", LARGE)
    again = start("former", "--sync", former.ready["sync"], environment=AS_FORMER)
    all_hold(7, a, again, b)


def test_a_folder_of_the_version_before_is_carried_on(start: StartNode) -> None:
    former = start("node", environment=AS_FORMER)
    deposit(former, "topic", b"one", b"two", LARGE)
    before = held(former)
    assert former.stop() == 0
    node = start("node")
    assert (node.node_id, node.ready["version"]) == (former.node_id, VERSION)
    assert held(node) == before
    deposit(node, "topic", b"one", b"two", LARGE, b"three")
    assert held(node)[0] == 4
