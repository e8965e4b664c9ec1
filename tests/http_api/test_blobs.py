"""/blobs, as the apps up to 0.18 know it (rules: compat notes, G1), on each real engine."""

from __future__ import annotations

from typing import Any

import pytest

from meshbox.core.limits import MISSING_MAX
from meshbox.core.retention import RETENTION_MAX_MS
from tests.clocks import ManualClock
from tests.http_api.serving import Service


async def store(service: Service, tree: Any) -> None:
    answer = await service.post("/blobs/store", {"blobs": tree})
    assert (answer.status, answer.body) == (201, b"")
    assert "content-type" not in answer.headers


async def get(service: Service, topics: Any) -> Any:
    answer = await service.post("/blobs/get", {"topics": topics})
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json) == ["blobs_by_topic"]
    return answer.json["blobs_by_topic"]


async def test_what_is_stored_is_got(any_service: Service) -> None:
    await store(any_service, {"t": {"a": {"0": "aGk=", "1": ""}}, "u": {"b": {"7": "eA=="}}})
    assert await get(any_service, {"t": {}, "u": {}, "unknown": {}}) == {
        "t": {"blobs": {"a": {"0": "aGk=", "1": ""}}, "missing": {}},
        "u": {"blobs": {"b": {"7": "eA=="}}, "missing": {}},
        "unknown": {"blobs": {}, "missing": {}},
    }


async def test_only_requested_topics_are_got(any_service: Service) -> None:
    await store(any_service, {"t": {"a": {"0": ""}}})
    assert await get(any_service, {}) == {}
    assert await get(any_service, {"tt": {}}) == {"tt": {"blobs": {}, "missing": {}}}


async def test_a_height_is_exclusive_and_an_unnamed_author_comes_whole(
    any_service: Service,
) -> None:
    await store(any_service, {"t": {"a": {"0": "", "1": "", "2": ""}, "b": {"0": ""}}})
    found = await get(any_service, {"t": {"a": 1}})
    assert found["t"] == {"blobs": {"a": {"2": ""}, "b": {"0": ""}}, "missing": {}}
    found = await get(any_service, {"t": {"a": 2, "b": 0}})
    assert found["t"] == {"blobs": {}, "missing": {}}


async def test_missing_is_told_of_requested_authors_only(any_service: Service) -> None:
    await store(any_service, {"t": {"a": {"0": "", "3": ""}, "b": {"5": ""}}})
    found = await get(any_service, {"t": {"a": 5, "c": 1}})
    assert found["t"]["missing"] == {"a": [1, 2, 4, 5], "c": [0, 1]}
    found = await get(any_service, {"t": {"a": 0}})
    assert found["t"]["missing"] == {}


async def test_what_expired_below_the_watermark_or_above_is_not_asked_for_again(
    any_service: Service, clock: ManualClock
) -> None:
    await store(any_service, {"t": {"a": {"0": "", "1": "", "5": ""}}})
    clock.advance(RETENTION_MAX_MS)
    assert await get(any_service, {"t": {"a": 5}}) == {
        "t": {"blobs": {}, "missing": {"a": [2, 3, 4]}}
    }


async def test_the_first_of_two_contents_stays(any_service: Service) -> None:
    await store(any_service, {"t": {"a": {"0": "QQ=="}}})
    await store(any_service, {"t": {"a": {"0": "Qg=="}}})
    assert (await get(any_service, {"t": {}}))["t"]["blobs"] == {"a": {"0": "QQ=="}}


@pytest.mark.parametrize("height", [10**9, 2**63, 2**64 - 1])
async def test_a_great_height_is_answered(any_service: Service, height: int) -> None:
    await store(any_service, {"t": {"a": {"0": "", str(2**64 - 1): ""}}})
    found = await get(any_service, {"t": {"a": height}})
    assert found["t"]["missing"]["a"] == list(range(1, MISSING_MAX + 1))


