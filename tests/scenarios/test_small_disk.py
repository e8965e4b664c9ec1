"""A small file system of its own under a real node: full, nearly full, and read-only.

Mounted in a mount namespace, where the tests may make one. It refuses for real what the preloaded
library of test_failing_disk.py refuses on command.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from meshbox.core.room import RESERVE_BYTES_MAX
from tests.node.processes import FREE_PORTS, MESHBOX, clean_environment, start_node
from tests.scenarios.one_phone import AGAIN_S_MAX, Phone
from tests.waiting import eventually

MOUNT_MIB = 1_280
KEPT_BYTES = 64 * 1024
MIB = 1024 * 1024
LIMIT_MB = 32

pytestmark = pytest.mark.timeout(180)


class SmallDisk:
    """A file system of its own at `folder`, in a mount namespace that `holder` keeps."""

    def __init__(self, folder: Path, holder: subprocess.Popen[bytes]) -> None:
        self.prefix = ("nsenter", "-t", str(holder.pid), "-m")
        self.folder = folder
        self.root = Path(f"/proc/{holder.pid}/root{folder}")
        self._filler = self.root / "filler"

    @property
    def free_bytes(self) -> int:
        status = os.statvfs(self.root)
        return status.f_bavail * status.f_frsize

    def fill(self, *, free_bytes: int = 0) -> None:
        """Until no more is free; without `free_bytes` not a byte goes in."""
        with self._filler.open("ab", buffering=0) as file:
            if free_bytes:
                os.posix_fallocate(file.fileno(), 0, self.free_bytes - free_bytes)
                return
            for size_bytes in (1 << 20, 1 << 12):
                with suppress(OSError):
                    while True:
                        file.write(bytes(size_bytes))

    def make_read_only(self) -> None:
        """As a file system makes itself that found damage."""
        command = [*self.prefix, "mount", "-o", "remount,ro", str(self.folder)]
        subprocess.run(command, check=True)

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


async def store_beyond(phone: Phone, size_bytes: int) -> None:
    """Stores so much, and sees that what did not go for room is there, byte for byte."""
    for _ in range(size_bytes // KEPT_BYTES):
        assert await phone.store(KEPT_BYTES) == 201, await phone.status()
    found = await phone.read()
    assert found.items() <= phone.acknowledged.items()
    evicted = (await phone.status())["storage"]["evicted"]
    assert evicted > 0
    assert len(phone.acknowledged) - len(found) == evicted
    # One log of one age: the lowest numbers go first.
    assert set(found) == set(sorted(phone.acknowledged, key=int)[evicted:])
    assert "store.failed" not in phone.node.log(), "the disk never refused"


async def test_what_goes_when_the_allocation_is_full(tmp_path: Path, small_disk: SmallDisk) -> None:
    node = start_node(tmp_path / "a", "--storage-limit", f"{LIMIT_MB}MB", prefix=small_disk.prefix)
    async with aiohttp.ClientSession() as session:
        phone = Phone(session, node)
        await store_beyond(phone, 2 * LIMIT_MB * 10**6)
        assert folder_bytes(small_disk.root / "data") <= LIMIT_MB * 10**6
        node.kill()
        phone.node = node = start_node(
            tmp_path / "a", "--storage-limit", f"{LIMIT_MB}MB", prefix=small_disk.prefix
        )
        await store_beyond(phone, MIB)
    assert node.stop() == 0


async def test_what_goes_when_others_leave_little_of_the_disk(
    tmp_path: Path, small_disk: SmallDisk
) -> None:
    """128 MiB are left free, whoever fills the rest."""
    node = start_node(tmp_path / "a", prefix=small_disk.prefix)
    async with aiohttp.ClientSession() as session:
        phone = Phone(session, node)
        for _ in range(10 * MIB // KEPT_BYTES):
            assert await phone.store(KEPT_BYTES) == 201
        small_disk.fill(free_bytes=RESERVE_BYTES_MAX + 16 * MIB)
        await store_beyond(phone, 80 * MIB)
        assert small_disk.free_bytes > RESERVE_BYTES_MAX // 2
        small_disk.free()
        await phone.until(201)
    assert node.stop() == 0


def folder_bytes(folder: Path) -> int:
    """What it takes of the disk; files come and go meanwhile."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            total += path.stat().st_blocks * 512
    return total


async def test_a_disk_that_became_read_only(tmp_path: Path, small_disk: SmallDisk) -> None:
    """One clear line, from a folder that is new and from one that is not."""
    assert start_node(tmp_path / "a", prefix=small_disk.prefix).stop() == 0
    small_disk.make_read_only()
    for name in ("data", "new"):
        command = [*MESHBOX, "run", "--data-dir", str(tmp_path / "a" / name), *FREE_PORTS]
        refused = subprocess.run(
            [*small_disk.prefix, *command, "--no-mdns"],
            capture_output=True,
            text=True,
            env=clean_environment(),
            check=False,
        )
        assert refused.returncode == 1
        assert refused.stdout == ""
        (line,) = refused.stderr.splitlines()
        assert line.startswith("meshbox: error[data_dir.failed]: ")
        assert "Read-only file system" in line
        assert "check its owner, mode and free space" in line


async def assert_lost_only_for_room(phone: Phone) -> None:
    """A disk without a byte is below the reserve: messages go for it, and are counted."""
    lost = await phone.lost()
    status = await phone.status()
    assert len(lost) <= status["storage"]["evicted"]


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

        await eventually(has_reserve, within_s=AGAIN_S_MAX)
        small_disk.fill()
        node.kill()
        phone.node = node = start_node(tmp_path / "a", prefix=small_disk.prefix)
        assert not reserve.exists(), "it was opened with the space of the reserve"
        await assert_lost_only_for_room(phone)

        small_disk.fill()
        node.kill()
        with pytest.raises(AssertionError, match=r"meshbox: error\[(store|data_dir)\.failed\]"):
            start_node(tmp_path / "a", prefix=small_disk.prefix)
        small_disk.free()
        phone.node = node = start_node(tmp_path / "a", prefix=small_disk.prefix)
        await assert_lost_only_for_room(phone)

        small_disk.fill()
        assert {await phone.store(KEPT_BYTES) for _ in range(100)} & {503, 507}
        small_disk.free()
        await phone.until(201)
        assert node.stop() == 0
