"""Clients that are slow, greedy or not HTTP at all: each is bounded, and none disturbs another."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator

import pytest
import uvloop
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from meshbox.core.limits import BODY_SMALL_BYTES_MAX, HTTP_HEADERS_MAX, MIB
from meshbox.http_api.connection import Connection
from meshbox.mailbox.deposit import ClientBlob
from meshbox.storage.embedded.store import EmbeddedStore
from tests.http_api.serving import JSON_HEADERS, RawClient, Service, json_post, opened, serving
from tests.searching import examples
from tests.waiting import eventually

FOREVER_MS = 3_600_000
SHORT_MS = 150
HEALTH = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"
POST = b"POST /blips/get HTTP/1.1\r\nhost: x\r\n"
GET = json_post("/blips/get", b'{"topics":{"t":{}}}')


@pytest.fixture(autouse=True)
def nothing_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No fault of a client is worth a line of the log, let alone a traceback."""
    yield
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == []


@pytest.fixture
async def strict(store: EmbeddedStore) -> AsyncIterator[Service]:
    """Short for headers and bodies, endless for what is idle."""
    async with serving(
        store,
        head_ms_max=SHORT_MS,
        idle_ms_max=FOREVER_MS,
        body_ms_min=SHORT_MS,
        body_unread_ms_max=SHORT_MS,
    ) as service:
        yield service


async def drip(client: RawClient, data: bytes) -> bytes:
    """Sends a byte now and then until the server has enough; what it said."""
    closed = asyncio.create_task(client.closed())
    for at in range(len(data)):
        client.writer.write(data[at : at + 1])
        done, _ = await asyncio.wait([closed], timeout=SHORT_MS / 10_000)
        if done:
            return closed.result()
    raise AssertionError("the server waited for all of it")


@pytest.mark.parametrize("sent", [b"", b"G", b"GET /health HTTP/1.1\r\n", HEALTH[:-1], b"\r\n\r\n"])
async def test_a_header_that_does_not_come_is_not_waited_for(strict: Service, sent: bytes) -> None:
    async with await strict.connect() as client:
        await client.send(sent)
        assert await client.closed() == b""
    assert (await strict.request("GET", "/health")).status == 200


async def test_a_header_that_drips_is_not_waited_for(strict: Service) -> None:
    async with await strict.connect() as client:
        assert await drip(client, HEALTH[:-2] + b"x: y\r\n" * 10_000) == b""


async def test_a_second_header_that_drips_is_not_waited_for(strict: Service) -> None:
    async with await strict.connect() as client:
        await client.send(HEALTH)
        assert (await client.answer()).status == 200
        assert await drip(client, HEALTH[:-2] + b"x: y\r\n" * 10_000) == b""


async def test_an_idle_connection_may_stay_longer_than_a_header(strict: Service) -> None:
    async with await strict.connect() as idle, await strict.connect() as silent:
        await idle.send(HEALTH)
        assert (await idle.answer()).status == 200
        assert await silent.closed() == b""
        await idle.send(HEALTH)
        assert (await idle.answer()).status == 200


async def test_an_idle_connection_ends_in_time(store: EmbeddedStore) -> None:
    async with (
        serving(store, idle_ms_max=SHORT_MS, head_ms_max=FOREVER_MS) as service,
        await service.connect() as fresh,
        await service.connect() as idle,
    ):
        await idle.send(HEALTH)
        assert (await idle.answer()).status == 200
        assert await idle.closed() == b""
        await fresh.send(HEALTH)
        assert (await fresh.answer()).status == 200


@pytest.mark.parametrize("part", [b"", b'{"topics":'])
async def test_a_body_that_does_not_come_is_not_waited_for(strict: Service, part: bytes) -> None:
    async with await strict.connect() as client:
        await client.send(json_post("/blips/get", part, length=100))
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (408, "close")
        assert await client.closed() == b""


async def test_a_body_that_drips_is_not_waited_for(strict: Service) -> None:
    async with await strict.connect() as client:
        await client.send(json_post("/blips/get", b"", length=10**6))
        assert (await drip(client, b" " * 10_000)).startswith(b"HTTP/1.1 408 ")


