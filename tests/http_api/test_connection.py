"""How many connections there may be, and whom a bug of ours reaches.

What a slow or greedy client meets is in test_robustness.py.
"""

from __future__ import annotations

import asyncio

import pytest

from meshbox.http_api.exchange import Answer, Exchange, Route
from meshbox.http_api.health import HealthApi
from meshbox.storage.embedded.store import EmbeddedStore
from tests.http_api.serving import Service, serving

HEALTH = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"


async def test_connections_are_counted_while_they_last(service: Service) -> None:
    clients = [await service.connect() for _ in range(5)]
    while service.api.connections < 5:
        await asyncio.sleep(0)
    for client in clients:
        async with client:
            pass
    while service.api.connections:
        await asyncio.sleep(0)


async def test_the_least_recently_used_connections_go_first(store: EmbeddedStore) -> None:
    async with serving(store, connections_max=3) as service:
        first, second, third = [await service.connect() for _ in range(3)]
        for client in (first, second, third, first):
            await client.send(HEALTH)
            assert (await client.answer()).status == 200
        newcomers = [await service.connect() for _ in range(2)]
        assert await second.closed() == b""
        assert await third.closed() == b""
        for client in (first, *newcomers):
            await client.send(HEALTH)
            assert (await client.answer()).status == 200
        for client in (first, second, third, *newcomers):
            async with client:
                pass
        assert service.api.connections <= 3


async def test_a_bug_of_ours_is_logged_and_told_as_one(
    store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(exchange: Exchange) -> Answer:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(HealthApi, "routes", lambda _: (Route("GET", "/health", broken),))
    async with serving(store) as service:
        answer = await service.request("GET", "/health")
        assert (answer.status, answer.body) == (500, b"internal error\n")
        assert answer.headers["access-control-allow-origin"] == "*"
        assert (await service.post("/blips/get", {"topics": {}})).status == 200
    (record,) = caplog.records
    assert record.name == "meshbox.http"
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError
