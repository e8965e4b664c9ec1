"""What store and get have in common in both dialects."""

from __future__ import annotations

import json

import pytest

from meshbox.core.limits import REQUEST_LOGS_MAX, REQUEST_TOPICS_MAX
from tests.http_api.serving import Service


@pytest.mark.parametrize("path", ["/blobs/get", "/blips/get"])
@pytest.mark.parametrize(
    "topics",
    [
        {str(n): {} for n in range(REQUEST_TOPICS_MAX + 1)},
        {"t": {str(n): 0 for n in range(REQUEST_LOGS_MAX + 1)}},
    ],
    ids=["topics", "authors"],
)
async def test_too_many_names_are_refused(
    service: Service, path: str, topics: dict[str, dict[str, int]]
) -> None:
    assert (await service.post(path, {"topics": topics})).status == 413


async def test_as_many_names_as_allowed_are_answered(service: Service) -> None:
    topics = {"t": {str(n): 2**64 - 1 for n in range(REQUEST_LOGS_MAX)}}
    answer = await service.post("/blips/get", {"topics": topics})
    assert answer.status == 200
    missing = answer.json["blips_by_topic"]["t"]["missing"]
    assert missing == {name: [0] for name in topics["t"]}


async def test_an_answer_is_compact_and_in_the_order_of_its_bytes(service: Service) -> None:
    tree = {"é": {"b": {"10": "", "9": ""}, "a": {"2": "aGk="}}, "z": {}}
    await service.post("/blips/store", {"blips": tree})
    answer = await service.post(
        "/blobs/get", {"topics": {"é": {"c": 1}, "z": {}, "\U0001f600": {}}}
    )
    expected = {
        "blobs_by_topic": {
            "z": {"blobs": {}, "missing": {}},
            "é": {
                "blobs": {"a": {"2": "aGk="}, "b": {"9": "", "10": ""}},
                "missing": {"c": [0, 1]},
            },
            "\U0001f600": {"blobs": {}, "missing": {}},
        }
    }
    assert answer.body.decode() == json.dumps(expected, ensure_ascii=False, separators=(",", ":"))
