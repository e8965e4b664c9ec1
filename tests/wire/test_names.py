"""A name is said in full once, and both sides agree on what stands for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.errors import FrameMalformed
from meshbox.core.limits import NAMES_MAX
from meshbox.wire.names import IN_FULL, NameRing


def told(writer: NameRing[int], reader: NameRing[int], name: int) -> int:
    """What the reader takes for `name`."""
    known = writer.say(name)
    if known != IN_FULL:
        return reader.hear(known)
    reader.remember(name)
    return name


@given(st.lists(st.integers(0, NAMES_MAX + 5), max_size=30))
def test_both_sides_agree(names: list[int]) -> None:
    writer: NameRing[int] = NameRing()
    reader: NameRing[int] = NameRing()
    for name in range(NAMES_MAX - 10):
        told(writer, reader, name)
    assert [told(writer, reader, name) for name in names] == names


def test_the_oldest_name_gives_its_slot_to_a_newcomer() -> None:
    ring: NameRing[int] = NameRing()
    assert {ring.say(name) for name in range(NAMES_MAX)} == {IN_FULL}
    assert ring.say(0) == 1
    assert ring.say(NAMES_MAX) == IN_FULL
    assert ring.say(NAMES_MAX) == 1
    assert ring.say(0) == IN_FULL


def test_a_name_said_twice_in_full_by_a_stranger_is_one_of_its_own() -> None:
    ring: NameRing[int] = NameRing()
    for _ in range(NAMES_MAX + 3):
        ring.remember(7)
    assert ring.hear(NAMES_MAX) == 7


def test_a_slot_that_nobody_took_is_no_name() -> None:
    ring: NameRing[int] = NameRing()
    ring.remember(7)
    with pytest.raises(FrameMalformed):
        ring.hear(2)
