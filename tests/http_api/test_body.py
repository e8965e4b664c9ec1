"""Bodies: whole or in pieces, in bounds or refused early."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest

from meshbox.core.limits import BLOB_BYTES_MAX, BODY_BYTES_MAX, BODY_SMALL_BYTES_MAX, MIB
from meshbox.storage.embedded.store import EmbeddedStore
from tests.http_api.serving import JSON_HEADERS, Service, json_post, serving
from tests.waiting import eventually

HEAD = b"POST /blips/get HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
BODY = b'{"topics":{"t":{}}}'


def padded(size_bytes: int) -> bytes:
    """A get request of just so many bytes."""
    return BODY + b" " * (size_bytes - len(BODY))


@pytest.mark.parametrize(
    "size_bytes",
    [len(BODY), BODY_SMALL_BYTES_MAX, BODY_SMALL_BYTES_MAX + 1, 5 * MIB],
)
async def test_a_body_is_read_whole_however_it_comes(service: Service, size_bytes: int) -> None:
    body = padded(size_bytes)
    assert (await service.post("/blips/get", body)).status == 200
    async with await service.connect() as client:
        for start in (1, len(BODY) // 2, len(body) - 1):
            request = json_post("/blips/get", body)
            await client.send(request[: len(request) - len(body) + start])
            await asyncio.sleep(0)
            await client.send(body[start:])
            assert (await client.answer()).status == 200


@pytest.mark.parametrize("pieces", [1, 3, len(BODY)])
async def test_a_body_may_come_in_chunks(service: Service, pieces: int) -> None:
    step = -(-len(BODY) // pieces)
    chunks = [BODY[at : at + step] for at in range(0, len(BODY), step)]
    async with await service.connect() as client:
        await client.send(HEAD + b"transfer-encoding: chunked\r\n\r\n")
        for chunk in [*chunks, b""]:
            await client.send(b"%x;note=1\r\n%b\r\n" % (len(chunk), chunk))
        assert (await client.answer()).status == 200
        await client.send(json_post("/blips/get", BODY))
        assert (await client.answer()).status == 200


async def test_the_largest_body_is_taken_and_one_more_byte_is_not(service: Service) -> None:
    assert (await service.post("/blips/get", padded(BODY_BYTES_MAX))).status == 200
    async with await service.connect() as client:
        await client.send(json_post("/blips/get", b"", length=BODY_BYTES_MAX + 1))
        answer = await client.answer()
    assert (answer.status, answer.headers["connection"]) == (413, "close")


async def test_chunks_that_become_too_much_are_refused(service: Service) -> None:
    async with await service.connect() as client:
        await client.send(HEAD + b"transfer-encoding: chunked\r\n\r\n")
        sending = asyncio.create_task(send_chunks(client.writer, BODY_BYTES_MAX + MIB))
        assert (await client.answer()).status == 413
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def send_chunks(writer: asyncio.StreamWriter, size_bytes: int) -> None:
    chunk = b"%x\r\n%b\r\n" % (MIB, b" " * MIB)
    for _ in range(size_bytes // MIB):
        writer.write(chunk)
        await writer.drain()


@pytest.mark.parametrize("expectation", ["100-continue", "100-Continue"])
async def test_a_client_that_asks_first_is_told_to_go_on(
    service: Service, expectation: str
) -> None:
    async with await service.connect() as client:
        request = json_post("/blips/get", BODY, more=f"expect: {expectation}\r\n")
        await client.send(request[: -len(BODY)])
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(BODY)
        assert (await client.answer()).status == 200


async def test_a_client_that_asks_first_is_told_to_spare_it(service: Service) -> None:
    async with await service.connect() as client:
        await client.send(
            json_post("/blips/get", b"", length=10**9, more="expect: 100-continue\r\n")
        )
        assert (await client.answer()).status == 413


async def test_the_largest_blob_fits_into_a_body(service: Service) -> None:
    """48 MiB of bytes are 64 MiB of base64, less what the JSON around it takes."""
    data = bytes(BLOB_BYTES_MAX - 96)
    body = b'{"blips":{"t":{"a":{"0":"' + base64.b64encode(data) + b'"}}}}'
    assert len(body) <= BODY_BYTES_MAX
    answer = await service.request("POST", "/blips/store", body=body, headers=JSON_HEADERS)
    assert (answer.status, answer.json) == (201, {"watermarks": {"t": {"a": 0}}})
    answer = await service.post("/blips/get", {"topics": {"t": {}}})
    assert answer.status == 200
    found = json.loads(answer.body)["blips_by_topic"]["t"]["blips"]["a"]["0"]
    assert base64.b64decode(found) == data


@pytest.mark.parametrize(
    "sent",
    [
        json_post("/blips/get", BODY[:5], length=len(BODY)),
        HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\n{",
        HEAD + b"transfer-encoding: chunked\r\n\r\nff",
        json_post("/blips/get", b" " * 100_000, length=10**6),
    ],
)
async def test_a_body_that_breaks_off_harms_nobody(
    service: Service, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    client = await service.connect()
    await client.send(sent)
    client.writer.write_eof()
    await client.closed()
    async with client:
        pass
    await eventually(lambda: not service.api.connections)
    assert (await service.request("GET", "/health")).status == 200
    assert not caplog.records


async def test_chunks_that_are_none_are_a_bad_request(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    async with await service.connect() as client:
        await client.send(HEAD + b"transfer-encoding: chunked\r\n\r\nnonsense\r\n")
        assert (await client.answer()).status == 400
        await client.closed()
    assert not caplog.records


async def test_large_bodies_wait_for_memory_and_small_ones_do_not(store: EmbeddedStore) -> None:
    async with serving(store, bodies_bytes_max=MIB, body_leave_ms_max=50) as service:
        async with await service.connect() as slow:
            large = json_post("/blips/get", b" " * (BODY_SMALL_BYTES_MAX + 1), length=MIB)
            await slow.send(large)
            await eventually(lambda: service.api.body_bytes_lent != 0)
            assert (await service.post("/blips/get", BODY)).status == 200
            answer = await service.post("/blips/get", padded(MIB))
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        await eventually(lambda: not service.api.body_bytes_lent)
        assert (await service.post("/blips/get", padded(MIB))).status == 200
