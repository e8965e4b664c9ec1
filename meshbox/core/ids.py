"""Names of things: topics, authors, logs, nodes.

Ids are tiny types over text, checked once where they enter (`parse_*`) and trusted afterwards.
A topic and an author are opaque: any text of at most `ID_BYTES_MAX` bytes without ':' and NUL.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from enum import IntEnum
from functools import lru_cache
from typing import Final, NamedTuple, NewType

from meshbox.core.errors import InvalidId, InvalidSeq
from meshbox.core.limits import ID_BYTES_MAX, LOG_KEYS_REMEMBERED, SEQ_MAX

Topic = NewType("Topic", str)
Author = NewType("Author", str)
NodeId = NewType("NodeId", str)
"""An Ed25519 public key as base64url without padding: 43 characters."""
LogKey = NewType("LogKey", bytes)
"""The 16 bytes by which every engine and every digest knows a log."""

_HEX64: Final = re.compile(r"[0-9a-fA-F]{64}")

NODE_ID_LENGTH = 43
NODE_KEY_BYTES = 32
LOG_KEY_BYTES = 16


class Namespace(IntEnum):
    """The family of a log: numbered by apps, or the unsequenced messages of design.md 4.10."""

    LOGS = 0
    MESSAGES = 1


class BlobClass(IntEnum):
    """Whether a blob proved to be its author's (design.md 4.2). The higher replaces the lower."""

    OPAQUE = 0
    VERIFIED = 1


class LogId(NamedTuple):
    """A log: one author's append-only sequence in one topic."""

    namespace: Namespace
    topic: Topic
    author: Author

    @property
    def key(self) -> LogKey:
        """blake2b-16 over namespace, topic, NUL, author: unambiguous, since ids have no NUL."""
        return _key_of(self)


@lru_cache(LOG_KEYS_REMEMBERED)
def _key_of(log: LogId) -> LogKey:
    name = b"%c%b\0%b" % (log.namespace, log.topic.encode(), log.author.encode())
    return LogKey(hashlib.blake2b(name, digest_size=LOG_KEY_BYTES).digest())


class Origin(NamedTuple):
    """Where a blob entered the mesh: the node that took the deposit, and its tag of the client.

    `node` is 32 raw key bytes, `tag` 4 salted bytes (design.md 4.9).
    """

    node: bytes
    tag: bytes


ORIGIN_TAG_BYTES = 4


def _checked(text: str, what: str) -> str:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidId(f"{what} is not valid Unicode text") from error
    if size > ID_BYTES_MAX:
        raise InvalidId(f"{what} has {size} bytes, at most {ID_BYTES_MAX} are allowed")
    if ":" in text or "\0" in text:
        raise InvalidId(f"{what} contains invalid character (colon or null): {text!r}")
    return text


def parse_topic(text: str) -> Topic:
    """The topic that `text` names; `InvalidId` when no topic may be called so."""
    return Topic(_checked(text, "Topic ID"))


def parse_author(text: str) -> Author:
    """The author that `text` names; `InvalidId` when no author may be called so."""
    return Author(_checked(text, "Author"))


def is_app_name(text: str) -> bool:
    """Whether a topic or author is named as all apps do, with 64 hex digits.

    An app that meets another name in an answer fails the whole fetch, so one stranger could cut off
    everybody in a topic.
    """
    return _HEX64.fullmatch(text) is not None


def parse_seq(number: int) -> int:
    """`number` as a position in a log; `InvalidSeq` outside 0 … 2^64 - 1."""
    if not 0 <= number <= SEQ_MAX:
        raise InvalidSeq(f"sequence number {number} is not in 0…2^64-1")
    return number


def parse_node_id(text: str) -> NodeId:
    """The node id that `text` spells, canonically; `InvalidId` for anything else."""
    try:
        key = base64.urlsafe_b64decode(text + "=") if len(text) == NODE_ID_LENGTH else b""
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != NODE_KEY_BYTES or node_id_of(key) != text:
        raise InvalidId(
            f"{text!r} is not a node id",
            hint="a node id is an Ed25519 key as 43 characters of base64url",
        )
    return NodeId(text)


def node_id_of(public_key: bytes) -> NodeId:
    """The node id of a raw 32-byte Ed25519 public key."""
    assert len(public_key) == NODE_KEY_BYTES
    return NodeId(base64.urlsafe_b64encode(public_key).decode().rstrip("="))


def node_key_of(node_id: NodeId) -> bytes:
    """The raw 32-byte Ed25519 public key that a (checked) node id spells."""
    return base64.urlsafe_b64decode(node_id + "=")
