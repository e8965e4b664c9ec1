"""What handlers are told about memory: small pages when it is short, and who has to wait."""

from __future__ import annotations

import asyncio

from meshbox.core.limits import BODY_SMALL_BYTES_MAX, MIB
from meshbox.mailbox.deposit import ClientBlob
from meshbox.storage.embedded.store import EmbeddedStore
from tests.http_api.serving import RawClient, Service, json_post, serving
from tests.waiting import eventually


async def fill(service: Service) -> None:
    """Topics of many, large and small blobs, and one of a blob that no socket buffer holds."""
    many = [ClientBlob("many", "a", seq, bytes(BODY_SMALL_BYTES_MAX // 4)) for seq in range(512)]
    others = [ClientBlob("large", "a", 0, bytes(MIB)), ClientBlob("small", "a", 0, b"x")]
    huge = [ClientBlob("huge", "a", 0, bytes(16 * MIB))]
    await service.mailbox.deposit([*many, *others, *huge], client="")


async def ask_and_stand_still(service: Service, client: RawClient) -> None:
    await client.send(json_post("/blips/get", b'{"topics":{"huge":{}}}'))
    await eventually(lambda: service.api.answer_bytes_lent != 0)


async def test_while_memory_is_lent_pages_are_small_and_large_blobs_wait(
    store: EmbeddedStore,
) -> None:
    async with serving(store, answers_bytes_max=38 * MIB, body_leave_ms_max=1) as service:
        await fill(service)
        async with await service.connect(receive_bytes=4_096) as reader:
            await ask_and_stand_still(service, reader)
            for topic, count in (("many", 4), ("small", 1)):
                answer = await service.post("/blips/get", {"topics": {topic: {}}})
                assert answer.status == 200
                assert len(answer.json["blips_by_topic"][topic]["blips"]["a"]) == count
            answer = await service.post("/blips/get", {"topics": {"large": {}}})
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        await eventually(lambda: not service.api.answer_bytes_lent)
        answer = await service.post("/blips/get", {"topics": {"large": {}}})
        assert answer.status == 200
        await eventually(lambda: not service.api.answer_bytes_lent)


async def test_who_waits_for_memory_gets_it_when_it_comes_free(store: EmbeddedStore) -> None:
    async with serving(store, answers_bytes_max=38 * MIB, body_leave_ms_max=60_000) as service:
        await fill(service)
        async with await service.connect(receive_bytes=4_096) as reader:
            await ask_and_stand_still(service, reader)
            waiting = asyncio.create_task(service.post("/blips/get", {"topics": {"large": {}}}))
            assert (await service.post("/blips/get", {"topics": {"small": {}}})).status == 200
            assert not waiting.done()
        assert (await waiting).status == 200
