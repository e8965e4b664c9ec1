from __future__ import annotations

import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.limits import SWARM_PACKET_BYTES_MAX, SWARM_RECORDS_MAX
from meshbox.discovery.swarm import wire
from tests.discovery.swarm.captured import ANSWER_060, ANSWER_065, QUERY

NAME = (b"_dashchat", b"_tcp", b"local")
labels = st.binary(min_size=1, max_size=63).map(bytes.lower)
names = st.lists(labels, min_size=1, max_size=8).filter(lambda n: sum(map(len, n)) + len(n) < 255)


def header(questions: int = 0, answers: int = 0) -> bytes:
    return struct.pack("!6H", 0, 0, questions, answers, 0, 0)


def question(name: bytes) -> bytes:
    return name + struct.pack("!HH", wire.PTR, wire.CLASS_IN)


@given(names)
def test_a_name_is_read_as_it_was_written(name: list[bytes]) -> None:
    assert wire.read_message(wire.encode_question(tuple(name))).asked == (tuple(name),)


def test_pointers_lead_to_what_was_before() -> None:
    message = header(2) + question(wire.encode_name(NAME))
    message += question(b"\1a" + wire.encode_pointer(12))
    assert wire.read_message(message).asked == (NAME, (b"a", *NAME))


def test_a_pointer_may_lead_to_a_name_that_ends_in_one() -> None:
    first = question(wire.encode_name(NAME))
    second = question(b"\1a" + wire.encode_pointer(12))
    third = question(b"\1b" + wire.encode_pointer(12 + len(first)))
    fourth = question(wire.encode_pointer(12 + len(first) + len(second)))
    asked = wire.read_message(header(4) + first + second + third + fourth).asked
    assert asked[2:] == ((b"b", b"a", *NAME), (b"b", b"a", *NAME))


@pytest.mark.parametrize(
    "name",
    [
        wire.encode_pointer(12),  # Itself.
        b"\1a" + wire.encode_pointer(12),  # A loop.
        wire.encode_pointer(14) + wire.encode_pointer(12),  # Two that lead to each other.
        wire.encode_pointer(40),  # Forwards, over the end.
        wire.encode_pointer(0),  # Into the header.
        b"\x40a\0",  # A kind of label that nobody uses.
        b"\x80a\0",
        b"\5abc",  # Cut off.
        (b"\x3f" + b"a" * 63) * 4 + b"\0",  # 257 bytes.
        b"\xc0",
        b"",
    ],
)
def test_names_that_lead_nowhere_make_the_message_malformed(name: bytes) -> None:
    with pytest.raises(wire.Malformed):
        wire.read_message(header(1) + question(name))


def test_a_name_grown_by_pointers_is_no_longer_than_any_other() -> None:
    first = b"".join(b"\x3f" + b"a" * 63 for _ in range(3)) + b"\0"
    second = b"\x3e" + b"b" * 62 + wire.encode_pointer(12)
    wire.read_message(header(1) + question(first))
    with pytest.raises(wire.Malformed):
        wire.read_message(header(2) + question(first) + question(second))


@pytest.mark.parametrize(
    "record",
    [
        wire.encode_record(b"\0", wire.A, b"abc"),
        wire.encode_record(b"\0", wire.AAAA, b"abcd"),
        wire.encode_record(b"\0", wire.SRV, b"abcd"),
        wire.encode_record(b"\0", wire.TXT, b"abcd")[:-1],
    ],
)
def test_records_of_a_wrong_length_make_the_message_malformed(record: bytes) -> None:
    with pytest.raises(wire.Malformed):
        wire.read_message(header(answers=1) + record)


def test_there_is_a_bound_on_records() -> None:
    record = wire.encode_record(b"\0", wire.TXT, b"")
    for count in (SWARM_RECORDS_MAX, SWARM_RECORDS_MAX + 1):
        message = header(answers=count) + record * count
        if count <= SWARM_RECORDS_MAX:
            assert len(wire.read_message(message).answers) == count
        else:
            with pytest.raises(wire.Malformed):
                wire.read_message(message)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_malformed(data: bytes) -> None:
    try:
        message = wire.read_message(data)
    except wire.Malformed:
        return
    assert len(message.asked) + len(message.answers) + len(message.additionals) <= 64


@given(st.sampled_from([QUERY, ANSWER_060, ANSWER_065]), st.data())
def test_damaged_messages_are_read_or_malformed(packet: bytes, data: st.DataObject) -> None:
    damaged = bytearray(packet)
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        wire.read_message(bytes(damaged))
    except wire.Malformed:
        return


def test_the_worst_message_is_read_in_milliseconds() -> None:
    long = b"\1a" * 120 + b"\0"
    message = header(SWARM_RECORDS_MAX) + question(long)
    for at in range(SWARM_RECORDS_MAX - 1):
        # Each leads to another place in the long name, so that no two have their rest in common.
        message += question(b"\1b" + wire.encode_pointer(12 + 2 * at))
    assert len(message) <= SWARM_PACKET_BYTES_MAX
    begun = time.thread_time()
    asked = wire.read_message(message).asked
    assert time.thread_time() - begun < 0.05
    assert len(asked) == SWARM_RECORDS_MAX
