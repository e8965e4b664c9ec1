"""Routes, headers and faults that all generations have in common."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from meshbox.core.address import Endpoint
from meshbox.http_api.settings import Generation, IdRule
from meshbox.identity.certificate import LEAF_NAME, leaf
from meshbox.identity.key import mint
from meshbox.identity.tls import client_context, server_context
from meshbox.node.listeners import listen
from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.storage.memory import MemoryKeyValue
from tests.http_api.serving import JSON_HEADERS, Answered, Service, json_post, serving
from tests.waiting import eventually

VARY = "origin, access-control-request-method, access-control-request-headers"
STORE = {"blips": {"t": {"a": {"0": "aGk="}}}}


def assert_cors(answer: Answered) -> None:
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-expose-headers"] == "*"
    assert answer.headers["vary"] == VARY
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "path", ["/", "/blips", "/blips/", "/blips/get/", "/BLIPS/get", "/dollops/get"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_another_path_is_not_found(service: Service, method: str, path: str) -> None:
    answer = await service.request(method, path)
    assert (answer.status, answer.body) == (404, b"")
    assert_cors(answer)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/health", "GET,HEAD"),
        ("/blips/get", "POST"),
        ("/blobs/store", "POST"),
        ("/report", "POST"),
    ],
)
async def test_another_method_is_not_allowed(service: Service, path: str, allowed: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "QUERY"):
        if method not in allowed.split(","):
            answer = await service.request(method, path)
            assert (answer.status, answer.body) == (405, b"")
            assert answer.headers["allow"] == allowed
            assert_cors(answer)


@pytest.mark.parametrize("path", ["/health", "/blips/get", "/nowhere", "*"])
async def test_any_options_is_answered_for_browsers(service: Service, path: str) -> None:
    async with await service.connect() as client:
        await client.send(f"OPTIONS {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        answer = await client.answer()
    assert (answer.status, answer.body) == (200, b"")
    assert {k: v for k, v in answer.headers.items() if k.startswith(("access", "vary"))} == {
        "access-control-allow-origin": "*",
        "access-control-allow-methods": "*",
        "access-control-allow-headers": "*",
        "vary": VARY,
    }


async def test_a_query_is_ignored(service: Service) -> None:
    assert (await service.request("GET", "/health?x=1&y")).status == 200
    assert (await service.post("/blips/store?x", STORE)).status == 201


@pytest.mark.parametrize("target", ["http://host/health", "http://host:80/health?x"])
async def test_a_whole_url_is_a_path_too(service: Service, target: str) -> None:
    async with await service.connect() as client:
        await client.send(f"GET {target} HTTP/1.1\r\nhost: host\r\n\r\n".encode())
        assert (await client.answer()).status == 200


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=latin-1",
        "application/vnd.api+json",
        "application/problem+json; x=y",
    ],
)
async def test_json_is_said_in_many_ways(service: Service, content_type: str) -> None:
    answer = await service.request(
        "POST", "/blips/get", body=b'{"topics":{}}', headers={"content-type": content_type}
    )
    assert answer.status == 200
    assert_cors(answer)


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/json"},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/jsonx"},
        {"content-type": "application/json, text/plain"},
        {"content-type": "json"},
        {"content-type": ""},
        {**JSON_HEADERS, "content-encoding": "gzip"},
        {**JSON_HEADERS, "content-encoding": "identity"},
        {**JSON_HEADERS, "content-encoding": "br, deflate"},
        {**JSON_HEADERS, "expect": "miracles"},
    ],
)
async def test_what_is_not_plain_json_is_unsupported(
    service: Service, headers: dict[str, str]
) -> None:
    raw = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    async with await service.connect() as client:
        await client.send(
            f"POST /blips/get HTTP/1.1\r\nhost: x\r\n{raw}content-length: 13\r\n\r\n".encode()
            + b'{"topics":{}}'
        )
        answer = await client.answer()
    assert answer.status == 415
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert_cors(answer)


async def test_a_request_without_a_content_type_is_unsupported(service: Service) -> None:
    async with await service.connect() as client:
        await client.send(b"POST /blips/get HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
        assert (await client.answer()).status == 415


async def test_the_headers_are_judged_before_the_body(service: Service) -> None:
    """Of a body of a gigabyte that nobody will send, the Content-Type is wrong first."""
    async with await service.connect() as client:
        await client.send(
            b"POST /blips/get HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\n"
        )
        assert (await client.answer()).status == 415
    async with await service.connect() as client:
        await client.send(json_post("/blips/get", b"", length=10**9))
        assert (await client.answer()).status == 413


async def test_a_connection_serves_request_after_request(service: Service) -> None:
    async with await service.connect() as client:
        for _ in range(3):
            await client.send(json_post("/blips/store", b'{"blips":{}}'))
            assert (await client.answer()).status == 201
        await client.send(json_post("/blips/store", b"{"))
        assert (await client.answer()).status == 400
        await client.send(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await client.answer()).status == 200


async def test_an_old_client_is_answered_and_left(service: Service) -> None:
    async with await service.connect() as client:
        await client.send(b"GET /health HTTP/1.0\r\n\r\n")
        assert (await client.answer()).status == 200
        assert await client.closed() == b""


@pytest.mark.parametrize(
    ("generations", "served"),
    [
        ({Generation.BLOBS}, {"/blobs/store", "/blobs/get"}),
        (
            {Generation.BLIPS},
            {"/blips/store", "/blips/get", "/blobs/register-hashes", "/report", "/peers/register"},
        ),
        ({Generation.MESSAGES}, {"/messages/store", "/messages/get"}),
        (set(), set()),
    ],
)
async def test_only_the_chosen_generations_are_served(
    store: EmbeddedStore, generations: set[Generation], served: set[str]
) -> None:
    paths = {
        *("/blobs/store", "/blobs/get", "/blips/store", "/blips/get", "/blobs/register-hashes"),
        *("/messages/store", "/messages/get", "/report", "/peers/register"),
    }
    async with serving(store, generations=frozenset(generations)) as service:
        found = {path for path in paths if (await service.post(path, {})).status != 404}
        assert found == served
        assert (await service.request("GET", "/health")).status == 200


HEX = "ab" * 32


@pytest.mark.parametrize(
    ("path", "document", "status"),
    [
        ("/blips/store", {"blips": {HEX: {HEX: {"0": ""}}}}, 201),
        ("/blips/store", {"blips": {HEX: {"a": {}}}}, 422),
        ("/blips/store", {"blips": {"t": {}}}, 422),
        ("/blobs/store", {"blobs": {HEX: {HEX: {"0": ""}}}}, 201),
        ("/blobs/store", {"blobs": {"g" * 64: {HEX: {"0": ""}}}}, 422),
        ("/blips/get", {"topics": {HEX: {HEX: 0}}}, 200),
        ("/blips/get", {"topics": {"t": {}}}, 422),
        ("/blobs/get", {"topics": {HEX: {"a": 0}}}, 422),
        ("/messages/store", {"topic_id": HEX, "message": ""}, 201),
        ("/messages/store", {"topic_id": "t", "message": ""}, 422),
        ("/messages/get", {"topic_ids": ["t"]}, 422),
    ],
)
async def test_ids_may_have_to_be_hex(
    store: EmbeddedStore, path: str, document: Any, status: int
) -> None:
    async with serving(store, ids=IdRule.HEX64) as service:
        assert (await service.post(path, document)).status == status


async def test_a_busy_store_says_try_again(service: Service, key_value: MemoryKeyValue) -> None:
    key_value.busy_writes(True)
    answer = await service.post("/blips/store", STORE)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert_cors(answer)
    key_value.busy_writes(False)
    assert (await service.post("/blips/store", STORE)).status == 201


async def test_a_store_that_failed_acknowledges_nothing(
    service: Service, key_value: MemoryKeyValue
) -> None:
    key_value.fail_syncs(OSError("no space"))
    assert (await service.post("/blips/store", STORE)).status == 503
    assert (await service.post("/blips/get", {"topics": {"t": {}}})).status == 503
    assert (await service.request("GET", "/health")).status == 200


async def test_one_api_serves_several_listeners_and_tls(service: Service) -> None:
    identity = mint()
    plain, secure = listen("http", Endpoint("::", 0)), listen("https", Endpoint("127.0.0.1", 0))
    ports = plain.endpoint.port, secure.endpoint.port
    await service.api.start(plain.sockets[0])
    await service.api.start(secure.sockets[0], tls=server_context(leaf(identity)))
    assert (await service.post("/blips/store", STORE)).status == 201
    async with aiohttp.ClientSession() as session:
        for url, tls in (
            (f"http://127.0.0.1:{ports[0]}", None),
            (f"http://[::1]:{ports[0]}", None),
            (f"https://127.0.0.1:{ports[1]}", client_context(identity.node_id)),
        ):
            async with session.post(
                f"{url}/blips/get",
                json={"topics": {"t": {}}},
                ssl=tls or True,
                server_hostname=LEAF_NAME if tls else None,
            ) as response:
                assert (await response.json())["blips_by_topic"]["t"]["blips"] == {
                    "a": {"0": "aGk="}
                }


async def test_stopping_lets_a_request_in_progress_end(
    store: EmbeddedStore, key_value: MemoryKeyValue
) -> None:
    async with serving(store) as service, await service.connect() as idle:
        await idle.send(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        await idle.answer()
        syncs = key_value.syncs
        key_value.hold_syncs()
        storing = asyncio.create_task(service.post("/blips/store", STORE))
        await eventually(lambda: key_value.syncs != syncs)
        stopping = asyncio.create_task(service.api.stop())
        assert await idle.closed() == b""
        key_value.release_syncs()
        assert (await storing).status == 201
        await stopping
        with pytest.raises(aiohttp.ClientConnectionError):
            await service.request("GET", "/health")
        await service.api.stop()
    assert service.api.connections == 0


async def test_answers_are_counted_by_route_and_strangers_make_no_names(service: Service) -> None:
    await service.post("/blips/get?wait=0", {"topics": {}})
    await service.post("/blips/get", {"topics": {}})
    await service.post("/blips/get", {})
    for path in ("/a", "/b"):
        await service.request("GET", path)
    assert service.api.answered == {
        ("/blips/get", 200): 2,
        ("/blips/get", 422): 1,
        ("other", 404): 2,
    }
