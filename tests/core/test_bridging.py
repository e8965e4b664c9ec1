"""A node and a mailbox server get what the other has, for any history of both; nothing loops."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core import bridging
from meshbox.core.bridging import (
    UNKNOWN,
    Answer,
    FarLog,
    bridged,
    brought,
    exchange,
    height_of,
    is_bridged,
    kept,
    needs_memory,
)
from meshbox.core.ids import ORIGIN_TAG_BYTES, Origin
from meshbox.core.limits import HEIGHT_LEAP, MISSING_MAX, REMEMBERED_RANGES_MAX
from meshbox.core.ranges import EMPTY, SeqRanges

LEAP = 6
"""In place of `HEIGHT_LEAP`, so that small logs meet it."""
ROUNDS_MAX = 40

seqs = st.sets(st.integers(0, 30), max_size=20)


def ranges(numbers: set[int]) -> SeqRanges:
    return SeqRanges((number, number + 1) for number in numbers)


@dataclass
class Server:
    """One log at a server of the apps' own kind."""

    held: set[int]
    seen: set[int]
    longest_list: int = 0

    @property
    def watermark(self) -> int:
        return next(number for number in range(100) if number not in self.seen) - 1

    def get(self, height: int | None) -> Answer:
        if height is None:
            return Answer(None, ranges(self.held), EMPTY)
        listed = range(self.watermark + 1, height + 1)
        self.longest_list = max(self.longest_list, len(listed))
        missing = {number for number in listed if number not in self.held}
        return Answer(height, ranges({n for n in self.held if n > height}), ranges(missing))


@dataclass
class Node:
    """The same log here."""

    held: set[int]
    seen: set[int]
    far: FarLog = UNKNOWN
    stores: int = 0
    asked: list[int | None] = field(default_factory=list)

    def round(self, server: Server) -> None:
        seen, held = ranges(self.seen), ranges(self.held)
        height = height_of(seen, self.far)
        answer = server.get(height)
        self.asked.append(height)
        follows = exchange(seen=seen, held=held, far=self.far, answer=answer)
        new = set(answer.got.numbers()) - self.seen
        self.held |= new
        self.seen |= new
        self.far = kept(follows.far)
        bring = set(follows.bring.numbers())
        if bring:
            assert bring <= self.held
            self.stores += 1
            server.held |= bring
            server.seen |= bring
            self.far = brought(self.far, ranges(bring), taken=True)


@given(seqs, seqs, seqs, seqs)
def test_both_get_what_the_other_has_and_then_leave_each_other_in_peace(
    here: set[int], expired_here: set[int], there: set[int], expired_there: set[int]
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bridging, "HEIGHT_LEAP", LEAP)
        node = Node(set(here), here | expired_here)
        server = Server(set(there), there | expired_there)
        lacked_there = {n for n in here if n not in server.seen}
        for _ in range(ROUNDS_MAX):
            node.round(server)
        assert there <= node.seen
        assert lacked_there <= server.seen
        assert server.longest_list <= LEAP
        stores, asked = node.stores, node.asked[-1]
        for _ in range(10):
            node.round(server)
        assert node.stores == stores
        assert set(node.asked[-10:]) == {asked}


@given(seqs, seqs)
def test_what_was_brought_is_never_brought_again(here: set[int], lost: set[int]) -> None:
    node, server = Node(set(here), set(here)), Server(set(), set())
    for _ in range(ROUNDS_MAX):
        node.round(server)
    stores = node.stores
    server.held -= lost
    server.seen -= lost
    for _ in range(ROUNDS_MAX):
        node.round(server)
    assert node.stores == stores


def test_a_hole_is_asked_for_once_and_then_the_highest_again() -> None:
    node, server = Node({5}, {5}), Server({0, 1, 6}, {0, 1, 2, 3, 4, 5, 6})
    for _ in range(5):
        node.round(server)
    assert node.asked == [5, None, 6, 6, 6]
    assert node.held == {0, 1, 5, 6}


def test_what_a_server_gets_later_below_the_height_is_asked_for() -> None:
    node, server = Node({0, 1, 5}, {0, 1, 5}), Server({0, 1}, {0, 1})
    for _ in range(3):
        node.round(server)
    server.held |= {3}
    server.seen |= {3}
    for _ in range(3):
        node.round(server)
    assert 3 in node.held
    assert node.asked == [5, 5, 5, 5, 2, 5]


def test_a_height_that_a_stranger_made_is_not_told() -> None:
    stranger = SeqRanges([(0, 3), (2**64 - 1, 2**64)])
    assert height_of(stranger, UNKNOWN) == HEIGHT_LEAP - 1
    assert height_of(stranger, FarLog(SeqRanges.of(0, 3))) == 2 + HEIGHT_LEAP


def test_what_could_not_be_kept_is_not_asked_for_again() -> None:
    far = FarLog(SeqRanges.of(0, 9))
    assert height_of(SeqRanges.of(0, 3), far) == 2
    assert height_of(SeqRanges.of(0, 3), far, passed=8) == 8
    assert height_of(EMPTY, UNKNOWN, passed=8) == 8
    assert height_of(EMPTY, UNKNOWN) is None


