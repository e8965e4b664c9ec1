"""The JSON shapes of the APIs that number their blobs: /blobs (G1) and /blips (G3).

    store  {"blobs": {topic: {author: {"seq": base64}}}}
    get    {"topics": {topic: {author: height}}}
    got    {"blobs_by_topic": {topic: {"blobs": {author: {"seq": base64}},
                                       "missing": {author: [seq]}}}, "more": true}

with "blips" for "blobs" in G3, where a blob may also be {"blip": base64, "scrub_hash": …} and a
store is answered with {"watermarks": {topic: {author: seq or null}}}. Unknown members are ignored.
Sequence numbers and heights are checked here: msgspec takes -1, "-0" and 2^64 for integers.

What is encoded has its maps in the order of their UTF-8 bytes, as the apps' own server writes them
(Python orders text by code point, which is the same), and "more" only when it is true.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from meshbox.core.errors import BodyInvalid, BodyMalformed
from meshbox.core.limits import SEQ_MAX
from meshbox.wire.json_body import BodyDecoder

BlobTree = dict[str, dict[str, dict[str, msgspec.Raw]]]
"""topic → author → seq → base64, as it came."""

HeightTree = dict[str, dict[str, int]]
"""topic → author → the highest seq that the client holds."""


class StoreBody(msgspec.Struct):
    """What /blobs/store takes: blobs (0.18), or the hashes of media (0.19 announced them here)."""

    blobs: BlobTree | msgspec.UnsetType = msgspec.UNSET
    blob_hashes: list[str] | msgspec.UnsetType = msgspec.UNSET


class StoreBlipsBody(msgspec.Struct):
    """What /blips/store takes; the sender's signature and media hashes are not looked at."""

    blips: BlobTree


class GetBody(msgspec.Struct):
    """What /blobs/get and /blips/get take."""

    topics: HeightTree


class _ScrubbableBlip(msgspec.Struct):
    blip: msgspec.Raw
    scrub_hash: str | None = None


STORE_BODY = BodyDecoder(StoreBody)
STORE_BLIPS_BODY = BodyDecoder(StoreBlipsBody)
_GET_BODY = BodyDecoder(GetBody)
_SCRUBBABLE_BLIP = BodyDecoder(_ScrubbableBlip)


class BlobText(NamedTuple):
    """One blob of a store request, not decoded yet."""

    topic: str
    author: str
    seq: int
    text: msgspec.Raw


class Counts(NamedTuple):
    """How much a request names."""

    topics: int
    logs: int
    blobs: int = 0


class FetchedTopic(NamedTuple):
    """What is answered of one topic; maps in any order, numbers ascending."""

    blobs: Mapping[str, Mapping[int, bytes]]
    missing: Mapping[str, Sequence[int]]


class Dialect(NamedTuple):
    """How a generation names the members of what it gets."""

    by_topic: str
    blobs: str
    has_scrub_hashes: bool
    """A stored blob may be {"blip": base64, "scrub_hash": …}."""


BLOBS = Dialect("blobs_by_topic", "blobs", has_scrub_hashes=False)
BLIPS = Dialect("blips_by_topic", "blips", has_scrub_hashes=True)


def decode_heights(body: bytes) -> HeightTree:
    """The heights of a get request; `BodyMalformed` or `BodyInvalid`."""
    topics = _GET_BODY.decode(body).topics
    for heights in topics.values():
        for author, height in heights.items():
            if not 0 <= height <= SEQ_MAX:
                raise BodyInvalid(f"the height of {author!r} is not in 0…2^64-1")
    return topics


def count_blobs(tree: BlobTree) -> Counts:
    """How many topics, logs and blobs a store request has."""
    logs = sum(map(len, tree.values()))
    blobs = sum(len(seqs) for authors in tree.values() for seqs in authors.values())
    return Counts(len(tree), logs, blobs)


def count_heights(tree: HeightTree) -> Counts:
    """How many topics and logs a get request has."""
    return Counts(len(tree), sum(map(len, tree.values())))


def blobs_of(tree: BlobTree) -> Iterator[BlobText]:
    """The blobs of a store request; `BodyMalformed` or `BodyInvalid` at a key that is no seq."""
    for topic, authors in tree.items():
        for author, seqs in authors.items():
            for key, text in seqs.items():
                yield BlobText(topic, author, _seq(key), text)


def unwrapped(text: msgspec.Raw) -> msgspec.Raw:
    """A blip's base64, whether it came bare or as {"blip": base64}."""
    if memoryview(text)[0] != _BRACE:
        return text
    return _SCRUBBABLE_BLIP.decode_part(text).blip


def encode_fetched(topics: Mapping[str, FetchedTopic], *, more: bool, dialect: Dialect) -> bytes:
    """The answer to a get request."""
    by_topic = {
        topic: {
            dialect.blobs: dict(sorted(fetched.blobs.items())),
            "missing": dict(sorted(fetched.missing.items())),
        }
        for topic, fetched in sorted(topics.items())
    }
    answer: dict[str, object] = {dialect.by_topic: by_topic}
    if more:
        answer["more"] = True
    return msgspec.json.encode(answer)


def encode_watermarks(watermarks: Mapping[str, Mapping[str, int | None]]) -> bytes:
    """The answer to a G3 store request."""
    by_topic = {topic: dict(sorted(seqs.items())) for topic, seqs in sorted(watermarks.items())}
    return msgspec.json.encode({"watermarks": by_topic})


_BRACE = ord("{")
_SEQ = re.compile(r"0|[1-9][0-9]{0,19}")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def _seq(key: str) -> int:
    if _SEQ.fullmatch(key) and (seq := int(key)) <= SEQ_MAX:
        return seq
    fault = BodyInvalid if _NUMBER.fullmatch(key) else BodyMalformed
    raise fault(f"{key[:40]!r} is not a sequence number (0…2^64-1)")
