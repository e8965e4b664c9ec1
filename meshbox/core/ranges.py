"""`SeqRanges`: an immutable, sorted set of sequence numbers, kept as half-open ranges.

Invariants: every range `(first, end)` has `0 <= first < end <= 2**64`; ranges ascend and neither
overlap nor touch. Every operation costs O(ranges), never O(numbers): a stranger may send the
range 0 … 2^64 and costs us one pair (design.md 4.1).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import pairwise

SEQ_END = 2**64
"""One past the highest sequence number: the greatest `end` that a range may have."""

Pair = tuple[int, int]


class SeqRanges:
    """A set of sequence numbers. Values: equal by content, hashable, never changed."""

    __slots__ = ("_pairs",)

    _pairs: tuple[Pair, ...]

    def __init__(self, pairs: Iterable[Pair] = ()) -> None:
        """The union of `pairs`, half-open, in any order; `ValueError` for one out of bounds."""
        self._pairs = _normalised(pairs)

    @classmethod
    def of(cls, first: int, end: int) -> SeqRanges:
        """first … end-1; the empty set when `end <= first`."""
        if first >= end:
            return EMPTY
        if not 0 <= first < end <= SEQ_END:
            raise ValueError(f"not a range of sequence numbers: [{first}, {end})")
        return cls._trusted(((first, end),))

    @classmethod
    def single(cls, seq: int) -> SeqRanges:
        """The set of one number."""
        return cls(((seq, seq + 1),))

    @classmethod
    def ascending(cls, pairs: Iterable[Pair]) -> SeqRanges:
        """The union of `pairs` that are in bounds, ascend and do not overlap; they may touch."""
        return cls._trusted(_merged(pairs))

    @classmethod
    def _trusted(cls, pairs: Iterable[Pair]) -> SeqRanges:
        """Pairs that already hold the invariants, taken as they are."""
        ranges = object.__new__(cls)
        ranges._pairs = tuple(pairs)
        return ranges

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The half-open ranges, ascending."""
        return self._pairs

    def __iter__(self) -> Iterator[Pair]:
        return iter(self._pairs)

    def __len__(self) -> int:
        """How many ranges, not how many numbers (that is `count`)."""
        return len(self._pairs)

    def __bool__(self) -> bool:
        return bool(self._pairs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SeqRanges) and self._pairs == other._pairs

    def __hash__(self) -> int:
        return hash(self._pairs)

    def __repr__(self) -> str:
        return "SeqRanges(" + ", ".join(f"{first}…{end - 1}" for first, end in self._pairs) + ")"

    def __contains__(self, seq: int) -> bool:
        at = bisect_right(self._pairs, (seq, SEQ_END + 1)) - 1
        return at >= 0 and seq < self._pairs[at][1]

    def meets(self, first: int, end: int) -> bool:
        """Whether any of `first` … `end` - 1 is a member; costs O(log ranges)."""
        at = bisect_right(self._pairs, (end - 1, SEQ_END + 1)) - 1
        return at >= 0 and first < self._pairs[at][1]

    @property
    def count(self) -> int:
        """How many numbers."""
        if len(self._pairs) == 1:  # As of most sets, and six times as fast so.
            return self._pairs[0][1] - self._pairs[0][0]
        return sum(end - first for first, end in self._pairs)

    @property
    def lowest(self) -> int | None:
        """The least number; None of the empty set."""
        return self._pairs[0][0] if self._pairs else None

    @property
    def highest(self) -> int | None:
        """The greatest number; None of the empty set."""
        return self._pairs[-1][1] - 1 if self._pairs else None

    @property
    def watermark(self) -> int | None:
        """The highest n for which 0 … n are all members; None unless 0 is one."""
        if not self._pairs or self._pairs[0][0] != 0:
            return None
        return self._pairs[0][1] - 1

    def __or__(self, other: SeqRanges) -> SeqRanges:
        if not other:
            return self
        if not self:
            return other
        return SeqRanges._trusted(_merged(sorted(self._pairs + other._pairs)))

    def __and__(self, other: SeqRanges) -> SeqRanges:
        return SeqRanges._trusted(_common(self._pairs, other._pairs))

    def __sub__(self, other: SeqRanges) -> SeqRanges:
        if not self._pairs or not other._pairs:
            return self
        left = _less(self._pairs, other._pairs)
        return SeqRanges._trusted(left) if left else EMPTY

    def complement(self) -> SeqRanges:
        """Every sequence number that is not a member."""
        edges = [0, *(edge for pair in self._pairs for edge in pair), SEQ_END]
        pairs = zip(edges[::2], edges[1::2], strict=True)
        return SeqRanges._trusted((first, end) for first, end in pairs if first < end)

    def from_(self, first: int) -> SeqRanges:
        """The members at or above `first`."""
        return self & SeqRanges.of(max(first, 0), SEQ_END)

    def below(self, end: int) -> SeqRanges:
        """The members below `end`."""
        return self & SeqRanges.of(0, min(end, SEQ_END))

    def take_lowest(self, count_max: int) -> SeqRanges:
        """The `count_max` least members, or all when there are fewer."""
        taken: list[Pair] = []
        for first, end in self._pairs:
            if count_max <= 0:
                break
            taken.append((first, min(end, first + count_max)))
            count_max -= end - first
        return SeqRanges._trusted(taken)

    def without_lowest_gaps(self, ranges_max: int) -> SeqRanges:
        """The set with its lowest gaps closed until it has at most `ranges_max` ranges."""
        surplus = len(self._pairs) - ranges_max
        if surplus <= 0:
            return self
        closed = (self._pairs[0][0], self._pairs[surplus][1])
        return SeqRanges._trusted((closed, *self._pairs[surplus + 1 :]))

    def numbers(self) -> Iterator[int]:
        """The members one by one, ascending; only for sets whose `count` is known to be small."""
        for first, end in self._pairs:
            yield from range(first, end)