async def test_a_body_may_take_longer_when_it_is_long(store: EmbeddedStore) -> None:
    """At 100 bytes a second the first 100 bytes earn a second, far above the least time."""
    async with (
        serving(store, body_ms_min=SHORT_MS, body_bytes_per_s_min=100) as service,
        await service.connect() as client,
    ):
        body = b'{"topics":{}}' + b" " * 2_000
        await client.send(json_post("/blips/get", body[:1_000], length=len(body)))
        async with await service.connect() as slow:
            await slow.send(json_post("/blips/get", b"", length=10))
            assert (await slow.answer()).status == 408
        await client.send(body[1_000:])
        assert (await client.answer()).status == 200


async def test_a_refused_body_is_not_read_for_ever(strict: Service) -> None:
    async with await strict.connect() as client:
        await client.send(b"POST /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n")
        assert (await client.answer()).status == 404
        assert await drip(client, b" " * 10_000) == b""


async def fill(service: Service) -> None:
    """A topic of many blobs, and one of a blob that no socket buffer holds."""
    many = [ClientBlob("t", "a", seq, bytes(BODY_SMALL_BYTES_MAX)) for seq in range(100)]
    await service.mailbox.deposit([*many, ClientBlob("u", "a", 0, bytes(16 * MIB))], client="")


async def test_an_answer_that_is_not_read_is_given_up(store: EmbeddedStore) -> None:
    async with serving(store, body_ms_min=SHORT_MS, body_bytes_per_s_min=10**9) as service:
        await fill(service)
        async with await service.connect(receive_bytes=4_096) as reader:
            await reader.send(json_post("/blips/get", b'{"topics":{"u":{}}}'))
            await eventually(lambda: service.api.answer_bytes_lent != 0)
            await eventually(lambda: not (service.api.connections or service.api.answer_bytes_lent))
            assert len(await reader.closed()) < 16 * MIB


async def test_after_an_answer_that_was_given_up_nothing_is_answered(store: EmbeddedStore) -> None:
    """A deposit behind it was never acknowledged, and is not carried out."""
    async with serving(store, body_ms_min=SHORT_MS, body_bytes_per_s_min=10**9) as service:
        await fill(service)
        async with await service.connect(receive_bytes=4_096) as reader:
            deposit = json_post("/blips/store", b'{"blips":{"v":{"a":{"0":""}}}}')
            await reader.send(json_post("/blips/get", b'{"topics":{"u":{}}}') + deposit)
            await eventually(lambda: service.api.answer_bytes_lent != 0)
            await eventually(lambda: not (service.api.connections or service.api.answer_bytes_lent))
        answer = await service.post("/blips/get", {"topics": {"v": {}}})
        assert answer.json["blips_by_topic"]["v"]["blips"] == {}


async def test_a_reader_that_leaves_in_the_middle_is_no_fault(store: EmbeddedStore) -> None:
    async with serving(store) as service:
        await fill(service)
        async with await service.connect(receive_bytes=4_096) as reader:
            await reader.send(json_post("/blips/get", b'{"topics":{"u":{}}}'))
            await eventually(lambda: service.api.answer_bytes_lent != 0)
        await eventually(lambda: not (service.api.connections or service.api.answer_bytes_lent))


async def test_a_reader_who_stands_still_does_not_keep_the_api_from_stopping(
    store: EmbeddedStore,
) -> None:
    async with serving(store, stop_ms_max=SHORT_MS) as service:
        await fill(service)
        async with await service.connect(receive_bytes=4_096) as still:
            await still.send(json_post("/blips/get", b'{"topics":{"u":{}}}'))
            await eventually(lambda: service.api.answer_bytes_lent != 0)
            await service.api.stop()
            await eventually(lambda: not (service.api.connections or service.api.answer_bytes_lent))


async def test_a_connection_that_cannot_be_closed_is_cut(store: EmbeddedStore) -> None:
    """The last answers wait for a reader, and the close after a bad request waits for them."""
    async with (
        serving(store, head_ms_max=500, idle_ms_max=500, body_unread_ms_max=SHORT_MS) as service,
        await service.connect(receive_bytes=4_096) as still,
    ):
        await service.mailbox.deposit([ClientBlob("t", "a", 0, bytes(20_000))], client="")
        await still.send(GET)
        await eventually(lambda: service.api.connections)
        (connection,) = service.api._listening._live._live
        assert isinstance(connection, Connection)
        assert connection._socket is not None
        while connection._socket.get_write_buffer_size() == 0:
            connection.is_idle = False
            await still.send(GET)
            await eventually(lambda: connection.is_idle)
        await still.send(b"nonsense\r\n\r\n")
        await eventually(lambda: connection.is_ending)
        assert service.api.connections == 1
        await eventually(lambda: not service.api.connections)


