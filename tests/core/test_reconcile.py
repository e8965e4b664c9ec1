"""Elements, digests and sketches: what differs between sets is told, or nothing is."""

from __future__ import annotations

import random
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.ids import BlobClass, LogKey
from meshbox.core.inventory import Run
from meshbox.core.reconcile import (
    SYMBOL_BYTES,
    Digest,
    Sketch,
    differing,
    element_of,
    pack_symbols,
    unpack_symbols,
)
from tests.core.session.model import result_of

KEY = b"k" * 16
LOG = LogKey(b"l" * 16)
elements = st.sets(st.integers(0, 2**64 - 1), max_size=60)


def run(first: int, end: int, *, bucket: int = 5, verified: bool = False) -> Run:
    blob_class = BlobClass.VERIFIED if verified else BlobClass.OPAQUE
    return Run(first, end, bucket, blob_class, 10, 10)


def symbols_of(elements: set[int], count: int) -> list[int]:
    sketch = Sketch(sorted(elements))
    result_of(sketch.extend(count))
    return sketch.symbols


def told(ours: set[int], theirs: set[int], count: int) -> frozenset[int] | None:
    found = result_of(differing(symbols_of(ours, count), symbols_of(theirs, count)))
    assert found is None or isinstance(found, frozenset)
    return found


@given(elements, elements, elements)
def test_enough_symbols_tell_just_what_differs(
    common: set[int], ours: set[int], theirs: set[int]
) -> None:
    left, right = common | ours, common | theirs
    for count in (1, 16, 40, 1000):
        found = told(left, right, count)
        assert found in (None, left ^ right)
    assert found == frozenset(left ^ right)


@pytest.mark.parametrize(("count", "symbols"), [(1, 1), (20, 40), (1_000, 1_600)])
def test_symbols_needed_grow_with_what_differs_alone(count: int, symbols: int) -> None:
    source = random.Random(count)
    common = {source.getrandbits(64) for _ in range(5_000)}
    ours = {source.getrandbits(64) for _ in range(count)}
    assert told(common | ours, common, symbols) == frozenset(ours)


@given(elements, st.integers(1, 40), st.integers(0, 40))
def test_a_sketch_grows_without_changing(elements: set[int], first: int, more: int) -> None:
    sketch = Sketch(sorted(elements))
    result_of(sketch.extend(first))
    begun = list(sketch.symbols)
    result_of(sketch.extend(first + more))
    assert sketch.symbols == symbols_of(elements, first + more)
    assert sketch.symbols[:first] == begun


@given(st.lists(st.binary(min_size=SYMBOL_BYTES, max_size=SYMBOL_BYTES), max_size=50))
def test_any_symbols_end(symbols: list[bytes]) -> None:
    theirs = unpack_symbols(b"".join(symbols))
    found = result_of(differing([0] * len(theirs), theirs))
    assert found is None or len(found) <= len(theirs)


def test_forged_pure_symbols_end() -> None:
    """Symbols that each are an element: what is taken out of one shows again in another."""
    symbols = symbols_of({secrets.randbits(64)}, 1) * 64
    assert result_of(differing([0] * 64, symbols)) is None


@given(elements, elements)
def test_a_digest_is_of_the_set(ours: set[int], theirs: set[int]) -> None:
    whole = Digest().adding(ours)
    assert (whole == Digest().adding(theirs)) == (ours == theirs)
    assert whole.removing(ours - theirs).adding(theirs - ours) == Digest().adding(theirs)


def test_an_element_is_of_what_is_held_and_of_nothing_else() -> None:
    whole = element_of(KEY, LOG, [run(0, 9)])
    assert whole == element_of(KEY, LOG, [run(0, 4, bucket=3), run(4, 9, bucket=7)])
    others = [
        element_of(b"another key of 16"[:16], LOG, [run(0, 9)]),
        element_of(KEY, LogKey(b"m" * 16), [run(0, 9)]),
        element_of(KEY, LOG, [run(0, 9, verified=True)]),
        element_of(KEY, LOG, [run(0, 4), run(4, 9, verified=True)]),
        element_of(KEY, LOG, [run(0, 4), run(5, 9)]),
        element_of(KEY, LOG, [run(0, 8)]),
        element_of(KEY, LOG, [run(2**64 - 9, 2**64)]),
    ]
    assert len({whole, *others}) == len(others) + 1


@given(st.lists(st.integers(0, 2 ** (8 * SYMBOL_BYTES) - 1)))
def test_symbols_are_packed(symbols: list[int]) -> None:
    packed = pack_symbols(symbols)
    assert len(packed) == SYMBOL_BYTES * len(symbols)
    assert unpack_symbols(packed) == symbols


def test_a_cut_symbol_is_none() -> None:
    with pytest.raises(ValueError, match="cut"):
        unpack_symbols(bytes(SYMBOL_BYTES + 1))


def test_the_row_of_symbols_is_that_of_the_paper_for_all_time() -> None:
    """Nodes of different releases must make the same symbols: these are written down."""
    symbols = symbols_of({1, 2**63, 0x0123456789ABCDEF}, 12)
    assert [f"{symbol:024x}" for symbol in symbols] == [
        "d6731c858123456789abcdee",
        "d6731c858123456789abcdee",
        "ebd594d90123456789abcdee",
        "6032dc858000000000000001",
        "b641c0000123456789abcdef",
        "3da6885c8000000000000000",
        "ebd594d90123456789abcdee",
        "000000000000000000000000",
        "8be7485c8123456789abcdef",
        "000000000000000000000000",
        "000000000000000000000000",
        "5d9454d90000000000000001",
    ]


def test_elements_and_digests_are_the_same_for_all_time() -> None:
    """As above."""
    element = element_of(KEY, LOG, [run(0, 9), run(9, 12, verified=True)])
    assert f"{element:016x}" == "b4aced7a3642e031"
    digest = Digest().adding([element, 1])
    assert (f"{digest.total:032x}", digest.elements) == ("3430903e0b155823c030b0c10999c962", 2)


def test_sketches_of_other_lengths_are_not_compared() -> None:
    with pytest.raises(ValueError, match="shorter"):
        result_of(differing([0, 0], [0]))


def test_a_long_work_gives_others_turns() -> None:
    many = set(range(1, 5_001))
    assert len(list(Sketch(sorted(many)).extend(8_000))) == 3
    assert len(list(differing(symbols_of(many, 8_000), [0] * 8_000))) == 5_000 // 512