def test_a_page_says_nothing_of_what_comes_after_it() -> None:
    far = FarLog(SeqRanges.of(0, 10))
    page = Answer(None, SeqRanges.of(0, 4), EMPTY, is_whole=False)
    follows = exchange(seen=EMPTY, held=EMPTY, far=far, answer=page)
    assert follows.far.gone == EMPTY
    assert follows.asks_again
    last = Answer(3, SeqRanges.of(4, 8), EMPTY)
    follows = exchange(seen=SeqRanges.of(0, 4), held=EMPTY, far=far, answer=last)
    assert follows.far.gone == SeqRanges.of(8, 10)
    assert not follows.asks_again


def test_a_list_that_was_cut_says_nothing_of_what_comes_after_it() -> None:
    missing = SeqRanges.of(0, HEIGHT_LEAP)
    answer = Answer(3 * HEIGHT_LEAP, EMPTY, missing)
    follows = exchange(seen=EMPTY, held=EMPTY, far=UNKNOWN, answer=answer)
    assert follows.far.there == EMPTY


@given(st.sets(st.integers(0, 2**64 - 1), max_size=300))
def test_what_is_remembered_is_bounded(numbers: set[int]) -> None:
    far = kept(FarLog(ranges(numbers), EMPTY, ranges(numbers)))
    for remembered in far:
        assert len(remembered) <= REMEMBERED_RANGES_MAX
        assert remembered - ranges(numbers) == EMPTY
    assert far.there.highest == ranges(numbers).highest
    assert far.there.lowest == ranges(numbers).lowest


def test_the_height_of_a_log_without_holes_needs_no_memory() -> None:
    assert not needs_memory(EMPTY)
    assert not needs_memory(SeqRanges.of(0, HEIGHT_LEAP))
    assert needs_memory(SeqRanges.of(0, HEIGHT_LEAP + 1))
    assert needs_memory(SeqRanges.of(1, 3))


def test_what_came_from_a_server_is_known_by_its_origin() -> None:
    assert is_bridged(bridged("https://a.example"))
    assert bridged("https://a.example") != bridged("https://b.example")
    assert not is_bridged(Origin(b"n" * 32, bridged("https://a.example").tag))
    assert len(bridged("https://a.example").tag) == ORIGIN_TAG_BYTES


def test_what_was_passed_hides_nothing_above_it() -> None:
    far = FarLog(SeqRanges.single(9))
    assert height_of(SeqRanges.single(20), far, passed=8) == 8
    assert height_of(SeqRanges.single(20), far, passed=9) == 20


def test_what_was_taken_is_there_and_what_is_not_to_be_brought_is_only_done_with() -> None:
    far = FarLog(SeqRanges.single(0), EMPTY, SeqRanges.single(1))
    both = ranges({1, 5})
    assert brought(far, SeqRanges.single(5), taken=True) == FarLog(ranges({0, 5}), EMPTY, both)
    assert brought(far, SeqRanges.single(5), taken=False) == FarLog(ranges({0}), EMPTY, both)


def gone_after(answer: Answer) -> SeqRanges:
    """What a server that had 0 … 9 gives out no more, of which nothing was seen here."""
    far = FarLog(SeqRanges.of(0, 10))
    return exchange(seen=EMPTY, held=EMPTY, far=far, answer=answer).far.gone


def test_what_is_above_the_height_and_does_not_come_is_gone() -> None:
    assert gone_after(Answer(3, ranges({5, 6, 9}), EMPTY)) == ranges({4, 7, 8})


def test_what_a_page_leaves_out_is_gone() -> None:
    assert gone_after(Answer(None, ranges({0, 1, 3}), EMPTY, is_whole=False)) == ranges({2})
    assert gone_after(Answer(None, EMPTY, EMPTY, is_whole=False)) == EMPTY


def known_after(height: int, missing: SeqRanges) -> SeqRanges:
    """What a server is known to have that named `missing` up to `height`."""
    answer = Answer(height, EMPTY, missing)
    return exchange(seen=EMPTY, held=EMPTY, far=UNKNOWN, answer=answer).far.there


def test_what_a_list_does_not_name_is_there_as_far_as_it_can_go() -> None:
    missing = ranges({2, 5})
    full = 2 + MISSING_MAX
    assert known_after(full - 1, missing) == SeqRanges.of(0, full) - missing
    assert known_after(full, missing) == ranges({0, 1, 3, 4})


def test_below_the_height_only_what_was_named_is_brought() -> None:
    cut = SeqRanges.of(0, MISSING_MAX)
    height = 2 * MISSING_MAX
    held = ranges({height - 1, height, height + 1})
    answer = Answer(height, EMPTY, cut)
    assert exchange(seen=held, held=held, far=UNKNOWN, answer=answer).bring == ranges({height + 1})


def test_of_too_many_ranges_the_lowest_and_the_highest_are_remembered() -> None:
    many = ranges({2 * number for number in range(REMEMBERED_RANGES_MAX + 5)})
    pairs = kept(FarLog(many)).there.pairs
    assert pairs == (many.pairs[0], *many.pairs[-(REMEMBERED_RANGES_MAX - 1) :])
