"""Ids are checked where they enter, and a log's key names it without ambiguity."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.errors import InvalidId, InvalidSeq
from meshbox.core.ids import (
    NODE_ID_LENGTH,
    LogId,
    Namespace,
    is_app_name,
    node_id_of,
    node_key_of,
    parse_author,
    parse_node_id,
    parse_seq,
    parse_topic,
)
from meshbox.core.limits import ID_BYTES_MAX, SEQ_MAX

ids = st.text(st.characters(exclude_characters=":\0", exclude_categories=["Cs"]), max_size=30)
logs = st.builds(LogId, st.sampled_from(Namespace), ids.map(parse_topic), ids.map(parse_author))


@pytest.mark.parametrize("parse", [parse_topic, parse_author])
@pytest.mark.parametrize("text", ["", "a", "é" * (ID_BYTES_MAX // 2), "f" * ID_BYTES_MAX])
def test_any_short_text_is_an_id(parse: object, text: str) -> None:
    assert parse(text) == text  # type: ignore[operator]


@pytest.mark.parametrize("parse", [parse_topic, parse_author])
@pytest.mark.parametrize("text", ["a:b", ":", "a\0", "f" * (ID_BYTES_MAX + 1), "é" * 65, "\ud800"])
def test_what_no_id_may_be(parse: object, text: str) -> None:
    with pytest.raises(InvalidId):
        parse(text)  # type: ignore[operator]


@given(logs, logs)
def test_two_logs_have_two_keys(one: LogId, other: LogId) -> None:
    assert (one.key == other.key) == (one == other)
    assert len(one.key) == 16


def test_a_name_cannot_be_moved_between_topic_and_author() -> None:
    one = LogId(Namespace.LOGS, parse_topic("ab"), parse_author("c"))
    other = LogId(Namespace.LOGS, parse_topic("a"), parse_author("bc"))
    assert one.key != other.key


@given(st.binary(min_size=32, max_size=32))
def test_a_node_id_spells_its_key(key: bytes) -> None:
    node_id = node_id_of(key)
    assert len(node_id) == NODE_ID_LENGTH
    assert parse_node_id(node_id) == node_id
    assert node_key_of(node_id) == key


@given(st.text(max_size=50))
def test_any_other_text_is_no_node_id(text: str) -> None:
    try:
        node_id = parse_node_id(text)
    except InvalidId:
        return
    assert node_id_of(node_key_of(node_id)) == text


@pytest.mark.parametrize("text", ["é" * NODE_ID_LENGTH, "!" * NODE_ID_LENGTH, "A" * 10**6])
def test_what_is_no_base64_or_too_long_is_no_node_id(text: str) -> None:
    with pytest.raises(InvalidId):
        parse_node_id(text)


def test_a_node_id_has_one_spelling() -> None:
    canonical = node_id_of(bytes(32))
    assert canonical.endswith("A")
    with pytest.raises(InvalidId):
        parse_node_id(canonical[:-1] + "B")


@pytest.mark.parametrize("seq", [0, 1, SEQ_MAX])
def test_seqs(seq: int) -> None:
    assert parse_seq(seq) == seq


@pytest.mark.parametrize("seq", [-1, SEQ_MAX + 1])
def test_no_seqs(seq: int) -> None:
    with pytest.raises(InvalidSeq):
        parse_seq(seq)


def test_names_of_the_apps() -> None:
    assert is_app_name("0aF9" * 16)
    for name in ("", "0" * 63, "0" * 65, "g" * 64, "0" * 64 + "\n", "\u0660" * 64):
        assert not is_app_name(name)


@pytest.mark.parametrize(("parse", "what"), [(parse_topic, "Topic ID"), (parse_author, "Author")])
@pytest.mark.parametrize("text", ["a:b", "f" * (ID_BYTES_MAX + 1), "\ud800"])
def test_a_refusal_says_which_id_is_wrong(parse: object, what: str, text: str) -> None:
    with pytest.raises(InvalidId, match=f"^{what} "):
        parse(text)  # type: ignore[operator]
