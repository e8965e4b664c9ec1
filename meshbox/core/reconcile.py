"""Finding where two nodes differ without listing what they hold: elements, digest, sketch.

A node's state is a set of 64-bit *elements*, one a log that holds something: a keyed hash of the
log and the ranges held, by class. Equal logs are equal elements, whenever and in whatever buckets
their blobs were stored. A *digest* tells whether two sets are equal. A *sketch* is a rateless
invertible Bloom lookup table (RIBLT: Yang, Gilad and Alizadeh, "Practical Rateless Set
Reconciliation", SIGCOMM 2024): an endless row of symbols of which the first 1.35 to 1.7 a
differing element suffice to tell all that differ, however large the sets are.

- A symbol is the exclusive or of the elements that it covers, each with its check above it, so
  symbols of two sets subtract. The paper's counts are left out: which side an element is of, the
  side that decodes knows by looking among its own.
- An element covers symbol 0, and then ever rarer ones; which, it tells by itself.
- What a sketch decodes to is believed only if it accounts for every bit of both digests.

The key is random and of one node's run, so whoever writes logs cannot aim at elements that meet.
Two logs with one element would hide a difference: with 10^6 logs a chance of 3 in 10^8.
"""

from __future__ import annotations

from array import array
from collections.abc import Generator, Iterable, Iterator, Sequence
from hashlib import blake2b
from math import ceil, sqrt
from struct import pack
from typing import Final, NamedTuple

from meshbox.core.ids import BlobClass, LogKey
from meshbox.core.inventory import Run

SYMBOL_BYTES: Final = 12
DIGEST_BYTES: Final = 16
ELEMENT_BYTES: Final = 8

_ELEMENT_BITS: Final = 64
_ELEMENT_MASK: Final = 2**64 - 1
_DIGEST_MASK: Final = 2**128 - 1
_CHECK_BITS: Final = 32
_STEP: Final = 0xDA942042E4DD58B5
"""The multiplier of the mapping's generator (Steele and Vigna, "Computationally easy, spectrally
good multipliers", 2021)."""
_MIXER: Final = 0xD6E8FEB86659FD93
"""An odd multiplier with about as many ones as zeros, for the check's mixing."""
_SALT: Final = 0x9E3779B97F4A7C15
"""2^64 over the golden ratio: so that the check of 0 is not 0."""
_TURN_ELEMENTS: Final = 2_048
"""Elements put into symbols between two chances for others: about 10 ms."""
_TURN_FOUND: Final = 512
"""Elements taken out of symbols between two chances for others: about 10 ms."""


def element_of(key: bytes, log: LogKey, runs: Iterable[Run]) -> int:
    """The element of a log that holds `runs`, which ascend. Buckets do not enter it."""
    ranges: list[int] = []
    joined: tuple[int, BlobClass] | None = None
    for run in runs:
        if joined == (run.first, run.blob_class):
            ranges[-1] = run.end - 1
        else:
            ranges += (run.blob_class, run.first, run.end - 1)
        joined = run.end, run.blob_class
    told = log + pack(f"<{len(ranges)}Q", *ranges)
    return int.from_bytes(blake2b(told, digest_size=8, key=key).digest(), "little")


class Digest(NamedTuple):
    """A set of elements in 16 bytes and its size; the digest of a union is the sum."""

    total: int = 0
    elements: int = 0

    def adding(self, elements: Iterable[int]) -> Digest:
        """With `elements`."""
        total, count = self
        for element in elements:
            total += element * (element | 1 << _ELEMENT_BITS)
            count += 1
        return Digest(total & _DIGEST_MASK, count)

    def removing(self, elements: Iterable[int]) -> Digest:
        """Without `elements`."""
        gone = Digest().adding(elements)
        return Digest((self.total - gone.total) & _DIGEST_MASK, self.elements - gone.elements)


