"""Every row of the table against the server at MAILBOX_URL, or a node of ours (see table.py)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.interop.playing import LiveServer, Server, play, playable
from tests.interop.row import Kind, Part, Power, Row
from tests.interop.table import PARTS_OF_KIND, ROWS
from tests.node.processes import start_node

KIND = Kind(os.environ.get("MAILBOX_KIND", "meshbox"))
PARTS = (
    frozenset(map(Part, os.environ["MAILBOX_PARTS"].split(",")))
    if "MAILBOX_PARTS" in os.environ
    else PARTS_OF_KIND[KIND]
)
POWERS: frozenset[Power] = frozenset() if os.environ.get("MAILBOX_URL") else frozenset(Power)


@pytest.mark.parametrize(
    "row",
    playable(ROWS, kind=KIND, parts=PARTS, powers=POWERS),
    ids=lambda row: row.id,
)
def test_row(row: Row, server: Server) -> None:
    play(row, server, KIND)


@pytest.mark.skipif("MAILBOX_URL" in os.environ, reason="that server was asked as its URL says")
def test_https_is_the_same_api(tmp_path: Path) -> None:
    """All rows of the newest generation; the other routes go through the same listener."""
    node = start_node(tmp_path, "--http", "off")
    try:
        server = LiveServer(node.url("https"))
        parts = frozenset({Part.HEALTH, Part.IDENTITY, Part.BLIPS})
        for row in playable(ROWS, kind=Kind.MESHBOX, parts=parts, powers=frozenset()):
            if ".size." not in row.id:
                play(row, server, Kind.MESHBOX)
    finally:
        node.kill()
