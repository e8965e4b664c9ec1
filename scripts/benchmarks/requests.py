"""The requests that a benchmark sends, as the bytes of a connection; the same in every run.

Blobs are random bytes, as what the apps encrypt is, and no two of a log are the same: the first
characters of each one's base64 are its number.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

BLOB_BYTES: Final = 1024
_TEXTS: Final = 32
_NUMBER_CHARACTERS: Final = 12

_HEAD: Final = (
    "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    "Content-Length: {size}\r\n\r\n"
)


class Dialect(NamedTuple):
    """A generation of the apps' API."""

    store: str
    get: str
    key: str
    answer_key: str


DIALECTS: Final = {
    "blips": Dialect("/blips/store", "/blips/get", "blips", "blips_by_topic"),
    "blobs": Dialect("/blobs/store", "/blobs/get", "blobs", "blobs_by_topic"),
}


class Log(NamedTuple):
    """A topic and an author, both 64 hexadecimal digits as in the apps."""

    topic: str
    author: str


def name_of(*parts: object) -> str:
    """64 hexadecimal digits that stand for `parts`."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def logs(count: int, *, label: str, topics: int = 1) -> list[Log]:
    """`count` logs, spread over `topics` topics."""
    return [
        Log(name_of(label, "topic", i % topics), name_of(label, "author", i)) for i in range(count)
    ]


def post(path: str, body: bytes) -> bytes:
    """A whole request."""
    return _HEAD.format(path=path, size=len(body)).encode() + body


class Texts:
    """The base64 of blobs of one size, by number."""

    def __init__(self, *, seed: int, size_bytes: int = BLOB_BYTES) -> None:
        source = random.Random(seed)  # noqa: S311 - repeatable, not secret
        texts = (base64.b64encode(source.randbytes(size_bytes)) for _ in range(_TEXTS))
        self._ends = [text[_NUMBER_CHARACTERS:] for text in texts]

    def __getitem__(self, number: int) -> bytes:
        return b"%012d%b" % (number, self._ends[number % _TEXTS])


class Deposits:
    """The store requests of one client, each with the next blob of its log."""

    def __init__(self, log: Log, *, texts: Texts, dialect: Dialect, seq: int = 0) -> None:
        self._texts = texts
        self._before = b'{"%b":{"%b":{"%b":{"' % (
            dialect.key.encode(),
            log.topic.encode(),
            log.author.encode(),
        )
        self._path = dialect.store
        self._heads: dict[int, bytes] = {}
        self._seq = seq

    def __call__(self) -> bytes:
        seq = self._seq
        self._seq += 1
        body = b'%b%d":"%b"}}}}' % (self._before, seq, self._texts[seq])
        size = len(body)
        head = self._heads.get(size)
        if head is None:
            head = self._heads[size] = _HEAD.format(path=self._path, size=size).encode()
        return head + body


class Batches:
    """The store requests of one client, each with the next blobs of all its logs."""

    def __init__(self, logs: Sequence[Log], *, blobs: int, texts: Texts, dialect: Dialect) -> None:
        """`blobs`: of one request, the same number for each log."""
        self._logs = logs
        self._per_log = blobs // len(logs)
        self._texts = texts
        self._dialect = dialect
        self._seq = 0

    def __call__(self) -> bytes:
        end = self._seq + self._per_log
        body = store_body(self._logs, self._seq, end, texts=self._texts, dialect=self._dialect)
        self._seq = end
        return post(self._dialect.store, body)


def store_body(
    logs: Sequence[Log], first: int, end: int, *, texts: Texts, dialect: Dialect
) -> bytes:
    """The body that stores the blobs first … end - 1 of each of `logs`."""
    blobs = b",".join(b'"%d":"%b"' % (seq, texts[seq]) for seq in range(first, end))
    topics: dict[str, list[bytes]] = {}
    for log in logs:
        topics.setdefault(log.topic, []).append(b'"%b":{%b}' % (log.author.encode(), blobs))
    by_topic = b",".join(
        b'"%b":{%b}' % (topic.encode(), b",".join(authors)) for topic, authors in topics.items()
    )
    return b'{"%b":{%b}}' % (dialect.key.encode(), by_topic)


def filling(
    logs: Sequence[Log], *, blobs: int, texts: Texts, dialect: Dialect, request_blobs: int = 500
) -> Iterator[bytes]:
    """The requests that store `blobs` blobs, the same number in each log (at least one)."""
    per_log = max(blobs // len(logs), 1)
    slice_ = min(per_log, request_blobs)
    group = max(request_blobs // slice_, 1)
    for first in range(0, per_log, slice_):
        end = min(first + slice_, per_log)
        for at in range(0, len(logs), group):
            some = logs[at : at + group]
            yield post(dialect.store, store_body(some, first, end, texts=texts, dialect=dialect))


def poll(heights: dict[str, dict[str, int]], *, dialect: Dialect) -> bytes:
    """The request for what is above `heights` (topic → author → seq)."""
    return post(dialect.get, json.dumps({"topics": heights}, separators=(",", ":")).encode())
