"""The reserve on a real file system; on a full one where the tests may make one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from meshbox.storage.reserve import Reserve

SIZE_BYTES = 1024 * 1024


def test_space_is_set_aside_and_given_up(tmp_path: Path) -> None:
    path = tmp_path / "reserve"
    reserve = Reserve(path, size_bytes=SIZE_BYTES)
    assert reserve.make()
    assert reserve.make()
    assert path.stat().st_blocks * 512 >= SIZE_BYTES
    assert reserve.make_way()
    assert path.exists(), "there is plenty of space"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_crash_left_of_one_is_no_reserve(tmp_path: Path) -> None:
    """Its name, without the space: a power cut between the two, or before the size was on disk."""
    path = tmp_path / "reserve"
    path.touch()
    assert Reserve(path, size_bytes=SIZE_BYTES).make()
    assert path.stat().st_blocks * 512 >= SIZE_BYTES


def test_it_follows_the_limit(tmp_path: Path) -> None:
    """A smaller limit leaves less for it: what an earlier start set aside would exceed it."""
    path = tmp_path / "reserve"
    assert Reserve(path, size_bytes=2 * SIZE_BYTES).make()
    assert Reserve(path, size_bytes=SIZE_BYTES).make()
    assert path.stat().st_size == SIZE_BYTES


def test_a_reserve_that_would_fill_the_disk_is_not_made(tmp_path: Path) -> None:
    status = os.statvfs(tmp_path)
    reserve = Reserve(tmp_path / "reserve", size_bytes=status.f_bavail * status.f_frsize // 2)
    assert not reserve.make()
    assert list(tmp_path.iterdir()) == []


def test_it_is_given_up_when_less_than_its_size_is_free(tmp_path: Path) -> None:
    status = os.statvfs(tmp_path)
    path = tmp_path / "reserve"
    path.write_bytes(b"as if made when there was more room")
    reserve = Reserve(path, size_bytes=2 * status.f_bavail * status.f_frsize)
    assert reserve.make_way()
    assert not path.exists()


def test_a_folder_that_is_gone_takes_no_writes(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "gone" / "reserve", size_bytes=SIZE_BYTES)
    assert not reserve.make()
    assert not reserve.make_way()


def test_a_device_that_is_full(tmp_path: Path) -> None:
    """The probe that decides, on a device that refuses every byte as a full disk does."""
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    path = tmp_path / "reserve"
    (tmp_path / "reserve.probe").symlink_to("/dev/full")
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        (tmp_path / "reserve.probe").write_bytes(b"x")
    reserve = Reserve(path, size_bytes=SIZE_BYTES)
    assert reserve.make()
    # The first try meets the full device, gives the reserve up, and the second a real file.
    assert reserve.make_way()
    assert not path.exists()