def _normalised(pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    ordered = pairs if len(pairs := list(pairs)) < 2 else sorted(pairs)
    for first, end in ordered:
        if not 0 <= first < end <= SEQ_END:
            raise ValueError(f"not a range of sequence numbers: [{first}, {end})")
    return tuple(_merged(ordered))


def _merged(ordered: Iterable[Pair]) -> list[Pair]:
    """Ascending pairs, with those that overlap or touch made one."""
    merged: list[Pair] = []
    for first, end in ordered:
        if merged and first <= merged[-1][1]:
            if end > merged[-1][1]:
                merged[-1] = (merged[-1][0], end)
        else:
            merged.append((first, end))
    return merged


def _less(left: tuple[Pair, ...], right: tuple[Pair, ...]) -> list[Pair]:
    """What is left of `left` without `right`, by walking the two once."""
    rest: list[Pair] = []
    at = max(bisect_right(right, left[0]) - 1, 0)
    for first, end in left:
        while at < len(right) and right[at][0] < end:
            out, back = right[at]
            if first < out:
                rest.append((first, out))
            first = max(first, back)
            if end <= back:
                break
            at += 1
        if first < end:
            rest.append((first, end))
    return rest


def _common(left: tuple[Pair, ...], right: tuple[Pair, ...]) -> Iterator[Pair]:
    """The ranges that both have, by walking the two once."""
    i = j = 0
    while i < len(left) and j < len(right):
        first = max(left[i][0], right[j][0])
        end = min(left[i][1], right[j][1])
        if first < end:
            yield first, end
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1


EMPTY = SeqRanges()


def union(many: Iterable[SeqRanges]) -> SeqRanges:
    """All members of all sets; O(n log n) in their ranges together."""
    some = [ranges for ranges in many if ranges]
    if len(some) < 2:
        return some[0] if some else EMPTY
    return SeqRanges._trusted(_merged(sorted(pair for ranges in some for pair in ranges)))


def gaps_within(ranges: SeqRanges) -> SeqRanges:
    """The numbers between the lowest and highest member that are not members."""
    inner = [(end, first) for (_, end), (first, _) in pairwise(ranges.pairs)]
    return SeqRanges._trusted(inner)
