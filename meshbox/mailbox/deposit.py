"""What a client may deposit, and how it becomes a change of the store.

Knows the limits of one request and the origin that every blob carries (design.md 4.9), not how
the request came. All or nothing: a request with one bad blob stores none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from meshbox.core.address import bare_ip
from meshbox.core.errors import TooLarge
from meshbox.core.ids import (
    ORIGIN_TAG_BYTES,
    BlobClass,
    LogId,
    Namespace,
    Origin,
    parse_author,
    parse_seq,
    parse_topic,
)
from meshbox.core.limits import (
    BLOB_BYTES_MAX,
    REQUEST_BLOBS_MAX,
    REQUEST_LOGS_MAX,
    REQUEST_TOPICS_MAX,
)
from meshbox.storage.interface import NewBlob


class ClientBlob(NamedTuple):
    """A blob as a client brings it; nothing of it is checked yet."""

    topic: str
    author: str
    seq: int
    data: bytes


class ClientTag:
    """Tells one client's blobs from another's, and nobody who the client is."""

    __slots__ = ("_node_key", "_salt")

    def __init__(self, *, node_key: bytes, salt: bytes) -> None:
        """`node_key`: the 32 raw bytes of this node's id; `salt`: this node's secret, 1 … 64."""
        self._node_key = node_key
        self._salt = salt

    def origin(self, client: str) -> Origin:
        """The origin of what `client` deposits; an IPv4 address and its IPv6 form are one client,
        and so is one address on all interfaces."""
        address = _canonical(client).encode()
        tag = hashlib.blake2b(address, digest_size=ORIGIN_TAG_BYTES, key=self._salt).digest()
        return Origin(self._node_key, tag)


def check_counts(*, topics: int, logs: int, blobs: int = 0) -> None:
    """`TooLarge` for a request that names more than one may."""
    for count, count_max, what in (
        (topics, REQUEST_TOPICS_MAX, "topics"),
        (logs, REQUEST_LOGS_MAX, "authors"),
        (blobs, REQUEST_BLOBS_MAX, "blobs"),
    ):
        if count > count_max:
            raise TooLarge(f"{count} {what} in one request, at most {count_max} are allowed")


def check_size(size_bytes: int) -> None:
    """`TooLarge` for a blob of `size_bytes`, when that is too many."""
    if size_bytes > BLOB_BYTES_MAX:
        raise TooLarge(f"a blob has {size_bytes} bytes, at most {BLOB_BYTES_MAX} are allowed")


def new_blobs(
    blobs: Sequence[ClientBlob], *, origin: Origin, stamp_ms: int
) -> tuple[list[NewBlob], list[LogId]]:
    """`blobs` as the store takes them, new at `stamp_ms`, and the logs among them, each once.

    Raises `InvalidId`, `InvalidSeq`, `TooLarge`.
    """
    logs: dict[tuple[str, str], LogId] = {}
    stored: list[NewBlob] = []
    for topic, author, seq, data in blobs:
        log = logs.get((topic, author))
        if log is None:
            log = LogId(Namespace.LOGS, parse_topic(topic), parse_author(author))
            logs[topic, author] = log
        check_size(len(data))
        stored.append(NewBlob(log, parse_seq(seq), BlobClass.OPAQUE, stamp_ms, origin, data))
    return stored, list(logs.values())


def _canonical(client: str) -> str:
    host = client.partition("%")[0]
    if "." in host and ":" not in host:
        return host
    ip = bare_ip(host)
    return client if ip is None else str(ip)
