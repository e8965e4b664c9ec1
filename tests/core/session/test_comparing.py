"""Strangers: who asks for what, and when. What comes of it, whole sessions show (test_session)."""

from __future__ import annotations

import pytest

from meshbox.core.errors import FrameUnexpected
from meshbox.core.ids import LogKey
from meshbox.core.limits import SKETCH_SYMBOLS_MAX
from meshbox.core.reconcile import SYMBOL_BYTES, Digest
from meshbox.core.session.comparing import LIST_ALL, SYMBOLS_FIRST, Comparison, Found, Sketcher
from meshbox.core.session.effects import (
    Compared,
    CompareSketch,
    MakeSketch,
    PrepareComparison,
    Send,
    SketchMade,
)
from meshbox.core.session.frames import AskSketch, Difference, Sketch

KEY = b"k" * 16


def test_what_is_held_here_is_looked_at_while_the_peer_looks_at_its_own() -> None:
    asked, prepared = Comparison(KEY).start()
    assert isinstance(asked, Send)
    assert asked.frame == AskSketch(SYMBOLS_FIRST)
    assert isinstance(prepared, PrepareComparison)
    assert prepared.key == KEY


def test_it_begins_once_whoever_wishes_it() -> None:
    comparison = Comparison(KEY)
    assert len(comparison.difference_asked()) == 2
    assert comparison.start() == []
    with pytest.raises(FrameUnexpected):
        comparison.difference_asked()


def symbols(first: int, end: int) -> bytes:
    """Of a sketch; each has its number in it."""
    return b"".join(number.to_bytes(SYMBOL_BYTES) for number in range(first, end))


def asked_for(*, ours: int, theirs: int) -> list[int]:
    """The symbols that are asked for, in all, of a peer with `theirs` elements, when they never
    suffice."""
    comparison, digest = Comparison(KEY), Digest(7, theirs)
    asked = [SYMBOLS_FIRST]
    comparison.start()
    while comparison.found is None:
        assert len(asked) < 50, "it asks for ever"
        first = asked[-2] if len(asked) > 1 else 0
        sketch = Sketch(digest, first, symbols(first, asked[-1]))
        (compare,) = comparison.sketched(sketch)
        assert isinstance(compare, CompareSketch)
        assert (compare.key, compare.digest) == (KEY, digest)
        assert compare.symbols == symbols(0, asked[-1])
        for effect in comparison.compared(Compared(None, (), ours, b"c")):
            assert isinstance(effect, Send)
            assert isinstance(effect.frame, AskSketch)
            asked.append(effect.frame.symbols)
    assert comparison.found == LIST_ALL
    return asked


def test_symbols_are_doubled_and_then_grow_by_a_fifth_up_to_the_bound() -> None:
    asked = asked_for(ours=10**6, theirs=10**6)
    assert asked[:9] == [16, 44, 88, 176, 352, 704, 1_408, 1_689, 2_026]
    assert asked[-1] <= SKETCH_SYMBOLS_MAX < asked[-1] * 6 // 5


def test_no_more_symbols_are_asked_for_than_a_listing_costs() -> None:
    assert asked_for(ours=11, theirs=3) == asked_for(ours=3, theirs=11) == [16, 44, 88]
    assert asked_for(ours=10, theirs=10) == [16, 44]


def test_what_must_differ_is_allowed_for_at_once() -> None:
    assert asked_for(ours=1_000, theirs=200)[:2] == [16, 1_200]
    assert asked_for(ours=200, theirs=1_000)[:2] == [16, 1_200]


def compared(comparison: Comparison, result: Compared | None) -> None:
    comparison.start()
    comparison.sketched(Sketch(Digest(7, 5), 0, symbols(0, SYMBOLS_FIRST)))
    assert comparison.compared(result) == []


def test_what_was_found_is_told_to_who_asked_and_once() -> None:
    comparison = Comparison(KEY)
    assert comparison.tell() == []
    comparison.difference_asked()
    assert comparison.tell() == [], "it is not known yet"
    logs = (LogKey(b"l" * 16),)
    compared(comparison, Compared(logs, (3, 4), 9, b"c"))
    assert comparison.found == Found(logs, b"c", (3, 4))
    assert comparison.tell() == [Send(Difference((3, 4)))]
    assert comparison.tell() == []
    unasked = Comparison(KEY)
    compared(unasked, Compared(logs, (3, 4), 9, b"c"))
    assert unasked.tell() == []


def test_what_is_not_to_be_compared_is_listed() -> None:
    comparison = Comparison(KEY)
    compared(comparison, None)
    assert comparison.found == LIST_ALL


@pytest.mark.parametrize(
    "sketch",
    [
        Sketch(Digest(7, 5), 1, symbols(0, 16)),
        Sketch(Digest(7, 5), 0, symbols(0, 15)),
        Sketch(Digest(7, 5), 0, b""),
    ],
)
def test_other_symbols_than_those_asked_for_are_refused(sketch: Sketch) -> None:
    comparison = Comparison(KEY)
    for early in (symbols(0, 16), b""):
        with pytest.raises(FrameUnexpected):
            comparison.sketched(sketch._replace(first=0, symbols=early))
    comparison.start()
    with pytest.raises(FrameUnexpected):
        comparison.sketched(sketch)


def test_a_sketch_of_something_else_or_after_all_is_known_is_refused() -> None:
    comparison = Comparison(KEY)
    compared(comparison, Compared((), (), 9, b"c"))
    with pytest.raises(FrameUnexpected):
        comparison.sketched(Sketch(Digest(7, 5), 0, symbols(0, SYMBOLS_FIRST)))
    changing = Comparison(KEY)
    changing.start()
    changing.sketched(Sketch(Digest(7, 5), 0, symbols(0, 16)))
    changing.compared(Compared(None, (), 20, b"c"))
    with pytest.raises(FrameUnexpected, match="changed"):
        changing.sketched(Sketch(Digest(8, 5), 16, symbols(16, 44)))


def test_a_sketch_is_told_as_it_is_asked_for_and_no_further() -> None:
    sketcher, digest = Sketcher(KEY), Digest(7, 5)
    for first, end in ((0, 16), (16, 44), (44, SKETCH_SYMBOLS_MAX)):
        (making,) = sketcher.asked(AskSketch(end))
        assert isinstance(making, MakeSketch)
        assert (making.key, making.first, making.end) == (KEY, first, end)
        for early in (end, end + 1):
            with pytest.raises(FrameUnexpected):
                sketcher.asked(AskSketch(early))
        told = sketcher.made(SketchMade(digest, symbols(first, end)))
        assert told == [Send(Sketch(digest, first, symbols(first, end)))]
        for wrong in (end, end - 1, SKETCH_SYMBOLS_MAX + 1):
            with pytest.raises(FrameUnexpected):
                sketcher.asked(AskSketch(wrong))
