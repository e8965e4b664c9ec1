"""What a peer is told of the topics carried tells it just those that it knows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.ids import parse_topic
from meshbox.core.topics import (
    ALL_TOPICS,
    RULE_BYTES,
    TOPIC_HASH_BYTES,
    OwnTopics,
    ToldTopics,
)

NONCE = b"n" * 32
names = st.sets(st.text("abc", min_size=1, max_size=3).map(parse_topic), max_size=8)


@given(names, names)
def test_what_is_told_is_what_is_carried(own: set[str], others: set[str]) -> None:
    carried = OwnTopics(map(parse_topic, own))
    told = ToldTopics(NONCE, carried.told(NONCE))
    for topic in map(parse_topic, own | others):
        assert carried.carries(topic) == told.carries(topic) == (not own or topic in own)


@given(names, names)
def test_a_rule_is_of_the_topics_in_whatever_order(one: set[str], other: set[str]) -> None:
    rules = [
        OwnTopics(map(parse_topic, names)).rule for names in (sorted(one), sorted(other)[::-1])
    ]
    assert (rules[0] == rules[1]) == (one == other)


def test_all_topics_are_told_as_nothing() -> None:
    assert ALL_TOPICS.told(NONCE) == b""
    assert ToldTopics(NONCE, b"").rule == OwnTopics().rule


def test_names_are_not_told_and_sessions_not_linked() -> None:
    carried = OwnTopics([parse_topic("secret")])
    told = [carried.told(nonce) for nonce in (NONCE, b"m" * 32)]
    assert [len(each) for each in told] == [TOPIC_HASH_BYTES] * 2
    assert told[0] != told[1]
    assert ToldTopics(b"m" * 32, told[0]).carries(parse_topic("secret")) is False


def test_what_is_told_in_other_words_is_another_rule() -> None:
    told = OwnTopics([parse_topic("topic")]).told(NONCE)
    rules = [ToldTopics(nonce, told).rule for nonce in (NONCE, NONCE, b"m" * 32)]
    assert rules[0] == rules[1] != rules[2]
    assert len(rules[0]) == RULE_BYTES


def test_only_whole_hashes_at_their_places_tell() -> None:
    topic = parse_topic("topic")
    shifted = b"x" + OwnTopics([topic]).told(NONCE) + b"x" * (TOPIC_HASH_BYTES - 1)
    assert not ToldTopics(NONCE, shifted).carries(topic)
