"""`?wait=` over HTTP: answered when there is something new, at the latest in time."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.http_api.serving import Service, json_post, opened
from tests.waiting import eventually

GETS = ["/blobs/get", "/blips/get"]
ONE = {"blips": {"t": {"a": {"0": "aGk="}}}}


async def waiter(service: Service, path: str = "/blips/get") -> asyncio.Task:
    """A request that waits already, for topic t."""
    task = asyncio.create_task(service.post(f"{path}?wait=50", {"topics": {"t": {}}}))
    await eventually(lambda: service.mailbox.waiters)
    return task


@pytest.mark.parametrize("path", GETS)
async def test_it_is_answered_as_soon_as_something_is_stored(
    any_service: Service, path: str
) -> None:
    waiting = await waiter(any_service, path)
    assert (await any_service.post("/blips/store", ONE)).status == 201
    answer = await asyncio.wait_for(waiting, 20)
    assert (answer.status, b'"0":"aGk="' in answer.body) == (200, True)


@pytest.mark.parametrize("path", GETS)
@pytest.mark.parametrize("wait", ["0.05", "0", "0.000000001"])
async def test_when_nothing_comes_it_is_answered_as_ever(
    service: Service, path: str, wait: str
) -> None:
    body = {"topics": {"t": {"a": 1}}}
    answer = await service.post(f"{path}?wait={wait}", body)
    assert answer == (200, answer.headers, (await service.post(path, body)).body)


@pytest.mark.parametrize("path", GETS)
async def test_what_is_there_is_answered_at_once(service: Service, path: str) -> None:
    await service.post("/blips/store", ONE)
    answer = await asyncio.wait_for(
        service.post(f"{path}?wait=999999999", {"topics": {"t": {}}}), 20
    )
    assert b'"0":"aGk="' in answer.body


@pytest.mark.parametrize(
    "query",
    [
        *("wait=", "wait", "wait=-1", "wait=x", "wait=1e3", "wait=nan", "wait=inf", "wait=+1"),
        *("wait=%201", "wait=1.", "wait=.5", "wait=1&wait=1", "wait=1&" + "x=1&" * 16),
    ],
)
async def test_what_is_no_number_of_seconds_is_422(service: Service, query: str) -> None:
    answer = await service.post(f"/blips/get?{query}", {"topics": {}})
    assert answer.status == 422
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


async def test_other_parameters_are_ignored(service: Service) -> None:
    answer = await service.post("/blips/get?later=1&wait=0", {"topics": {}})
    assert answer.status == 200


async def test_whoever_leaves_waits_no_more(service: Service) -> None:
    async with await service.connect() as client:
        await client.send(
            json_post("/blips/get?wait=50", json.dumps({"topics": {"t": {}}}).encode())
        )
        await eventually(lambda: service.mailbox.waiters)
    await eventually(lambda: not service.mailbox.waiters)
    assert (await service.post("/blips/store", ONE)).status == 201


async def test_who_sends_nothing_more_is_answered_at_once(service: Service) -> None:
    async with await service.connect() as client:
        body = json.dumps({"topics": {"t": {}}}).encode()
        await client.send(json_post("/blips/get?wait=50", body))
        await eventually(lambda: service.mailbox.waiters)
        client.writer.write_eof()
        assert (await asyncio.wait_for(client.answer(), 20)).status == 200


async def test_the_memory_of_a_large_request_is_not_kept_meanwhile(service: Service) -> None:
    padding = " " * 1_000_000
    body = json.dumps({"topics": {"t": {}}}).encode() + padding.encode()
    task = asyncio.create_task(service.post("/blips/get?wait=50", body))
    await eventually(lambda: service.mailbox.waiters)
    assert service.api.body_bytes_lent == 0
    await service.post("/blips/store", ONE)
    assert (await asyncio.wait_for(task, 20)).status == 200


async def test_stopping_answers_who_waits_at_once() -> None:
    async with opened(stop_ms_max=60_000) as service:
        waiting = await waiter(service)
        await asyncio.wait_for(service.api.stop(), 20)
        answer = await asyncio.wait_for(waiting, 20)
        assert (answer.status, answer.json["blips_by_topic"]["t"]["blips"]) == (200, {})
