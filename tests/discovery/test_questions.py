from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from zeroconf import (  # type: ignore[attr-defined]
    DNSIncoming,
    DNSOutgoing,
    DNSPointer,
    DNSService,
    DNSText,
    Zeroconf,
    current_time_millis,
)

from meshbox.discovery import questions
from meshbox.discovery.responder import Responder

TYPE = "_meshbox-q._tcp.local."
A, B = f"a.{TYPE}", f"b.{TYPE}"


@pytest.fixture
async def zeroconf() -> AsyncIterator[Zeroconf]:
    """One that knows A and B, on no network."""
    opened = Responder()
    now = current_time_millis()
    opened.zeroconf.cache.async_add_records(
        [
            DNSPointer(TYPE, 12, 1, 4500, A, now),
            DNSPointer(TYPE, 12, 1, 4500, B, now),
            DNSService(A, 33, 1, 120, 0, 0, 3000, "a.local.", now - 500),
            DNSService(A, 33, 1, 120, 0, 0, 4000, "a.local.", now - 100),
            DNSText(A, 16, 1, 4500, b"\x03x=1", now),
            DNSText(A, 16, 1, 4500, b"\x03x=2", now),
        ]
    )
    yield opened.zeroconf
    await opened.close()


def parsed(out: DNSOutgoing) -> list[DNSIncoming]:
    return [DNSIncoming(packet) for packet in out.packets()]


def test_whoever_is_known_need_not_answer(zeroconf: Zeroconf) -> None:
    (packet,) = parsed(questions.for_instances(zeroconf, TYPE, [A.upper()]))
    (question,) = packet.questions
    assert (question.name, question.type, question.class_, question.unicast) == (TYPE, 12, 1, False)
    pointers = [answer for answer in packet.answers() if isinstance(answer, DNSPointer)]
    assert [pointer.alias for pointer in pointers] == [A]


def test_the_question_is_byte_for_byte_what_the_apps_read(zeroconf: Zeroconf) -> None:
    out = questions.for_instances(zeroconf, "_dashchat._tcp.local.", [])
    assert out.packets() == [
        bytes.fromhex(
            "000000000001000000000000095f6461736863686174045f746370056c6f63616c00000c0001"
        )
    ]


def test_many_locations_are_asked_for_in_packets_of_a_frame() -> None:
    names = [f"{'n' * 43}{i}.{TYPE}" for i in range(200)]
    packets = parsed(questions.for_locations(names))
    assert [question.name for packet in packets for question in packet.questions] == names
    assert all(len(packet.data) <= 1_460 for packet in packets)
    assert all(question.type == 33 for packet in packets for question in packet.questions)


def test_a_name_that_fits_no_packet_is_dropped(zeroconf: Zeroconf) -> None:
    questions.send(zeroconf, questions.for_locations([f"{'x' * 64}.{TYPE}"]))


def test_heard_is_the_latest_record(zeroconf: Zeroconf) -> None:
    age = current_time_millis() - questions.heard_ms(zeroconf, A)
    assert 100 <= age < 500
    assert questions.heard_ms(zeroconf, B) == 0.0


def test_texts_lie_side_by_side(zeroconf: Zeroconf) -> None:
    assert questions.cached_texts(zeroconf, A) == [b"\x03x=1", b"\x03x=2"]


def test_what_is_purged_is_unknown(zeroconf: Zeroconf) -> None:
    questions.purge(zeroconf, TYPE, [A.upper()])
    assert questions.cached_instances(zeroconf, TYPE) == [B]
    assert questions.heard_ms(zeroconf, A) == 0.0
    assert questions.cached_texts(zeroconf, A) == []
    questions.purge(zeroconf, TYPE, [A])
