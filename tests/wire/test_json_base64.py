"""Base64 in JSON: canonical or refused, in slices or whole."""

from __future__ import annotations

import base64
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.errors import BodyInvalid
from meshbox.wire.json_base64 import SLICE_CHARACTERS, decode_slices, decoded_bytes_max


def raw(document: bytes) -> msgspec.Raw:
    return msgspec.json.decode(document, type=msgspec.Raw)


def decoded(text: bytes) -> bytes:
    return b"".join(decode_slices(raw(b'"' + text + b'"')))


@given(st.binary(max_size=100))
def test_what_is_encoded_is_decoded(data: bytes) -> None:
    assert decoded(base64.b64encode(data)) == data


@given(st.text("ABCDwxyz0189+/=-_ ", max_size=12))
def test_a_text_is_refused_or_is_what_its_bytes_encode_to(text: str) -> None:
    try:
        data = decoded(text.encode())
    except BodyInvalid:
        return
    assert base64.b64encode(data).decode() == text


@pytest.mark.parametrize(
    "text",
    [
        b"A",
        b"AA",
        b"AAA",
        b"AA=",
        b"AAAA=",
        b"AA===",
        b"AAAA====",
        b"====",
        b"=AAA",
        b"AB==",
        b"AAB=",
        b"A A=",
        b"AAAA ",
        b"AAAA\\n",
        b"-_==",
        b"AA==AA==",
        b"\xc3\xa9AA=",
        b"\\ud83d\\ude00",
    ],
)
def test_what_is_not_canonical_is_refused(text: bytes) -> None:
    with pytest.raises(BodyInvalid):
        decoded(text)


def test_an_empty_blob_is_a_blob() -> None:
    assert decoded(b"") == b""


def test_escapes_of_json_are_resolved() -> None:
    assert decoded(rb"\/\/8=") == b"\xff\xff"
    assert decoded(rb"\u0041AAA") == b"\0\0\0"


@pytest.mark.parametrize("document", [b"null", b"5", b"[]", b'{"a":1}', b"true"])
def test_what_is_no_string_is_refused(document: bytes) -> None:
    with pytest.raises(BodyInvalid):
        list(decode_slices(raw(document)))


@pytest.mark.parametrize("more", [-1, 0, 1, 2, 3])
def test_a_large_blob_comes_in_slices_that_make_up_the_whole(more: int) -> None:
    data = bytes(range(256)) * (3 * SLICE_CHARACTERS // 4 // 256 * 3) + b"x" * (more + 1)
    text = base64.b64encode(data)
    slices = list(decode_slices(raw(json.dumps(text.decode()).encode())))
    assert len(slices) > 1
    assert max(map(len, slices)) <= SLICE_CHARACTERS
    assert b"".join(slices) == data


def test_padding_between_two_slices_is_refused() -> None:
    first = base64.b64encode(b"\0" * (SLICE_CHARACTERS * 3 // 4 - 1))
    assert len(first) == SLICE_CHARACTERS
    with pytest.raises(BodyInvalid, match="padding"):
        decoded(first + b"AAAA")


@given(st.binary(max_size=100))
def test_the_size_is_known_before_decoding(data: bytes) -> None:
    bound = decoded_bytes_max(raw(b'"' + base64.b64encode(data) + b'"'))
    assert len(data) <= bound <= len(data) + 2
