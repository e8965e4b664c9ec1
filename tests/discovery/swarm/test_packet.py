from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.address import Endpoint
from meshbox.core.ids import NodeId, node_id_of
from meshbox.core.limits import DISCOVERED_ENDPOINTS_MAX
from meshbox.discovery.swarm import wire
from meshbox.discovery.swarm.packet import (
    Packet,
    Sighting,
    answer,
    label_of,
    mailbox_id_of,
    query,
    read,
    read_strings,
)
from tests.discovery.swarm.captured import ANSWER_060, ANSWER_065, LABEL, NODE, QUERY, TYPE

AT = Endpoint("10.77.0.1", 3000)
SEEN = Packet(is_query=False, sightings=(Sighting(LABEL, (AT,), is_leaving=False),))
NOTHING = Packet(is_query=False, sightings=())

keys = st.binary(min_size=32, max_size=32)
ports = st.integers(1, 65_535)
addresses = st.lists(
    st.ip_addresses(v=4).map(str), min_size=1, max_size=DISCOVERED_ENDPOINTS_MAX, unique=True
)


def answered(**changes: object) -> bytes:
    told = {"label": LABEL, "port": 3000, "addresses": [AT.host], "is_leaving": False} | changes
    return answer(TYPE, **told)  # type: ignore[arg-type]


def test_what_is_sent_is_what_the_library_sends() -> None:
    assert query(TYPE) == QUERY
    assert answered() == ANSWER_060


@pytest.mark.parametrize("packet", [ANSWER_060, ANSWER_065])
def test_the_librarys_answers_are_read(packet: bytes) -> None:
    assert read(packet, TYPE) == SEEN


def test_a_question_is_read_whatever_the_case() -> None:
    assert read(QUERY, TYPE).is_query
    assert read(QUERY.replace(b"dashchat", b"DashChat"), TYPE).is_query


def test_what_the_apps_take_for_no_question_is_none() -> None:
    assert not read(QUERY[:-2] + b"\x80\x01", TYPE).is_query  # The unicast bit.
    assert not read(QUERY[:-3] + b"\x21\x00\x01", TYPE).is_query  # SRV.
    assert not read(QUERY, "_dashchat-camp._tcp.local.").is_query


def test_a_packet_that_asks_too_tells_of_nobody() -> None:
    question = QUERY[12:]
    # The pointer of the address has to follow the name behind the question.
    pointer = wire.encode_pointer(103 + len(question))
    both = ANSWER_060[:4] + b"\0\1" + ANSWER_060[6:12] + question + ANSWER_060[12:-16]
    both += pointer + ANSWER_060[-14:]
    assert read(both, TYPE) == Packet(is_query=True, sightings=())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\x00\x21\x00\x01", b"\x00\x21\x80\x01"),  # The flush bit at the SRV record.
        (b"\xc0\x67\x00\x01\x00\x01", b"\xc0\x67\x00\x01\x80\x01"),  # At the A record.
        (b"\x00\x01\x00\x00\x00\x01", b"\x00\x02\x00\x00\x00\x00"),  # A among the answers.
        (b"\x00\x01\x00\x00\x00\x01", b"\x00\x00\x00\x00\x00\x02"),  # SRV among the additionals.
        (b"\xc0\x67\x00\x01", b"\xc0\x0c\x00\x01"),  # An address of another name.
    ],
)
def test_what_no_app_lists_is_not_seen(old: bytes, new: bytes) -> None:
    assert ANSWER_060.count(old) == 1
    assert read(ANSWER_060.replace(old, new), TYPE) == NOTHING


def test_who_leaves_says_so() -> None:
    (sighting,) = read(answered(is_leaving=True), TYPE).sightings
    assert sighting == Sighting(LABEL, (AT,), is_leaving=True)


def test_a_packet_larger_than_the_apps_read_is_not_read() -> None:
    assert read(ANSWER_060 + bytes(1_472), TYPE) == NOTHING


@given(keys, ports, addresses, st.booleans())
def test_what_is_built_is_read_and_fits(
    key: bytes, port: int, hosts: list[str], is_leaving: bool
) -> None:
    label = label_of(node_id_of(key))
    built = answer(TYPE, label=label, port=port, addresses=hosts, is_leaving=is_leaving)
    expected = Sighting(label, tuple(Endpoint(host, port) for host in hosts), is_leaving)
    assert read(built, TYPE).sightings == (expected,)
    assert len(built) <= 1_472


@given(st.integers(0, len(ANSWER_065) - 1), st.integers(0, 255), st.integers(0, 200))
def test_a_damaged_packet_is_read_or_says_nothing(at: int, byte: int, cut: int) -> None:
    damaged = bytearray(ANSWER_065)
    damaged[at] = byte
    assert isinstance(read(bytes(damaged[: len(damaged) - cut]), TYPE), Packet)


@given(keys)
def test_the_label_is_the_key(key: bytes) -> None:
    node_id = node_id_of(key)
    label = label_of(node_id)
    assert label == label.lower()
    assert mailbox_id_of(label) == node_id
    assert mailbox_id_of(label.upper()) == node_id


@pytest.mark.parametrize("label", ["", "browse-17-0", NODE, "a" * 51, "a" * 53, "1" * 52, "ä" * 52])
def test_labels_that_are_no_key_are_no_mailbox(label: str) -> None:
    assert mailbox_id_of(label) is None


def test_the_captured_label_is_the_key_that_it_was_made_of() -> None:
    assert label_of(NodeId(NODE)) == LABEL


@given(st.binary(max_size=600))
def test_strings_end_with_their_record(txt: bytes) -> None:
    strings = read_strings(txt)
    assert sum(len(string) + 1 for string in strings) <= len(txt)
    assert (b"".join(bytes([len(s)]) + s for s in strings[:-1])) == txt[
        : sum(len(s) + 1 for s in strings[:-1])
    ]
