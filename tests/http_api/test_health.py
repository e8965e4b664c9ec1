"""/health."""

from __future__ import annotations

from tests.http_api.serving import Service
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