class Sketch:
    """The symbols of a growing prefix of one set's sketch."""

    def __init__(self, elements: Sequence[int]) -> None:
        """`elements` are not copied and must not change."""
        self.symbols: list[int] = []
        self._elements = elements
        self._indices = array("Q", bytes(8 * len(elements)))
        """The next symbol that each element covers."""
        self._states = array("Q", elements)
        """The mapping's state there."""

    def extend(self, count: int) -> Generator[None, None, None]:
        """Makes the first `count` symbols; yields now and then, so that others get a turn."""
        if count <= len(self.symbols):
            return
        self.symbols += [0] * (count - len(self.symbols))
        for first in range(0, len(self._elements), _TURN_ELEMENTS):
            self._cover(range(first, min(first + _TURN_ELEMENTS, len(self._elements))), count)
            yield

    def _cover(self, places: range, count: int) -> None:
        elements, indices, states, symbols = (
            self._elements,
            self._indices,
            self._states,
            self.symbols,
        )
        for place in places:
            index = indices[place]
            if index >= count:
                continue
            element, state = elements[place], states[place]
            checked = _checked(element)
            while index < count:
                symbols[index] ^= checked
                state = state * _STEP & _ELEMENT_MASK
                index += ceil((index + 1.5) * (4294967296.0 / sqrt(state + 1) - 1.0))
            indices[place] = min(index, _ELEMENT_MASK)
            states[place] = state


def differing(
    ours: Sequence[int], theirs: Sequence[int]
) -> Generator[None, None, frozenset[int] | None]:
    """The elements that only one of two sets has, told by as many symbols of each.

    None: it takes more symbols. The answer may be wrong; see `Digest`. Yields now and then, so
    that others get a turn. Cost: that of the differing elements, at most one a symbol, whatever
    the symbols of a stranger say.
    """
    symbols = [a ^ b for a, b in zip(ours, theirs, strict=True)]
    found: set[int] = set()
    pure = [index for index, symbol in enumerate(symbols) if symbol and _is_pure(symbol)]
    while pure:
        symbol = symbols[pure.pop()]
        if not symbol or not _is_pure(symbol):
            continue
        element = symbol & _ELEMENT_MASK
        if element in found or len(found) == len(symbols):
            return None
        found.add(element)
        for index in _covered(element, len(symbols)):
            symbols[index] ^= symbol
            if symbols[index] and _is_pure(symbols[index]):
                pure.append(index)
        if not len(found) % _TURN_FOUND:
            yield
    return None if any(symbols) else frozenset(found)


def pack_symbols(symbols: Iterable[int]) -> bytes:
    """Symbols as `SYMBOL_BYTES` each, little-endian."""
    return b"".join(symbol.to_bytes(SYMBOL_BYTES, "little") for symbol in symbols)


def unpack_symbols(packed: bytes) -> list[int]:
    """What `pack_symbols` packed; `ValueError` where a symbol is cut."""
    if len(packed) % SYMBOL_BYTES:
        raise ValueError("a symbol is cut")
    return [
        int.from_bytes(packed[at : at + SYMBOL_BYTES], "little")
        for at in range(0, len(packed), SYMBOL_BYTES)
    ]


def _checked(element: int) -> int:
    """The element with its check above it; never 0, which is the symbol of nothing."""
    mixed = (element ^ element >> 32 ^ _SALT) * _MIXER & _ELEMENT_MASK
    mixed = (mixed ^ mixed >> 32) * _MIXER & _ELEMENT_MASK
    return mixed >> _CHECK_BITS << _ELEMENT_BITS | element


def _is_pure(symbol: int) -> bool:
    return _checked(symbol & _ELEMENT_MASK) == symbol


def _covered(element: int, count: int) -> Iterator[int]:
    """The symbols below `count` that an element covers."""
    index, state = 0, element
    while index < count:
        yield index
        state = state * _STEP & _ELEMENT_MASK
        index += ceil((index + 1.5) * (4294967296.0 / sqrt(state + 1) - 1.0))
