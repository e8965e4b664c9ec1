"""What is refused before decoding, and which fault each bad body is."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.errors import BodyInvalid, BodyMalformed, TooLarge
from meshbox.core.limits import JSON_ITEMS_MAX, JSON_NESTING_MAX
from meshbox.wire.json_body import BodyDecoder, _nesting, check_bounds


class Shape(msgspec.Struct):
    numbers: dict[str, int]


DECODER = BodyDecoder(Shape)

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(), below, max_size=4),
    max_leaves=30,
)


def depth_of(value: Any) -> int:
    """The naive answer: how many lists and maps are inside one another."""
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  ",
        b"{",
        b"}",
        b"{]",
        b'{"numbers":{}}x',
        b'{"numbers":{}},',
        b'{"numbers":{"a":1,}}',
        b'{"numbers":{"a":01}}',
        b'{"numbers":{"a":nul}}',
        b'{"numbers":{"\xff":1}}',
        b'{"numbers":{"\\ud800":1}}',
        b'{"numbers":{"\\x":1}}',
        b'{"numbers":{"\n":1}}',
        b'{"ignored":"\\ud800","numbers":{}}',
        b"\xef\xbb\xbf{}",
        b'{"numbers":NaN}',
    ],
)
def test_what_is_not_json_is_malformed(body: bytes) -> None:
    with pytest.raises(BodyMalformed):
        DECODER.decode(body)


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b"[]",
        b'[{"a":1}]',
        b"{}",
        b'"numbers"',
        b'{"numbers":null}',
        b'{"numbers":[]}',
        b'{"numbers":{"a":"1"}}',
        b'{"numbers":{"a":1.5}}',
        b'{"numbers":{"a":true}}',
        b'{"numbers":{"a":[[[[1]]]]}}',
    ],
)
def test_json_of_another_shape_is_invalid(body: bytes) -> None:
    with pytest.raises(BodyInvalid):
        DECODER.decode(body)


def test_unknown_members_and_white_space_are_ignored_and_the_last_of_two_counts() -> None:
    body = b' {"x":[{}],"numbers":{"a":1,"a":2}, "y": null }\r\n'
    assert DECODER.decode(body).numbers == {"a": 2}


def test_nesting_up_to_the_bound_is_taken_in_ignored_members() -> None:
    levels = JSON_NESTING_MAX - 1
    body = b'{"numbers":{},"x":' + b"[" * levels + b"]" * levels + b"}"
    assert DECODER.decode(body).numbers == {}


@pytest.mark.parametrize("levels", [JSON_NESTING_MAX, 1_000, 40_000])
@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'["",{"[":'])
def test_deeper_nesting_is_malformed(levels: int, opening: bytes) -> None:
    with pytest.raises(BodyMalformed, match="nested"):
        DECODER.decode(b'{"numbers":{},"x":' + opening * levels)


def test_brackets_without_end_are_not_even_counted_in_levels() -> None:
    with pytest.raises(TooLarge):
        DECODER.decode(b"[" * 64_000_000)


def test_many_brackets_that_are_not_nested_are_no_matter() -> None:
    body = b'{"numbers":{},"x":[' + b",".join([b"[{}]"] * 5_000) + b"]}"
    assert DECODER.decode(body).numbers == {}


def test_brackets_in_strings_are_no_levels() -> None:
    text = json.dumps('"[{\\' * 1_000).encode()
    assert DECODER.decode(b'{"numbers":{},"x":' + text + b"}").numbers == {}


@given(JSON_VALUES)
def test_the_nesting_is_that_of_the_value(value: Any) -> None:
    assert _nesting(json.dumps(value).encode()) == depth_of(value)
    assert _nesting(json.dumps(value, ensure_ascii=False).encode()) == depth_of(value)


def test_members_are_counted_before_they_become_objects() -> None:
    member = b'"a":0'
    check_bounds(b'{"numbers":{' + b",".join([member] * (JSON_ITEMS_MAX + 1)) + b"}}")
    with pytest.raises(TooLarge):
        DECODER.decode(b'{"numbers":{' + b",".join([member] * (JSON_ITEMS_MAX + 2)) + b"}}")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_documented_fault(body: bytes) -> None:
    try:
        decoded = DECODER.decode(body)
    except (BodyInvalid, BodyMalformed):
        return
    assert isinstance(decoded, Shape)