async def test_readers_who_stand_still_leave_room_for_others(store: EmbeddedStore) -> None:
    """While the memory for large pages is lent, others get small ones, at once."""
    async with serving(store, answers_bytes_max=40 * MIB) as service:
        await fill(service)
        async with await service.connect(receive_bytes=4_096) as still:
            await still.send(json_post("/blips/get", b'{"topics":{"u":{}}}'))
            await eventually(lambda: service.api.answer_bytes_lent != 0)
            answer = await service.post("/blips/get", {"topics": {"t": {}}})
            assert answer.status == 200
            assert answer.json["more"] is True
            assert list(answer.json["blips_by_topic"]["t"]["blips"]["a"]) == ["0"]


async def test_requests_in_a_row_are_answered_in_order(service: Service) -> None:
    requests = [
        json_post("/blips/store", b'{"blips":{"t":{"a":{"%d":""}}}}' % n) for n in range(300)
    ]
    async with await service.connect() as client:
        sending = asyncio.create_task(client.send(b"".join(requests)))
        for n in range(300):
            assert (await client.answer()).json == {"watermarks": {"t": {"a": n}}}
        await sending


async def test_requests_whose_answers_are_not_read_stop_being_taken(store: EmbeddedStore) -> None:
    async with (
        serving(store, head_ms_max=500, idle_ms_max=SHORT_MS) as service,
        await service.connect() as greedy,
    ):
        closed = asyncio.Event()

        async def flood() -> None:
            try:
                while True:
                    await greedy.send(HEALTH * 1_000)
            except ConnectionError:
                closed.set()

        flooding = asyncio.create_task(flood())
        while not closed.is_set():
            assert (await service.request("GET", "/health")).status == 200
        await flooding


async def test_for_a_newcomer_the_longest_idle_connection_goes(store: EmbeddedStore) -> None:
    async with serving(store, connections_max=3) as service:
        clients = [await service.connect() for _ in range(3)]
        for client in clients:
            await client.send(HEALTH)
            assert (await client.answer()).status == 200
        async with await service.connect() as newcomer:
            assert await clients[0].closed() == b""
            for client in (newcomer, clients[1], clients[2]):
                await client.send(HEALTH)
                assert (await client.answer()).status == 200
        for client in clients:
            async with client:
                pass


async def test_when_none_is_idle_the_newcomer_is_told_to_come_again(store: EmbeddedStore) -> None:
    async with serving(store, connections_max=2) as service:
        busy = [await service.connect() for _ in range(2)]
        for client in busy:
            await client.send(HEALTH[:-2])
        await eventually(lambda: service.api.connections >= 2)
        async with await service.connect() as newcomer:
            answer = await newcomer.answer()
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert await newcomer.closed() == b""
        for client in busy:
            await client.send(b"\r\n")
            assert (await client.answer()).status == 200
            async with client:
                pass
        async with await service.connect() as later:
            await later.send(HEALTH)
            assert (await later.answer()).status == 200


