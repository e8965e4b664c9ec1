"""`meshbox sweep` for programs and for people; that it drops what is due is in tests/node."""

from __future__ import annotations

from tests.node.processes import RunningNode


def test_nothing_is_due(node: RunningNode) -> None:
    assert node.document("sweep") == {
        "schema": "meshbox.sweep/1",
        "blobs": 0,
        "bytes": 0,
        "forgotten_logs": 0,
    }
    assert node.command("sweep").out == "0 messages dropped, 0 B\n"
