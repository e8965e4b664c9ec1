"""A disk that fails under a running node: it refuses, tells why, and goes on by itself afterwards.

First with a preloaded library that lets writes or syncs fail on command, then on a file system
that is really full (in a mount namespace of its own, where the tests may make one).
"""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from tests.node.processes import RunningNode, start_node
from tests.scenarios.compiled import preload

TOPIC, AUTHOR = "a" * 64, "b" * 64
MESSAGE_BYTES = 2_000
AGAIN_S_MAX = 40.0
"""Seconds until it stores again: two of its pauses, and a busy machine."""
MOUNT_MIB = 320
KEPT_BYTES = 64 * 1024


class Phone:
    """Stores messages one after another, and knows which were acknowledged."""

    def __init__(self, session: aiohttp.ClientSession, node: RunningNode) -> None:
        self.node = node
        self.acknowledged: dict[str, bytes] = {}
        self._session = session
        self._next = 0

    async def store(self, size_bytes: int = MESSAGE_BYTES) -> int:
        """One message; the status of the answer."""
        seq, data = str(self._next), secrets.token_bytes(size_bytes)
        self._next += 1
        body = {"blips": {TOPIC: {AUTHOR: {seq: base64.b64encode(data).decode()}}}}
        status, _ = await self.post("/blips/store", body)
        if status == 201:
            self.acknowledged[seq] = data
        return status

    async def read(self) -> dict[str, bytes]:
        """Everything, page by page."""
        found: dict[str, bytes] = {}
        while True:
            heights = {AUTHOR: max(map(int, found))} if found else {}
            status, document = await self.post("/blips/get", {"topics": {TOPIC: heights}})
            assert status == 200, document
            blips = document["blips_by_topic"][TOPIC]["blips"].get(AUTHOR, {})
            found |= {seq: base64.b64decode(data) for seq, data in blips.items()}
            if not blips:
                return found

    async def assert_nothing_lost(self) -> None:
        found = await self.read()
        lost = [s for s, data in self.acknowledged.items() if found.get(s) != data]
        assert lost == []

    async def until(self, status: int) -> None:
        """Stores until an answer has this status."""
        async with asyncio.timeout(AGAIN_S_MAX):
            while await self.store() != status:
                await asyncio.sleep(0.1)

    async def trouble(self) -> list[str]:
        """What the status says of the store."""
        async with self._session.get(self.node.url("admin") + "/api/status") as answer:
            warnings: list[str] = (await answer.json())["warnings"]
        return [text for text in warnings if "nothing is stored" in text]

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        async with self._session.post(self.node.url() + path, json=body) as answer:
            document = await (answer.json(content_type=None) if answer.ok else answer.text())
            return answer.status, document


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(AGAIN_S_MAX):
        while not await condition():
            await asyncio.sleep(0.1)


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
    node = start_node(tmp_path / "a", environment=environment)
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


class SmallDisk:
    """A file system of its own at `folder`, in a mount namespace that `holder` keeps."""

    def __init__(self, folder: Path, holder: subprocess.Popen[bytes]) -> None:
        self.prefix = ("nsenter", "-t", str(holder.pid), "-m")
        self.root = Path(f"/proc/{holder.pid}/root{folder}")
        self._filler = self.root / "filler"

    def fill(self) -> None:
        """Until not a byte goes in."""
        with self._filler.open("ab", buffering=0) as file:
            for size_bytes in (1 << 20, 1 << 12):
                with suppress(OSError):
                    while True:
                        file.write(bytes(size_bytes))

    def free(self) -> None:
        self._filler.unlink()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    if os.geteuid() != 0 or shutil.which("unshare") is None or shutil.which("nsenter") is None:
        pytest.skip("needs root, unshare and nsenter, to mount a file system that may be filled")
    folder = tmp_path / "a"
    folder.mkdir()
    mount = f"mount -t tmpfs -o size={MOUNT_MIB}m tmpfs '{folder}' && echo && exec sleep 600"
    holder = subprocess.Popen(["unshare", "-m", "sh", "-c", mount], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    try:
        if not holder.stdout.read(1):
            pytest.skip("may not mount a file system here")
        yield SmallDisk(folder, holder)
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


async def test_a_disk_that_is_full(tmp_path: Path, small_disk: SmallDisk) -> None:
    """While it runs, when it is killed, and when it starts."""
    node = start_node(tmp_path / "a", prefix=small_disk.prefix)
    reserve = small_disk.root / "data" / "reserve"
    async with aiohttp.ClientSession() as session:
        phone = Phone(session, node)
        for _ in range(100):
            assert await phone.store(KEPT_BYTES) == 201

        async def has_reserve() -> bool:
            return reserve.exists()

        await until(has_reserve)
        small_disk.fill()
        node.kill()
        phone.node = node = start_node(tmp_path / "a", prefix=small_disk.prefix)
        assert not reserve.exists(), "it was opened with the space of the reserve"
        await phone.assert_nothing_lost()

        small_disk.fill()
        node.kill()
        with pytest.raises(AssertionError, match=r"meshbox: error\[(store|data_dir)\.failed\]"):
            start_node(tmp_path / "a", prefix=small_disk.prefix)
        small_disk.free()
        phone.node = node = start_node(tmp_path / "a", prefix=small_disk.prefix)
        await phone.assert_nothing_lost()

        small_disk.fill()
        assert {await phone.store(KEPT_BYTES) for _ in range(100)} & {503, 507}
        small_disk.free()
        await phone.until(201)
        assert node.stop() == 0
