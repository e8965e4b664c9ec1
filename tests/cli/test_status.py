"""`meshbox status` for programs and for people."""

from __future__ import annotations

from meshbox.cli.status import _lines
from tests.node.processes import RunningNode


def test_for_programs(node: RunningNode) -> None:
    document = node.document("status")
    assert document["schema"] == "meshbox.status/1"
    assert document["peers"] == []
    assert node.document("status")["uptime_ms"] >= document["uptime_ms"] > 0


def test_for_people(node: RunningNode) -> None:
    finished = node.command("status")
    rows = {line.split()[0]: line for line in finished.out.splitlines()}
    assert node.node_id in rows["node"]
    assert rows["version"].endswith(" ago")
    assert rows["messages"].endswith("0 in 0 logs")
    assert rows["storage"].endswith("of no limit")


def test_a_mailbox_that_another_process_has_is_told_so(node: RunningNode) -> None:
    standby = {"url": "https://mailbox.example", "state": "standby"}
    rows = _lines({**node.document("status"), "internet": [standby]})
    (told,) = (row for row in rows if row.startswith("internet mailbox"))
    assert told.endswith("https://mailbox.example  standby: another process of this mailbox has it")
