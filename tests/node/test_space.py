"""What the operator allows, and what the disk has."""

from __future__ import annotations

import os
from pathlib import Path

from meshbox.core.limits import MIB
from meshbox.core.room import capacity_bytes
from meshbox.node.space import Space


def test_a_limit_leaves_room_for_what_the_database_works_with(tmp_path: Path) -> None:
    space = Space(tmp_path, limit_bytes=1_000 * MIB)
    assert space.allocation.capacity_bytes == capacity_bytes(1_000 * MIB) == 750 * MIB
    assert Space(tmp_path, limit_bytes=None).allocation.capacity_bytes is None


def test_free_space_is_that_of_the_folders_disk(tmp_path: Path) -> None:
    space = Space(tmp_path, limit_bytes=None)
    before = space.free_bytes()
    status = os.statvfs(tmp_path)
    assert abs(before - status.f_bavail * status.f_frsize) < 512 * MIB  # Others write meanwhile.
    assert 0 < space.allocation.reserve_bytes <= status.f_blocks * status.f_frsize // 8


def test_a_folder_that_cannot_be_asked_has_nothing_free(tmp_path: Path) -> None:
    assert Space(tmp_path / "gone", limit_bytes=None).free_bytes() == 0
