"""How many connections there may be, and which go first."""

from __future__ import annotations

from meshbox.storage.embedded.store import EmbeddedStore
from tests.http_api.serving import Service, serving
from tests.waiting import eventually

HEALTH = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"


async def test_connections_are_counted_while_they_last(service: Service) -> None:
    clients = [await service.connect() for _ in range(5)]
    await eventually(lambda: service.api.connections >= 5)
    for client in clients:
        async with client:
            pass
    await eventually(lambda: not service.api.connections)


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
