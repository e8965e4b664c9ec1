"""A disk that fails under a running node: it refuses, tells why, and goes on by itself afterwards.

With a preloaded library that lets writes or syncs fail on command. On a file system that is really
full: test_small_disk.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest

from tests.node.processes import start_node
from tests.scenarios.compiled import preload
from tests.scenarios.one_phone import AUTHOR, TOPIC, Phone

MESSAGE_BYTES = 64 * 1024
MESSAGES = 200
"""More than all of its memory for them takes, with the limit below."""


class Failing(NamedTuple):
    """A node whose disk fails when the file says so."""

    phone: Phone
    flag: Path

    def begin(self, how: str) -> None:
        draft = self.flag.with_suffix(".new")
        draft.write_text(how)
        draft.rename(self.flag)

    def end(self) -> None:
        self.flag.unlink()


@pytest.fixture
async def failing(tmp_path: Path) -> AsyncIterator[Failing]:
    flag = tmp_path / "failing"
    environment = {
        "LD_PRELOAD": str(preload("failing_disk", tmp_path)),
        "MESHBOX_FAILING_DISK": str(flag),
        "MESHBOX_FAILING_FOLDER": str(tmp_path / "a" / "data"),
    }
    node = start_node(tmp_path / "a", "--storage-limit", "64MB", environment=environment)
    async with aiohttp.ClientSession() as session:
        yield Failing(Phone(session, node), flag)
    flag.unlink(missing_ok=True)
    if node.process.poll() is None:
        assert node.stop() == 0
    assert "Traceback" not in node.log()


async def test_a_write_that_fails(failing: Failing) -> None:
    phone = failing.phone
    for _ in range(5):
        assert await phone.store() == 201
    failing.begin("full")
    assert await phone.store() == 503
    await phone.assert_nothing_lost()
    (trouble,) = await phone.trouble()
    assert "No space left on device" in trouble
    assert await phone.store() == 503
    failing.end()
    await phone.until(201)
    assert await phone.trouble() == []
    await phone.assert_nothing_lost()
    assert "store.reopened" in phone.node.log()


async def test_a_sync_that_fails(failing: Failing) -> None:
    phone = failing.phone
    assert await phone.store() == 201
    failing.begin("sync")
    assert await phone.store() == 503
    status, told = await phone.post("/blips/get", {"topics": {TOPIC: {}}})
    if status == 200:
        # The write itself was refused, since it had to sync a new file's name.
        assert list(told["blips_by_topic"][TOPIC]["blips"][AUTHOR]) == ["0"]
    else:
        assert status == 503, "what may not be on the disk is not shown"
    assert await phone.trouble()
    failing.end()
    await phone.until(201)
    await phone.assert_nothing_lost()


async def test_a_node_killed_while_its_disk_fails(failing: Failing) -> None:
    phone = failing.phone
    for _ in range(5):
        assert await phone.store() == 201
    failing.begin("full")
    assert await phone.store() == 503
    phone.node.kill()
    failing.end()
    phone.node = start_node(phone.node.data_dir.parent)
    await phone.assert_nothing_lost()
    assert await phone.store() == 201
    assert phone.node.stop() == 0


async def test_memory_that_cannot_be_flushed(failing: Failing) -> None:
    """The log takes what is stored; the table files that it is to go into are refused."""
    phone = failing.phone
    failing.begin("full.sst")
    answers = [await phone.store(MESSAGE_BYTES) for _ in range(MESSAGES)]
    assert set(answers) <= {201, 503}
    assert 503 in answers
    failing.end()
    await phone.until(201)
    assert await phone.trouble() == []
    await phone.assert_nothing_lost()
    phone.node.kill()
    phone.node = start_node(phone.node.data_dir.parent)
    await phone.assert_nothing_lost()
    assert phone.node.stop() == 0
