"""/blips, as the apps from 0.19 on know it (rules: compat notes, G3), on each real engine."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http_api.serving import Service


async def store(service: Service, tree: Any, **more: Any) -> Any:
    answer = await service.post("/blips/store", {"blips": tree, **more})
    assert answer.status == 201
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json) == ["watermarks"]
    return answer.json["watermarks"]


async def get(service: Service, topics: Any) -> Any:
    answer = await service.post("/blips/get", {"topics": topics})
    assert answer.status == 200
    return answer.json["blips_by_topic"]


async def test_a_store_is_answered_with_the_watermarks_of_its_logs(any_service: Service) -> None:
    tree = {"t": {"a": {"0": "aGk=", "1": ""}, "b": {"3": ""}}, "u": {"a": {"0": ""}}, "v": {}}
    expected = {"t": {"a": 1, "b": None}, "u": {"a": 0}}
    assert await store(any_service, tree) == expected
    assert await store(any_service, tree) == expected, "told again, also when nothing changed"
    assert await store(any_service, {"t": {"b": {"0": "", "1": "", "2": ""}}}) == {"t": {"b": 3}}
    assert await store(any_service, {}) == {}


async def test_what_is_stored_is_got(any_service: Service) -> None:
    await store(any_service, {"t": {"a": {"0": "aGk=", "2": ""}}})
    assert await get(any_service, {"t": {"b": 0}, "u": {}}) == {
        "t": {"blips": {"a": {"0": "aGk=", "2": ""}}, "missing": {"b": [0]}},
        "u": {"blips": {}, "missing": {}},
    }


async def test_the_members_of_all_versions_are_taken(any_service: Service) -> None:
    members = {"sender_pubkey": "ab" * 32, "signature": [1, 2, 255], "blob_hashes": ["x"]}
    assert await store(any_service, {"t": {"a": {"0": "aGk="}}}, **members) == {"t": {"a": 0}}
    leaf = {"blip": "eA==", "scrub_hash": "ab" * 32}
    assert await store(any_service, {"t": {"a": {"1": leaf}}}, sender_pubkey=None) == {
        "t": {"a": 1}
    }
    assert (await get(any_service, {"t": {}}))["t"]["blips"] == {"a": {"0": "aGk=", "1": "eA=="}}


async def test_an_answer_too_large_for_a_page_says_that_there_is_more(service: Service) -> None:
    for start in (0, 600):
        await store(service, {"t": {"a": {str(start + n): "eA==" for n in range(600)}}})
    answer = await service.post("/blips/get", {"topics": {"t": {}}})
    assert answer.json["more"] is True
    first = answer.json["blips_by_topic"]["t"]["blips"]["a"]
    assert list(first) == [str(n) for n in range(1_000)]
    answer = await service.post("/blips/get", {"topics": {"t": {"a": 999}}})
    assert "more" not in answer.json
    rest = answer.json["blips_by_topic"]["t"]["blips"]["a"]
    assert list(rest) == [str(n) for n in range(1_000, 1_200)]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"blips": None},
        {"blobs": {}},
        {"blips": {"t": {"a": {"0": {}}}}},
        {"blips": {"t": {"a": {"0": 5}}}},
    ],
)
async def test_another_store_is_refused(service: Service, body: Any) -> None:
    assert (await service.post("/blips/store", body)).status == 422
