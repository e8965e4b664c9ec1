"""Blobs inside JSON: base64 of the standard alphabet (RFC 4648), with padding, canonical.

A blob stays a `msgspec.Raw`, a view into the body, until it is decoded: a 64 MiB body costs 64 MiB
and the 48 MiB that it decodes to, nothing between. Decoding is offered in slices, so that the
caller can let others run: 48 MiB take 150 ms.

Invariant: what was decoded encodes to the very text that came in (unless that had JSON escapes).
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator

import msgspec

from meshbox.core.errors import BodyInvalid
from meshbox.core.limits import MIB

SLICE_CHARACTERS = 1 * MIB
"""Characters decoded at a time, about 2 ms; a multiple of four."""

_QUOTE = ord('"')
_WHOLE = msgspec.json.Decoder(bytes)


def decoded_bytes_max(text: msgspec.Raw) -> int:
    """Bytes that `text` decodes to, or up to two more."""
    return max(0, len(text) - 2) // 4 * 3


def decode_slices(text: msgspec.Raw) -> Iterator[bytes]:
    """The bytes of a blob, a slice at a time; `BodyInvalid` unless it is canonical base64."""
    if len(text) <= SLICE_CHARACTERS:
        yield _decode_whole(text)
        return
    digits = _digits(text)
    # binascii takes "AAAA=" for "AAAA".
    if len(digits) % 4:
        raise BodyInvalid("a blob is not base64: its length is no multiple of four")
    last = max(0, len(digits) - 1) // SLICE_CHARACTERS * SLICE_CHARACTERS
    for start in range(0, last, SLICE_CHARACTERS):
        data = _decode(digits[start : start + SLICE_CHARACTERS])
        if len(data) * 4 != SLICE_CHARACTERS * 3:
            raise BodyInvalid("a blob is not base64: padding before its end")
        yield data
    yield _decode(digits[last:])


def _decode_whole(text: msgspec.Raw) -> bytes:
    """A blob that is one slice: msgspec decodes it twice as fast as binascii, escapes and all."""
    try:
        data = _WHOLE.decode(text)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise BodyInvalid(f"a blob is not a base64 string: {error}") from error
    # msgspec takes "AB==" for "AA==", and resolves escapes.
    rest = len(data) % 3
    if rest and memoryview(text)[-5:-1] != _last_digits(data):
        return _decode(_digits(text))
    return data


def _digits(text: msgspec.Raw) -> memoryview:
    view = memoryview(text)
    if len(view) < 2 or view[0] != _QUOTE:
        raise BodyInvalid("a blob is not a base64 string")
    for start in range(0, len(view), SLICE_CHARACTERS):
        if b"\\" in bytes(view[start : start + SLICE_CHARACTERS]):
            return memoryview(_unescaped(text))
    return view[1:-1]


def _unescaped(text: msgspec.Raw) -> bytes:
    try:
        return msgspec.json.decode(text, type=str).encode()
    except (msgspec.DecodeError, UnicodeError) as error:
        raise BodyInvalid(f"a blob is not a base64 string: {error}") from error


def _decode(digits: memoryview) -> bytes:
    try:
        data = binascii.a2b_base64(digits, strict_mode=True)
    except binascii.Error as error:
        raise BodyInvalid(f"a blob is not base64: {error}") from error
    # binascii takes "AAAA====" for "AAAA".
    if (len(data) + 2) // 3 * 4 != len(digits):
        raise BodyInvalid("a blob is not base64: padding that nothing needs")
    rest = len(data) % 3
    # binascii takes "AB==" for "AA==": the bits that no byte has may be anything.
    if rest and _last_digits(data) != digits[-4:]:
        raise BodyInvalid("a blob is not base64: bits after its end")
    return data


def _last_digits(data: bytes) -> bytes:
    """The last four digits of `data`, which ends within them."""
    return binascii.b2a_base64(data[-(len(data) % 3) :], newline=False)
