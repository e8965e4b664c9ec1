"""The table is no copy of our answers: another server passes it, and none that errs does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interop.flaws import UPSTREAM_WAYS, Flaw
from tests.interop.playing import RowFailed, new_scene, play, playable
from tests.interop.reference_server import ReferenceServer
from tests.interop.row import Answer, Ask, Kind, Part, Power, Row
from tests.interop.table import BY_ID, PARTS_OF_KIND, ROWS

ALL = frozenset(Power)


@pytest.fixture(scope="module")
def reference() -> Iterator[ReferenceServer]:
    with ReferenceServer() as server:
        yield server


@pytest.fixture(scope="module")
def upstream() -> Iterator[ReferenceServer]:
    with ReferenceServer(UPSTREAM_WAYS) as server:
        yield server


@pytest.mark.parametrize(
    "row",
    playable(ROWS, kind=Kind.MESHBOX, parts=PARTS_OF_KIND[Kind.MESHBOX], powers=ALL),
    ids=lambda row: row.id,
)
def test_a_server_written_from_the_facts_passes(row: Row, reference: ReferenceServer) -> None:
    play(row, reference, Kind.MESHBOX)


@pytest.mark.parametrize(
    "row",
    playable(ROWS, kind=Kind.UPSTREAM, parts=frozenset(Part) - {Part.DOLLOPS}, powers=ALL),
    ids=lambda row: row.id,
)
def test_their_answers_pass_where_we_differ(row: Row, upstream: ReferenceServer) -> None:
    play(row, upstream, Kind.UPSTREAM)


@pytest.mark.parametrize("planted", Flaw, ids=lambda planted: planted.name)
def test_a_planted_deviation_fails_its_row(planted: Flaw) -> None:
    with ReferenceServer(frozenset({planted})) as server, pytest.raises(RowFailed):
        play(BY_ID[planted.caught_by], server, Kind.MESHBOX)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_no_row_takes_any_answer(row: Row) -> None:
    """Every row has a step that an answer without sense fails."""
    nonsense = Answer(418, (("content-type", "x"),), b"?")
    steps = [step for step in row.steps if isinstance(step, Ask)]
    assert all(any(check.fault(nonsense, new_scene()) for check in step.checks) for step in steps)
