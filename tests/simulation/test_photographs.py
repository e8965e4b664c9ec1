"""Photographs whose way is cut again and again: they arrive, and no part goes many times."""

from __future__ import annotations

import pytest

from meshbox.core.ids import BlobClass
from meshbox.core.ranges import SeqRanges
from tests.simulation.links import Cuts
from tests.simulation.playing import play
from tests.simulation.schedule import Event, Schedule
from tests.simulation.small import SMALL
from tests.simulation.traffic import Deposits

PARTS = 50
CUTS = 12
FRAMES_A_SESSION = 24
"""Some ten of hello, proof, cursors and offers, then parts and credit, until the cut."""


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("holders", [1, 2])
def test_a_photograph_goes_on_after_each_cut(seed: int, holders: int) -> None:
    photo = PARTS * int(str(SMALL["FRAME_BYTES_MAX"]))
    deposits: list[Event] = [
        Deposits(1.0, node, 0, SeqRanges.of(0, 1), BlobClass.OPAQUE, 0, photo)
        for node in range(holders)
    ]
    links = tuple((holders, node) for node in range(holders))
    cuts = [
        Cuts(0.9 + at / 4, link, FRAMES_A_SESSION + seed) for at in range(CUTS) for link in links
    ]
    events = sorted((*deposits, *cuts), key=lambda event: event.at_s)
    report = play(Schedule(seed, holders + 1, links, tuple(events)))
    assert not report.broken
    assert report.frames < PARTS + 95  # 108 to 142; 150 to 446 when each session begins anew.


def test_more_photographs_than_there_is_memory_for_come_one_after_the_other() -> None:
    photo = PARTS * int(str(SMALL["FRAME_BYTES_MAX"]))
    holders = 4
    assert photo < int(str(SMALL["PARTS_BYTES_MAX"])) < 2 * photo
    deposits = tuple(
        Deposits(1.0, node, node, SeqRanges.of(0, 1), BlobClass.OPAQUE, 0, photo)
        for node in range(holders)
    )
    links = tuple((holders, node) for node in range(holders))
    report = play(Schedule(0, holders + 1, links, deposits))
    assert not report.broken
    assert report.blobs == holders * (holders + 1)
