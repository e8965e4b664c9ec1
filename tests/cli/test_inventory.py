"""`meshbox inventory` for programs and for people."""

from __future__ import annotations

import base64
import json
import urllib.request

from meshbox.cli.inventory import _ranges
from tests.node.processes import RunningNode


def deposit(node: RunningNode) -> None:
    data = base64.b64encode(b"hello").decode()
    body = {"blobs": {"topic": {"author": {"0": data, "2": data}}}}
    request = urllib.request.Request(
        f"{node.url()}/blobs/store",
        json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        assert response.status == 201


def test_what_is_held(node: RunningNode) -> None:
    deposit(node)
    document = node.document("inventory")
    assert (document["logs"], document["blobs"], document["bytes"]) == (1, 2, 10)
    rows = dict(line.split(maxsplit=1) for line in node.command("inventory").out.splitlines())
    assert rows == {"logs": "1", "blobs": "2", "bytes": "10 B", "digest": document["digest"]}


def test_one_topic(node: RunningNode) -> None:
    deposit(node)
    document = node.document("inventory", "--topic", "topic")
    assert document["schema"] == "meshbox.inventory.topic/1"
    (log,) = document["logs"]
    assert (log["held"], log["told"], log["watermark"]) == ([[0, 0], [2, 2]], [[1, 1]], 0)
    headings, row = node.command("inventory", "--topic", "topic").out.splitlines()
    assert headings.startswith("AUTHOR")
    assert row.split()[:5] == ["author", "0,2", "-", "-", "1"]
    assert "nothing is known" in node.command("inventory", "--topic", "none").out


def test_many_ranges_are_cut_short() -> None:
    assert _ranges([[n, n + 1] for n in range(0, 30, 3)]).endswith(",21-22,and 2 more")
    assert _ranges([]) == "-"
