"""The server of these tests is the apps' own by every row of the conformance table about it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interop.playing import play, playable
from tests.interop.row import Kind, Part, Power, Row
from tests.interop.table import ROWS
from tests.sync.bridge.quirky_server import QuirkyServer

PARTS = {
    "blobs": frozenset({Part.HEALTH, Part.BLOBS}),
    "blips": frozenset({Part.BLIPS}),
}
PLAYED = [
    (generation, row)
    for generation, parts in PARTS.items()
    for row in playable(ROWS, kind=Kind.UPSTREAM, parts=parts, powers=frozenset(Power))
    if ".size." not in row.id  # 64 MiB each.
]


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, QuirkyServer]]:
    with (
        QuirkyServer(generations=("blobs",)) as old,
        QuirkyServer(generations=("blobs", "blips")) as new,
    ):
        yield {"blobs": old, "blips": new}


@pytest.mark.parametrize(("generation", "row"), PLAYED, ids=lambda each: getattr(each, "id", each))
def test_row(generation: str, row: Row, servers: dict[str, QuirkyServer]) -> None:
    play(row, servers[generation], Kind.UPSTREAM)
