"""SIGKILL at random moments while phones write: what was acknowledged is there, here and there."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from tests.node.processes import RunningNode, start_node
from tests.scenarios.phones import Phones, everything_at
from tests.waiting import a_while, eventually

KILLS = 50
PHONES = 6
EQUAL_S_MAX = 60.0


async def started(folder: Path, *options: str) -> RunningNode:
    return await asyncio.to_thread(start_node, folder, *options)


@pytest.mark.timeout(300)
async def test_what_was_acknowledged_survives_fifty_kills(tmp_path: Path) -> None:
    """The node that the phones write to is killed each time, its peer every fifth time as well."""
    source = random.Random(1)
    a = await started(tmp_path / "a")
    b = await started(tmp_path / "b", "--peer", a.peer_address)
    a_again, b_again = ("--sync", a.ready["sync"]), ("--peer", a.peer_address)
    async with Phones(count=PHONES, seed=2) as phones:
        for kill in range(KILLS):
            phones.at(a.url())
            await phones.acknowledges(source.randint(1, 60))
            await a_while(source.random() * 0.05)  # not only right after an answer
            a.kill()
            phones.at(None)
            if kill % 5 == 0:
                b.kill()
                b = await started(tmp_path / "b", *b_again)
            a = await started(tmp_path / "a", *a_again)
        phones.at(a.url())
        await phones.acknowledges(1)
    try:
        await eventually(lambda: digest(a) == digest(b), within_s=EQUAL_S_MAX)
        assert len(phones.acknowledged) > KILLS
        topics = {topic for topic, _, _ in phones.acknowledged}
        for node in (a, b):
            held = await everything_at(node.url(), topics)
            lost = [m for m, data in phones.acknowledged.items() if held.get(m) != data]
            assert lost == [], f"{len(lost)} of {len(phones.acknowledged)}"
            assert "node.defect" not in node.log()
            assert "peer.bug" not in node.log()
            assert node.stop() == 0
    finally:
        for node in (a, b):
            if node.process.poll() is None:
                node.kill()


def digest(node: RunningNode) -> str:
    """Of all that it holds."""
    return str(node.document("inventory")["digest"])
