"""One connection's requests: in their order, whole or not, and whom a bug of ours reaches.

What a slow or greedy client meets is in test_robustness.py.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from meshbox.core.limits import BODY_SMALL_BYTES_MAX, HTTP_SLICE_BYTES_MAX, MIB
from meshbox.http_api.connection import Connection
from meshbox.http_api.exchange import Answer, Exchange, Route
from meshbox.http_api.health import HealthApi
from meshbox.identity.certificate import LEAF_NAME, leaf
from meshbox.identity.key import mint
from meshbox.identity.tls import client_context, server_context
from meshbox.mailbox.deposit import ClientBlob
from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.storage.memory import MemoryKeyValue
from tests.http_api.serving import RawClient, Service, json_post, serving
from tests.waiting import eventually

HEALTH = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"


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


async def test_who_sends_nothing_more_is_answered_all_the_same(service: Service) -> None:
    async with await service.connect() as client:
        await client.send(HEALTH * 3)
        client.writer.write_eof()
        assert [(await client.answer()).status for _ in range(3)] == [200, 200, 200]
        assert await client.closed() == b""


async def test_a_body_that_ends_too_early_is_a_bad_request(service: Service) -> None:
    async with await service.connect() as client:
        await client.send(json_post("/blips/get", b"{", length=100))
        client.writer.write_eof()
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (400, "close")
        assert await client.closed() == b""


async def test_what_comes_before_a_fault_is_answered(service: Service) -> None:
    async with await service.connect() as client:
        await client.send(HEALTH * 2 + b"nonsense\r\n\r\n" + HEALTH)
        assert [(await client.answer()).status for _ in range(3)] == [200, 200, 400]
        assert await client.closed() == b""


async def test_after_a_request_to_close_nothing_is_answered(service: Service) -> None:
    closing = HEALTH[:-2] + b"connection: close\r\n\r\n"
    async with await service.connect() as client:
        await client.send(HEALTH + closing + HEALTH)
        assert (await client.answer()).headers.get("connection") is None
        assert (await client.answer()).headers["connection"] == "close"
        assert await client.closed() == b""


async def test_an_old_client_may_stay_when_it_asks(service: Service) -> None:
    old = b"GET /health HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"
    async with await service.connect() as client:
        for _ in range(2):
            await client.send(old)
            assert (await client.answer()).headers["connection"] == "keep-alive"


async def test_a_head_request_gets_the_length_and_no_body(service: Service) -> None:
    async with await service.connect() as client:
        await client.send(b"HEAD /health HTTP/1.1\r\nhost: x\r\n\r\n" + HEALTH)
        head = await client.reader.readuntil(b"\r\n\r\n")
        answer = await client.answer()
        assert b"content-length: %d\r\n" % len(answer.body) in head


async def test_an_offer_of_another_protocol_leaves_the_body_as_it_is(service: Service) -> None:
    """Java's client offers HTTP/2 with each POST."""
    offer = "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMA\r\n"
    request = json_post("/blips/get", b'{"topics":{}}', more=offer)
    async with await service.connect() as client:
        for cut in (0, len(request) - 5, len(request) - 13):
            await client.send(request[:cut])
            await asyncio.sleep(0)
            await client.send(request[cut:] + request)
            for _ in range(2):
                answer = await client.answer()
                assert (answer.status, answer.json) == (200, {"blips_by_topic": {}})


async def test_a_refused_request_with_a_long_body_gets_its_answer(service: Service) -> None:
    """Though it is still being sent, and no byte of it is wanted."""
    async with await service.connect() as client:
        await client.send(json_post("/nowhere", b" " * MIB, length=64 * MIB))
        assert (await client.answer()).status == 404


@asynccontextmanager
async def secured(service: Service, context: ssl.SSLContext) -> AsyncIterator[RawClient]:
    """A connection by TLS to a listener of its own."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", service.port, ssl=context, server_hostname=LEAF_NAME
    )
    async with RawClient(reader, writer) as client:
        yield client


async def test_by_tls_it_is_the_same(store: EmbeddedStore) -> None:
    identity = mint()
    async with serving(store, tls=server_context(leaf(identity)), head_ms_max=500) as service:
        context = client_context(identity.node_id)
        large = [ClientBlob("t", "a", seq, bytes(BODY_SMALL_BYTES_MAX)) for seq in range(30)]
        await service.mailbox.deposit(large, client="")
        poll = json_post("/blips/get", b'{"topics":{"t":{}}}')
        async with secured(service, context) as client:
            await client.send(HEALTH * 50 + poll + json_post("/blips/get", b" " * MIB))
            assert {(await client.answer()).status for _ in range(50)} == {200}
            assert len((await client.answer()).body) > 30 * BODY_SMALL_BYTES_MAX
            assert (await client.answer()).status == 400
        async with secured(service, context) as client:
            await client.send(json_post("/blips/get", b"", length=10**9))
            answer = await client.answer()
            assert (answer.status, answer.headers["connection"]) == (413, "close")
        async with secured(service, context) as client:
            await client.send(b"nonsense\r\n\r\n")
            assert (await client.answer()).status == 400
        async with secured(service, context) as client:
            await client.send(HEALTH[:-2])
            assert await client.closed() == b""
        await eventually(lambda: not service.api.connections)


async def test_only_a_slice_of_what_was_sent_waits_in_memory(
    store: EmbeddedStore, key_value: MemoryKeyValue
) -> None:
    """The rest stays with the client, while the first request is being handled."""
    async with serving(store) as service, await service.connect() as client:
        syncs = key_value.syncs
        key_value.hold_syncs()
        await client.send(json_post("/blips/store", b'{"blips":{"t":{"a":{"0":""}}}}'))
        await eventually(lambda: key_value.syncs != syncs)
        flooding = asyncio.create_task(client.send(HEALTH * 200_000))
        (connection,) = service.api._listening._live._live
        assert isinstance(connection, Connection)
        await eventually(lambda: connection._is_paused)
        assert len(connection._requests) <= HTTP_SLICE_BYTES_MAX // len(HEALTH) + 2
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
        key_value.release_syncs()
        assert (await client.answer()).status == 201
        assert (await client.answer()).status == 200
        client.writer.transport.abort()