async def test_hundreds_of_silent_connections_disturb_nobody(service: Service) -> None:
    silent = [await service.connect() for _ in range(300)]
    for _ in range(20):
        assert (await service.request("GET", "/health")).status == 200
    assert service.api.connections >= 300
    for client in silent:
        async with client:
            pass


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /health HTTP/1.1\r\nhost: x\r\nbig: " + b"x" * 300_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 300_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /health HTTP/1.1\r\n" + b"a: b\r\n" * (HTTP_HEADERS_MAX + 10) + b"\r\n",
        b"GET /health HTTP/1.1\r\nhost: x\r\na\0b: c\r\n\r\n",
        b"GET /health HTTP/1.1\r\nhost: x\r\na: b\0c\r\n\r\n",
        b"GET /health HTTP/1.1\r\nhost: x\r\n : c\r\n\r\n",
        b"GET /health HTTP/9.9\r\nhost: x\r\n\r\n",
        b"get /health HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /he\0alth HTTP/1.1\r\nhost: x\r\n\r\n",
        POST + b"content-length: 5\r\ncontent-length: 6\r\n\r\n{}{}{}",
        POST + b"content-length: -1\r\n\r\n{}",
        POST + b"content-length: 0x5\r\n\r\n{}",
        POST + b"content-length: 1_0\r\n\r\n{}",
        POST + b"content-length: 99999999999999999999999\r\n\r\n{}",
        POST + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}",
        POST + b"transfer-encoding: gzip\r\n\r\n{}",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"\x00" * 50 + b"\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    ],
    ids=lambda request_: repr(request_[:60])[2:-1],
)
async def test_what_is_not_proper_http_is_a_bad_request(service: Service, request_: bytes) -> None:
    async with await service.connect() as client:
        await client.send(request_)
        answer = await client.answer()
        assert answer.status == 400
        assert answer.headers["access-control-allow-origin"] == "*"
        assert await client.closed() == b""
    assert (await service.request("GET", "/health")).status == 200


@pytest.mark.parametrize(
    "header",
    [
        "upgrade: websocket\r\nconnection: upgrade\r\n",
        "upgrade: h2c\r\nconnection: upgrade, http2-settings\r\n",
    ],
)
async def test_an_offer_of_another_protocol_is_ignored(service: Service, header: str) -> None:
    async with await service.connect() as client:
        await client.send(b"GET /health HTTP/1.1\r\nhost: x\r\n" + header.encode() + b"\r\n")
        assert (await client.answer()).status == 200


pieces_of_http = [
    *(b"GET ", b"POST ", b"OPTIONS ", b"/health", b"/blips/get", b" HTTP/1.1", b"\r\n", HEALTH),
    *(b"host: x\r\n", b"content-type: application/json\r\n", b"content-length: 13\r\n", POST),
    *(b"transfer-encoding: chunked\r\n", b"connection: close\r\n", b"expect: 100-continue\r\n"),
    *(b"upgrade: websocket\r\n", b"content-encoding: gzip\r\n", b"connection: upgrade\r\n", GET),
    *(b'{"topics":{}}', b"d\r\n", b"0\r\n\r\n", b"\r\n\r\n", b" ", b":", b"\0", b"\xff", b"5\r\n"),
]
requests_like = st.lists(st.sampled_from(pieces_of_http) | st.binary(max_size=5), max_size=14).map(
    b"".join
)


@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests_like | st.binary(max_size=200))
@example(HEALTH[:-2] + b"upgrade: websocket\r\nconnection: upgrade\r\n\r\n" + b"\xff\xff\r\n\r\n")
@example(json_post("/blips/get", b"{", more="upgrade: websocket\r\nconnection: upgrade\r\n"))
def test_any_bytes_are_answered_or_dropped(sent: bytes) -> None:
    """Never with a 5xx, and the next client is served."""

    async def run() -> None:
        async with opened() as service:
            async with await service.connect() as client:
                await client.send(sent)
                client.writer.write_eof()
                said = await client.closed()
            statuses = [line[9:12] for line in said.split(b"\r\n") if line.startswith(b"HTTP/1.")]
            assert all(status < b"500" for status in statuses), statuses
            assert (await service.request("GET", "/health")).status == 200

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


names = [
    *("blips", "blobs", "topics", "t", "a", "0", "7", "-1", "x:y", "blob_hashes", "blip"),
    *("topic_id", "topic_ids", "message", "addr", "timestamp", "signature"),
]
json_like = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "t", "a", "a:b", "0", "-1", "aGk=", "AB==", "\0", "ab" * 32]),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(names), below, max_size=3)
    ),
    max_leaves=12,
)
PATHS = [
    *("/blips/store", "/blips/get", "/blobs/store", "/blobs/get", "/messages/store"),
    *("/messages/get", "/blobs/register-hashes", "/peers/register", "/report"),
]


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(PATHS), json_like), max_size=8))
def test_any_json_is_answered(bodies: list[tuple[str, object]]) -> None:
    async def run() -> None:
        async with opened() as service:
            for path, body in bodies:
                answer = await service.request(
                    "POST", path, body=json.dumps(body).encode(), headers=JSON_HEADERS
                )
                assert answer.status in (200, 201, 204, 400, 413, 422), (path, body)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
