"""The table as a whole: its overview is current, and it is as wide as the API."""

from __future__ import annotations

from tests.interop.flaws import Flaw
from tests.interop.row import Ask, Part
from tests.interop.table import BY_ID, OVERVIEW, ROUTES, ROWS, overview


def test_the_overview_is_current() -> None:
    assert OVERVIEW.read_text(encoding="utf-8") == overview(), "run python -m tests.interop.table"


def test_ids_are_unique() -> None:
    assert len(BY_ID) == len(ROWS)


def test_every_route_of_every_generation_has_rows() -> None:
    asked = {step.request.path for row in ROWS for step in row.steps if isinstance(step, Ask)}
    assert asked >= ROUTES
    assert {row.part for row in ROWS} == set(Part) - {Part.DOLLOPS}


def test_every_difference_says_why() -> None:
    assert [row.id for row in ROWS if row.differs and len(row.differs.why) < 20] == []


def test_every_flaw_names_a_row() -> None:
    assert [flaw.name for flaw in Flaw if flaw.caught_by not in BY_ID] == []