async def test_the_highest_seq_is_stored_and_got(any_service: Service) -> None:
    top = str(2**64 - 1)
    await store(any_service, {"t": {"a": {top: "aGk="}}})
    assert (await get(any_service, {"t": {}}))["t"]["blobs"] == {"a": {top: "aGk="}}
    assert (await get(any_service, {"t": {"a": 2**64 - 2}}))["t"]["blobs"] == {"a": {top: "aGk="}}


async def test_blobs_and_blips_are_one(any_service: Service) -> None:
    await store(any_service, {"t": {"a": {"0": "aGk="}}})
    await any_service.post("/blips/store", {"blips": {"t": {"a": {"1": "eA=="}}}})
    assert (await get(any_service, {"t": {}}))["t"]["blobs"] == {"a": {"0": "aGk=", "1": "eA=="}}


@pytest.mark.parametrize("tree", [{}, {"t": {}}, {"t": {"a": {}}}, {"a:b": {}}])
async def test_a_store_of_nothing_is_a_success(service: Service, tree: Any) -> None:
    await store(service, tree)
    assert (await get(service, {"t": {}}))["t"] == {"blobs": {}, "missing": {}}


@pytest.mark.parametrize(
    ("tree", "status"),
    [
        ({"a:b": {"a": {"0": ""}}}, 422),
        ({"t": {"a\0": {"0": ""}}}, 422),
        ({"t" * 129: {"a": {"0": ""}}}, 422),
        ({"t": {"a": {"-1": ""}}}, 422),
        ({"t": {"a": {str(2**64): ""}}}, 422),
        ({"t": {"a": {"x": ""}}}, 400),
        ({"t": {"a": {"0": "A"}}}, 422),
        ({"t": {"a": {"0": "AB=="}}}, 422),
        ({"t": {"a": {"0": None}}}, 422),
        ({"t": {"a": {"0": {"blip": ""}}}}, 422),
        ({"t": {"a": ["", ""]}}, 422),
        ({"t": []}, 422),
        ({"t": {"a": {str(2 * n): "" for n in range(1_025)}}}, 422),
        ({str(n): {} for n in range(4_096)}, 413),
        ({"t": {str(n): {} for n in range(65_536)}}, 413),
        ({"t": {"a": {str(n): "" for n in range(16_384)}}}, 413),
    ],
)
async def test_one_bad_blob_refuses_the_whole_store(
    service: Service, tree: Any, status: int
) -> None:
    answer = await service.post("/blobs/store", {"blobs": {"good": {"a": {"0": ""}}, **tree}})
    assert answer.status == status
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.body
    assert (await get(service, {"good": {}}))["good"] == {"blobs": {}, "missing": {}}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"blobs": None}, 422),
        ({"blobs": []}, 422),
        ({}, 422),
        ([{"t": {}}], 422),
        (b"null", 422),
        (b"", 400),
        (b"{", 400),
        (b'{"blobs":{}}x', 400),
        (b'{"blobs":{"\xff":{}}}', 400),
    ],
)
async def test_what_is_no_store_is_refused(service: Service, body: Any, status: int) -> None:
    assert (await service.post("/blobs/store", body)).status == status


async def test_hashes_on_the_store_route_are_an_announcement_of_media(service: Service) -> None:
    answer = await service.post(
        "/blobs/store",
        {"blob_hashes": ["ab" * 32], "sender_pubkey": None, "expect_upload": True, "signature": []},
    )
    assert (answer.status, answer.json) == (200, {"already_stored": []})


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"topics": {"a:b": {}}}, 422),
        ({"topics": {"t": {"a:b": 0}}}, 422),
        ({"topics": {"t": {"a": -1}}}, 422),
        ({"topics": {"t": {"a": 2**64}}}, 422),
        ({"topics": {"t": {"a": 1.5}}}, 422),
        ({"topics": {"t": {"a": None}}}, 422),
        ({"topics": {"t": None}}, 422),
        ({"topics": []}, 422),
        ({}, 422),
        (b'{"topics":{"t":{"a":01}}}', 400),
    ],
)
async def test_a_bad_get_is_refused(service: Service, body: Any, status: int) -> None:
    assert (await service.post("/blobs/get", body)).status == status
