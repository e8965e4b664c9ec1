"""The harness is proven: every planted defect breaks a promise within a bounded number of seeds.

Each takes one rule from the product, and the simulation must notice. What notices is not said
here: whatever promise is broken first. A defect that is no longer found means that a check, or a
kind of fault, went missing.
"""

from __future__ import annotations

from typing import Final

import pytest

from tests.simulation.defects.ages import AGES
from tests.simulation.defects.durability import DURABILITY
from tests.simulation.defects.logs import LOGS
from tests.simulation.defects.room import ROOM
from tests.simulation.defects.settling import SETTLING
from tests.simulation.drawing import draw
from tests.simulation.planting import Defect, planted
from tests.simulation.playing import play

DEFECTS: Final = (*DURABILITY, *SETTLING, *LOGS, *AGES, *ROOM)
SEEDS_MAX: Final = 300
MISFITS: Final = ("TypeError", "AttributeError", "NameError")
"""What a defect meets that does not fit the product any more: no find."""


def named(defect: Defect) -> str:
    return defect.name


@pytest.mark.parametrize("defect", DEFECTS, ids=named)
def test_a_planted_defect_is_found(defect: Defect) -> None:
    drawn = map(draw, range(SEEDS_MAX))
    apt = (schedule for schedule in drawn if schedule.limits_room or defect not in ROOM)
    with planted(defect):
        broken = next(filter(None, (play(schedule).broken for schedule in apt)), ())
    assert broken
    assert not [promise for promise in broken for misfit in MISFITS if misfit in promise]


def test_there_are_many() -> None:
    assert len({defect.name for defect in DEFECTS}) == len(DEFECTS) >= 16
