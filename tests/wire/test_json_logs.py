"""The shapes of /blobs and /blips."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.errors import BodyInvalid, BodyMalformed
from meshbox.core.limits import SEQ_MAX
from meshbox.wire.json_base64 import decode_slices
from meshbox.wire.json_logs import (
    BLIPS,
    BLOBS,
    STORE_BLIPS_BODY,
    STORE_BODY,
    BlobText,
    Counts,
    FetchedTopic,
    blobs_of,
    count_blobs,
    count_heights,
    decode_heights,
    encode_fetched,
    encode_watermarks,
    unwrapped,
)


def stored(document: object) -> list[BlobText]:
    return list(blobs_of(STORE_BLIPS_BODY.decode(json.dumps(document).encode()).blips))


@pytest.mark.parametrize("key", ["0", "1", "10", str(2**63), str(SEQ_MAX)])
def test_a_seq_is_a_number_of_64_bits(key: str) -> None:
    (blob,) = stored({"blips": {"t": {"a": {key: ""}}}})
    assert (blob.topic, blob.author, blob.seq) == ("t", "a", int(key))


@pytest.mark.parametrize(
    "key", ["abc", "", " 5", "+5", "5 ", "01", "00", "0x5", "٣", "5_0", "1.", "--1"]
)
def test_a_key_that_is_no_number_is_malformed(key: str) -> None:
    with pytest.raises(BodyMalformed):
        stored({"blips": {"t": {"a": {key: ""}}}})


@pytest.mark.parametrize("key", ["-1", "-0", "1.0", "1e3", str(2**64), "9" * 400])
def test_a_number_that_is_no_seq_is_invalid(key: str) -> None:
    with pytest.raises(BodyInvalid):
        stored({"blips": {"t": {"a": {key: ""}}}})


@pytest.mark.parametrize("height", [0, 2**63, SEQ_MAX])
def test_a_height_is_a_number_of_64_bits(height: int) -> None:
    body = json.dumps({"topics": {"t": {"a": height}, "u": {}}}).encode()
    assert decode_heights(body) == {"t": {"a": height}, "u": {}}


@pytest.mark.parametrize(
    "height", ["-1", "-0.0", "5.0", '"5"', "null", str(2**64), "9" * 400, "{}", "true"]
)
def test_another_height_is_invalid(height: str) -> None:
    with pytest.raises(BodyInvalid):
        decode_heights(b'{"topics":{"t":{"a":%b}}}' % height.encode())


@pytest.mark.parametrize("height", ["01", "+1", "0x1", "1.", "-", "nul"])
def test_a_height_that_is_no_json_is_malformed(height: str) -> None:
    with pytest.raises(BodyMalformed):
        decode_heights(b'{"topics":{"t":{"a":%b}}}' % height.encode())


def test_what_is_asked_is_counted_without_decoding_blobs() -> None:
    tree = STORE_BLIPS_BODY.decode(b'{"blips":{"t":{"a":{"0":1,"1":2},"b":{}},"u":{}}}').blips
    assert count_blobs(tree) == Counts(topics=2, logs=2, blobs=2)
    assert count_heights({"t": {"a": 1, "b": 2}, "u": {}}) == Counts(topics=2, logs=2)


def test_a_store_names_blobs_or_hashes_or_neither() -> None:
    assert STORE_BODY.decode(b'{"blobs":{}}').blobs == {}
    assert STORE_BODY.decode(b'{"blob_hashes":["x"]}').blob_hashes == ["x"]
    assert STORE_BODY.decode(b"{}").blobs is msgspec.UNSET
    for body in (b'{"blobs":null}', b'{"blob_hashes":null}', b'{"blob_hashes":[1]}'):
        with pytest.raises(BodyInvalid):
            STORE_BODY.decode(body)


@pytest.mark.parametrize(
    "leaf",
    [
        b'"aGk="',
        b'{"blip":"aGk="}',
        b'{"blip":"aGk=","scrub_hash":null}',
        b'{"scrub_hash":"x","blip":"aGk=","y":1}',
    ],
)
def test_a_blip_comes_bare_or_with_a_scrub_hash(leaf: bytes) -> None:
    text = unwrapped(msgspec.json.decode(leaf, type=msgspec.Raw))
    assert b"".join(decode_slices(text)) == b"hi"


@pytest.mark.parametrize(
    "leaf", [b"{}", b'{"blip":null}', b'{"blip":"aGk=","scrub_hash":1}', b"5", b"[]"]
)
def test_another_blip_is_invalid(leaf: bytes) -> None:
    with pytest.raises(BodyInvalid):
        list(decode_slices(unwrapped(msgspec.json.decode(leaf, type=msgspec.Raw))))


def test_an_answer_is_compact_and_in_order() -> None:
    topics = {
        "é": FetchedTopic({"b": {9: b"x", 10: b""}, "a": {SEQ_MAX: b"hi"}}, {}),
        "z": FetchedTopic({}, {"y": [3, 4], "x": [0]}),
    }
    assert (
        encode_fetched(topics, more=False, dialect=BLOBS)
        == (
            '{"blobs_by_topic":{'
            '"z":{"blobs":{},"missing":{"x":[0],"y":[3,4]}},'
            '"é":{"blobs":{"a":{"18446744073709551615":"aGk="},"b":{"9":"eA==","10":""}},"missing":{}}}}'
        ).encode()
    )


def test_an_answer_says_when_there_is_more() -> None:
    body = encode_fetched({"t": FetchedTopic({}, {})}, more=True, dialect=BLIPS)
    assert body == b'{"blips_by_topic":{"t":{"blips":{},"missing":{}}},"more":true}'


@given(st.dictionaries(st.text(), st.just(FetchedTopic({}, {}))))
def test_topics_are_in_the_order_of_their_utf8_bytes(topics: dict[str, FetchedTopic]) -> None:
    body = json.loads(encode_fetched(topics, more=False, dialect=BLOBS))
    assert list(body["blobs_by_topic"]) == sorted(topics, key=str.encode)


def test_watermarks_are_in_order_and_may_be_none() -> None:
    body = encode_watermarks({"u": {"b": None, "a": 0}, "t": {"c": SEQ_MAX}})
    assert body == b'{"watermarks":{"t":{"c":18446744073709551615},"u":{"a":0,"b":null}}}'
