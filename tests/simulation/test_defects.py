"""The harness is proven: every planted defect breaks a promise within a bounded number of seeds."""

from __future__ import annotations

import pytest

from tests.simulation.defects import DEFECTS
from tests.simulation.drawing import draw
from tests.simulation.planting import Defect, planted
from tests.simulation.playing import play

SEEDS_MAX = 150


def named(defect: Defect) -> str:
    return defect.name


@pytest.mark.parametrize("defect", DEFECTS, ids=named)
def test_a_planted_defect_is_found(defect: Defect) -> None:
    with planted(defect):
        assert any(play(draw(seed)).broken for seed in range(SEEDS_MAX))


def test_there_are_many() -> None:
    assert len({defect.name for defect in DEFECTS}) == len(DEFECTS) >= 16
