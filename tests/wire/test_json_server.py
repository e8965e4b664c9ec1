"""The other side of the apps' API: what is asked of a server, and what it says."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.errors import BodyInvalid, BodyMalformed, TooLarge
from meshbox.core.limits import JSON_ITEMS_MAX
from meshbox.wire.json_base64 import decode_slices
from meshbox.wire.json_logs import BLIPS, BLOBS, Dialect, FetchedTopic, encode_fetched
from meshbox.wire.json_server import (
    blobs_told,
    check_json,
    check_numbers,
    decode_health,
    decode_told,
    encode_blobs,
    encode_heights,
)

names = st.text("abé\U00010000", max_size=3)
logs = st.dictionaries(names, st.dictionaries(st.integers(0, 2**64 - 1), st.binary(max_size=9)))
missing = st.dictionaries(names, st.lists(st.integers(0, 2**64 - 1), max_size=4))


@given(
    st.dictionaries(names, st.builds(FetchedTopic, logs, missing), max_size=3),
    st.booleans(),
    st.sampled_from([BLOBS, BLIPS]),
)
def test_what_one_side_says_the_other_reads(
    topics: dict[str, FetchedTopic], more: bool, dialect: Dialect
) -> None:
    told = decode_told(encode_fetched(topics, more=more, dialect=dialect), dialect=dialect)
    assert told.more == more
    assert told.missing == {name: topic.missing for name, topic in topics.items()}
    for name, topic in topics.items():
        read = {
            (blob.author, blob.seq): b"".join(decode_slices(blob.text))
            for blob in blobs_told(told.blobs[name])
        }
        assert read == {
            (author, seq): data for author, log in topic.blobs.items() for seq, data in log.items()
        }


def test_requests_are_those_of_the_apps() -> None:
    assert encode_heights({"t": {"a": 3}}) == b'{"topics":{"t":{"a":3}}}'
    body = encode_blobs({"t": {"a": {0: b"\0"}}}, dialect=BLOBS)
    assert json.loads(body) == {"blobs": {"t": {"a": {"0": "AA=="}}}}
    body = encode_blobs({"t": {"a": {0: b"\0"}}}, dialect=BLIPS)
    assert json.loads(body) == {"blips": {"t": {"a": {"0": "AA=="}}}}


def test_a_blip_with_its_scrub_hash() -> None:
    blip = {"blip": "AA==", "scrub_hash": None}
    body = {"blips_by_topic": {"t": {"blips": {"a": {"0": blip}}, "missing": {}}}}
    told = decode_told(json.dumps(body).encode(), dialect=BLIPS)
    (blob,) = blobs_told(told.blobs["t"])
    assert b"".join(decode_slices(blob.text)) == b"\0"


def test_what_is_no_answer() -> None:
    for body in (b"", b"<html>", b"\xff"):
        with pytest.raises(BodyMalformed):
            decode_told(body, dialect=BLOBS)
        with pytest.raises(BodyMalformed):
            check_json(body)
    check_json(b'{"watermarks":{}}')
    for body in (b"{}", b"[]", b'{"blobs_by_topic":{"t":{"blobs":{}}}}'):
        with pytest.raises(BodyInvalid):
            decode_told(body, dialect=BLOBS)
    with pytest.raises(TooLarge):
        decode_told(b"[" + b"1," * (JSON_ITEMS_MAX + 1) + b"1]", dialect=BLOBS)
    for number in (-1, 2**64):
        with pytest.raises(BodyInvalid):
            check_numbers([0, number])


def test_the_id_of_a_server() -> None:
    assert decode_health(b'{"status":"ok"}') is None
    assert decode_health(b'{"status":"ok","endpoint_id":"x"}') == "x"
