"""Every row of the table against the server at MAILBOX_URL, or a node of ours (see table.py)."""

from __future__ import annotations

import os

import pytest

from tests.interop.playing import Server, play, playable
from tests.interop.row import Kind, Part, Power, Row
from tests.interop.table import PARTS_OF_KIND, ROWS

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
