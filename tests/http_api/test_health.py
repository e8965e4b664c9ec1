"""/health."""

from __future__ import annotations

from tests.http_api.serving import Service, json_post
from tests.mailbox.stores import NODE_ID, NODE_KEY


async def test_health_names_the_mailbox(service: Service) -> None:
    answer = await service.request("GET", "/health")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json == {
        "status": "ok",
        "endpoint_id": NODE_ID,
        "endpoint_addr": {"id": NODE_KEY.hex(), "addrs": []},
    }


async def test_health_answers_head_too(service: Service) -> None:
    answer = await service.request("HEAD", "/health")
    assert (answer.status, answer.body) == (200, b"")


async def test_who_is_drained_is_answered_once_more_and_sent_elsewhere(service: Service) -> None:
    async with await service.connect() as client:
        await client.send(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        assert "connection" not in (await client.answer()).headers
        service.api.drain()
        await client.send(json_post("/blips/store", b'{"blips":{"t":{"a":{"0":"aGk="}}}}'))
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (201, "close")
        assert await client.closed() == b""
    answer = await service.request("GET", "/health")
    assert (answer.status, answer.body) == (
        503,
        b"the node stops (ask another node, or this one when it runs again)\n",
    )
