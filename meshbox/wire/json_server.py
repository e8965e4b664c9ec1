"""What a mailbox server says and is told, as its clients do: the other side of json_logs.py.

    get    {"topics": {topic: {author: height}}}        as the request
    got    {"blobs_by_topic": {topic: {"blobs": …, "missing": …}}, "more": true}   as the answer
    store  {"blobs": {topic: {author: {"seq": base64}}}}                           as the request

with "blips" for "blobs" in G3. Nothing in an answer is believed: bounds are checked before values
are made (json_body.py), numbers when they are read, and a blob's text is decoded by who keeps it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from meshbox.core.errors import BodyInvalid
from meshbox.core.limits import SEQ_MAX
from meshbox.wire.json_body import BodyDecoder
from meshbox.wire.json_logs import (
    BLOBS,
    BlobText,
    BlobTree,
    Dialect,
    HeightTree,
    blobs_of,
    unwrapped,
)

Blobs = Mapping[str, Mapping[str, Mapping[int, bytes]]]
"""topic → author → seq → blob."""


class Told(NamedTuple):
    """What a server answered a get with."""

    blobs: Mapping[str, BlobTree]
    """By topic, one alone in each tree."""
    missing: Mapping[str, Mapping[str, list[int]]]
    """topic → author → numbers, as they came."""
    more: bool
    """It says that there is more: ask again with the new heights. Only meshbox does."""


class _BlobsTopic(msgspec.Struct):
    blobs: dict[str, dict[str, msgspec.Raw]]
    missing: dict[str, list[int]]


class _BlipsTopic(msgspec.Struct):
    blips: dict[str, dict[str, msgspec.Raw]]
    missing: dict[str, list[int]]


class _BlobsTold(msgspec.Struct):
    blobs_by_topic: dict[str, _BlobsTopic]
    more: bool = False


class _BlipsTold(msgspec.Struct):
    blips_by_topic: dict[str, _BlipsTopic]
    more: bool = False


class _Health(msgspec.Struct):
    endpoint_id: str | None = None


_ANY = BodyDecoder(msgspec.Raw)
_BLOBS_TOLD = BodyDecoder(_BlobsTold)
_BLIPS_TOLD = BodyDecoder(_BlipsTold)
_HEALTH = BodyDecoder(_Health)


def encode_heights(heights: HeightTree) -> bytes:
    """The body of a get."""
    return msgspec.json.encode({"topics": heights})


def encode_blobs(blobs: Blobs, *, dialect: Dialect) -> bytes:
    """The body of a store."""
    return msgspec.json.encode({dialect.blobs: blobs})


def decode_told(body: bytes, *, dialect: Dialect) -> Told:
    """The answer to a get; `BodyMalformed`, `BodyInvalid` or `TooLarge`."""
    blobs: dict[str, BlobTree] = {}
    missing: dict[str, dict[str, list[int]]] = {}
    if dialect is BLOBS:
        old = _BLOBS_TOLD.decode(body)
        for name, told in old.blobs_by_topic.items():
            blobs[name], missing[name] = {name: told.blobs}, told.missing
        return Told(blobs, missing, old.more)
    new = _BLIPS_TOLD.decode(body)
    for name, of_topic in new.blips_by_topic.items():
        blobs[name], missing[name] = {name: of_topic.blips}, of_topic.missing
    return Told(blobs, missing, new.more)


def blobs_told(tree: BlobTree) -> Iterator[BlobText]:
    """The blobs of a topic; `BodyMalformed` or `BodyInvalid` at a key that is no number."""
    for blob in blobs_of(tree):
        yield blob._replace(text=unwrapped(blob.text))


def check_numbers(numbers: list[int]) -> None:
    """`BodyInvalid` for a missing number that is none of a log's."""
    if any(not 0 <= number <= SEQ_MAX for number in numbers):
        raise BodyInvalid("a missing number is not in 0…2^64-1")


def decode_health(body: bytes) -> str | None:
    """The id that a server gives itself, where it does; errors as `decode_told`."""
    return _HEALTH.decode(body).endpoint_id


def check_json(body: bytes) -> None:
    """`BodyMalformed` for what is no JSON, `TooLarge` above a bound."""
    _ANY.decode(body)
