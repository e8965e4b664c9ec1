"""/messages, the relay's API, on each real engine."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clocks import ManualClock
from tests.http_api.serving import Service


async def test_messages_are_got_oldest_first_and_once(
    any_service: Service, clock: ManualClock
) -> None:
    for text in ("aQ==", "bQ==", "aQ==", ""):
        answer = await any_service.post("/messages/store", {"topic_id": "t", "message": text})
        assert (answer.status, answer.body) == (201, b"")
        clock.advance(1)
    answer = await any_service.post("/messages/get", {"topic_ids": ["t", "unknown", "t"]})
    assert answer.status == 200
    assert answer.json == {"messages": {"t": ["aQ==", "bQ==", ""], "unknown": []}}


async def test_messages_and_logs_do_not_meet(any_service: Service) -> None:
    await any_service.post("/messages/store", {"topic_id": "t", "message": "aQ=="})
    answer = await any_service.post("/blips/get", {"topics": {"t": {}}})
    assert answer.json == {"blips_by_topic": {"t": {"blips": {}, "missing": {}}}}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/messages/store", {"topic_id": "a:b", "message": ""}, 422),
        ("/messages/store", {"topic_id": "t", "message": "A"}, 422),
        ("/messages/store", {"topic_id": "t"}, 422),
        ("/messages/store", {"topic_id": 5, "message": ""}, 422),
        ("/messages/store", b"x", 400),
        ("/messages/get", {"topic_ids": ["a:b"]}, 422),
        ("/messages/get", {"topic_ids": "t"}, 422),
        ("/messages/get", {"topic_ids": [str(n) for n in range(4_097)]}, 413),
    ],
)
async def test_bad_requests_are_refused(
    service: Service, path: str, body: Any, status: int
) -> None:
    assert (await service.post(path, body)).status == status
