"""`meshbox peers` for programs and for people."""

from __future__ import annotations

from pathlib import Path

from tests.node.processes import RunningNode, start_node

# An address of which nobody answers: a node id, and a port that nobody has.
ABSENT = f"meshbox://{'A' * 43}@127.0.0.1:9"


def test_without_peers(node: RunningNode) -> None:
    assert node.document("peers") == {
        "schema": "meshbox.peers/1",
        "node_id": node.node_id,
        "peers": [],
    }
    assert node.command("peers").out == "no peers known\n"


def test_a_peer_that_is_not_there(tmp_path: Path) -> None:
    node = start_node(tmp_path, "--peer", ABSENT)
    try:
        (peer,) = node.document("peers")["peers"]
        assert (peer["node_id"], peer["address"]) == ("A" * 43, "127.0.0.1:9")
        assert peer["state"] in ("connecting", "waiting")
        headings, row = node.command("peers").out.splitlines()
        assert headings.split()[:3] == ["NODE", "ADDRESS", "STATE"]
        assert row.split()[:2] == ["A" * 43, "127.0.0.1:9"]
    finally:
        assert node.stop() == 0
