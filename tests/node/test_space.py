"""What the operator allows, and what the disk has."""

from __future__ import annotations

import os
from pathlib import Path

from meshbox.core.limits import MIB
from meshbox.core.room import capacity_bytes
from meshbox.node.space import Space


def test_a_limit_leaves_room_for_what_the_database_works_with(tmp_path: Path) -> None:
    space = Space(tmp_path, limit_bytes=1_000 * MIB)
    capacity = space.allocation.capacity_bytes
    assert capacity == capacity_bytes(1_000 * MIB)
    assert 700 * MIB < capacity < 750 * MIB
    assert capacity + capacity // 4 + space.aside_bytes < 1_000 * MIB
    unlimited = Space(tmp_path, limit_bytes=None)
    assert unlimited.allocation.capacity_bytes is None
    assert unlimited.aside_bytes == 64 * MIB


def test_free_space_is_that_of_the_folders_disk(tmp_path: Path) -> None:
    space = Space(tmp_path, limit_bytes=None)
    before = space.free_bytes()
    status = os.statvfs(tmp_path)
    assert abs(before - status.f_bavail * status.f_frsize) < 512 * MIB  # Others write meanwhile.
    assert 0 < space.allocation.reserve_bytes <= status.f_blocks * status.f_frsize // 8


def test_a_folder_that_cannot_be_asked_has_nothing_free(tmp_path: Path) -> None:
    assert Space(tmp_path / "gone", limit_bytes=None).free_bytes() == 0
