"""JSON bodies of the HTTP API, from bytes of a stranger to typed values.

Knows JSON and what a stranger can do with it, and none of the shapes (`json_*.py` beside it).
Bodies are bounded before a value is made of them: msgspec would turn 64 MiB of `"a":{},` into
gigabytes of objects, and stops at deep nesting only where the interpreter's recursion limit is.

Two faults (their difference is that of the apps' own server): `BodyMalformed` is not JSON,
`BodyInvalid` is JSON of another shape.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Generic, TypeVar

import msgspec

from meshbox.core.errors import BodyInvalid, BodyMalformed, TooLarge
from meshbox.core.limits import JSON_ITEMS_MAX, JSON_NESTING_MAX, MIB

T = TypeVar("T")

_OPENING, _CLOSING = b"[{", b"]}"
_STRUCTURAL = frozenset(_OPENING + _CLOSING + b'"')
_OTHERS = bytes(byte for byte in range(256) if byte not in _STRUCTURAL)
_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_STRING = re.compile(rb'"[^"]*"?')
_STEPS = [(byte in _OPENING) - (byte in _CLOSING) for byte in range(256)]


class BodyDecoder(Generic[T]):
    """Decodes one shape. `T` is a msgspec type."""

    __slots__ = ("_decoder",)

    def __init__(self, shape: type[T]) -> None:
        self._decoder = msgspec.json.Decoder(shape)

    def decode(self, body: bytes) -> T:
        """The value of `body`; `BodyMalformed`, `BodyInvalid`, or `TooLarge` above a bound.

        Members of type `msgspec.Raw` keep `body` alive and copy nothing.
        """
        check_bounds(body)
        return self.decode_part(body)

    def decode_part(self, part: bytes | msgspec.Raw) -> T:
        """The same for a part of a body whose bounds were checked."""
        try:
            return self._decoder.decode(part)
        except msgspec.ValidationError as error:
            raise BodyInvalid(f"the JSON body has another shape than asked for: {error}") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BodyMalformed(f"the body is not JSON: {error}") from error


def check_bounds(body: bytes) -> None:
    """`TooLarge` above `JSON_ITEMS_MAX` commas or brackets, `BodyMalformed` above
    `JSON_NESTING_MAX` levels.

    About 1 ns a byte; the loop over levels runs only for a body with many brackets.
    """
    commas = brackets = 0
    for start in range(0, len(body), MIB):
        commas += body.count(b",", start, start + MIB)
        brackets += body.count(b"[", start, start + MIB) + body.count(b"{", start, start + MIB)
        if commas > JSON_ITEMS_MAX or brackets > JSON_ITEMS_MAX:
            raise TooLarge(f"the JSON body has more than {JSON_ITEMS_MAX} members")
    if brackets > JSON_NESTING_MAX and _nesting(body) > JSON_NESTING_MAX:
        raise BodyMalformed(f"the JSON body is nested more than {JSON_NESTING_MAX} levels deep")


def _nesting(body: bytes) -> int:
    """The deepest level of brackets outside strings; of malformed JSON, not less than it has."""
    if b"\\" in body:
        body = _ESCAPED.sub(b"", body)
    brackets = _STRING.sub(b"", body.translate(None, _OTHERS))
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)
