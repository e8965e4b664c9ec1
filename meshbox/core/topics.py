"""Which topics a node carries: by default all. What it does not carry it is not offered by peers.

A node tells its peers what it carries in its hello, as hashes keyed with the hello's nonce: a peer
can test the topics that it knows already, and learns no others. Eight bytes suffice: a topic that
is taken for another is offered in vain, and not wanted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final, Protocol

from meshbox.core.ids import Topic

TOPIC_HASH_BYTES: Final = 8
RULE_BYTES: Final = 8


class Carried(Protocol):
    """The topics that a node, this one or a peer, carries."""

    @property
    def rule(self) -> bytes:
        """`RULE_BYTES` that are the same for the same topics, told in the same words."""

    def carries(self, topic: Topic) -> bool:
        """Whether it is to be offered the topic's blobs."""


class OwnTopics:
    """The topics that this node carries."""

    def __init__(self, topics: Iterable[Topic] = ()) -> None:
        """None of them: all there are."""
        self._topics = frozenset(topics)
        self.rule = _rule(topic.encode() for topic in sorted(self._topics))

    def carries(self, topic: Topic) -> bool:
        """See `Carried`."""
        return not self._topics or topic in self._topics

    def told(self, nonce: bytes) -> bytes:
        """What a hello with `nonce` says of them; nothing where they are all."""
        return b"".join(sorted(_hash(topic, nonce) for topic in self._topics))


class ToldTopics:
    """The topics that a peer says it carries."""

    def __init__(self, nonce: bytes, told: bytes) -> None:
        """What its hello said; `told` has whole hashes."""
        self._nonce = nonce
        self._hashes = frozenset(
            told[at : at + TOPIC_HASH_BYTES] for at in range(0, len(told), TOPIC_HASH_BYTES)
        )
        self.rule = _rule((nonce, told)) if told else ALL_TOPICS.rule

    def carries(self, topic: Topic) -> bool:
        """See `Carried`."""
        return not self._hashes or _hash(topic, self._nonce) in self._hashes


def _hash(topic: Topic, nonce: bytes) -> bytes:
    return hashlib.blake2b(topic.encode(), digest_size=TOPIC_HASH_BYTES, key=nonce).digest()


def _rule(parts: Iterable[bytes]) -> bytes:
    rule = hashlib.blake2b(digest_size=RULE_BYTES)
    for part in parts:
        rule.update(len(part).to_bytes(4, "big") + part)
    return rule.digest()


ALL_TOPICS: Final = OwnTopics()
