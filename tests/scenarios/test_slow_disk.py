"""A disk whose syncs take two seconds: nothing is acknowledged, shown or offered before them."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from tests.node.processes import RunningNode, start_node
from tests.scenarios.compiled import preload
from tests.waiting import a_while, eventually

SYNC_MS = 2_000
TOPIC, AUTHOR = "a" * 64, "b" * 64
READ: dict[str, Any] = {"topics": {TOPIC: {}}}


class SlowDisk(NamedTuple):
    """A node on it, its peer, and the file that makes it slow."""

    node: RunningNode
    peer: RunningNode
    slow: Path


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[SlowDisk]:
    slow = tmp_path / "slow"
    environment = {
        "LD_PRELOAD": str(preload("slow_sync", tmp_path)),
        "MESHBOX_SLOW_SYNC": str(slow),
        "MESHBOX_SLOW_SYNC_MS": str(SYNC_MS),
    }
    node = start_node(tmp_path / "a", environment=environment)
    peer = start_node(tmp_path / "b", "--peer", node.peer_address)
    try:
        await eventually(lambda: "connected" in [p["state"] for p in peer.status()["peers"]])
        yield SlowDisk(node, peer, slow)
    finally:
        slow.unlink(missing_ok=True)
        for running in (node, peer):
            if running.process.poll() is None:
                await at_rest(running)
                assert running.stop() == 0


async def at_rest(node: RunningNode) -> None:
    """All that a node wrote is on its disk: commits are synced in their order."""
    async with aiohttp.ClientSession() as session:
        assert (await post(session, node.url() + "/blips/store", message(9)))[0] == 201


async def post(session: aiohttp.ClientSession, url: str, body: Any) -> tuple[int, Any, float]:
    """Status, JSON body, and when the answer was there (monotonic seconds)."""
    async with session.post(url, json=body) as answer:
        document = await answer.json(content_type=None)
        return answer.status, document, time.monotonic()


def blips_of(document: Any) -> list[str]:
    return sorted(document["blips_by_topic"][TOPIC]["blips"].get(AUTHOR, {}))


async def shows(session: aiohttp.ClientSession, node: RunningNode, *seqs: str) -> None:
    """Waits until the node has just these."""

    async def does() -> bool:
        return blips_of((await post(session, node.url() + "/blips/get", READ))[1]) == list(seqs)

    await eventually(does)


def message(seq: int) -> dict[str, Any]:
    data = base64.b64encode(b"message %d" % seq).decode()
    return {"blips": {TOPIC: {AUTHOR: {str(seq): data}}}}


async def test_nothing_is_acknowledged_shown_or_offered_before_the_sync(disk: SlowDisk) -> None:
    store, get = disk.node.url() + "/blips/store", disk.node.url() + "/blips/get"
    async with aiohttp.ClientSession() as session:
        assert (await post(session, store, message(0)))[0] == 201
        await shows(session, disk.peer, "0")

        disk.slow.touch()
        began = time.monotonic()
        storing = asyncio.create_task(post(session, store, message(1)))
        seen_at_peer: list[float] = []
        reads: list[asyncio.Task[tuple[int, Any, float]]] = []
        while not storing.done():
            reads.append(asyncio.create_task(post(session, get, READ)))
            _, document, now = await post(session, disk.peer.url() + "/blips/get", READ)
            if blips_of(document) != ["0"]:
                seen_at_peer.append(now)
            await a_while(0.05)
        disk.slow.unlink()
        status, _, stored = await storing
        assert status == 201
        assert stored - began >= SYNC_MS / 1000
        shown = [
            now for _, document, now in await asyncio.gather(*reads) if "1" in blips_of(document)
        ]
        assert shown, "nobody read while the sync ran"
        assert min(shown) - began >= SYNC_MS / 1000
        assert seen_at_peer == []
        await shows(session, disk.peer, "0", "1")


async def test_a_node_killed_in_the_sync_had_promised_nothing(disk: SlowDisk) -> None:
    """The process dies, not the machine: what was written may be there, whole or not at all."""
    store = disk.node.url() + "/blips/store"
    async with aiohttp.ClientSession() as session:
        disk.slow.touch()
        storing = asyncio.create_task(post(session, store, message(0)))
        await eventually(disk.slow.read_bytes)
        disk.node.kill()
        with pytest.raises(aiohttp.ClientError):
            await storing
        document = (await post(session, disk.peer.url() + "/blips/get", READ))[1]
        assert blips_of(document) == []
