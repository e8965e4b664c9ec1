"""Disks for the nodes of the sync tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sync.nodes import Disk, MemoryDisk, RocksDisk

NewDisk = Callable[[], Disk]


@pytest.fixture(params=["memory", "rocksdb"])
def new_disk(request: pytest.FixtureRequest, tmp_path: Path) -> NewDisk:
    """`new_disk()`: an empty disk, of every engine."""
    made: list[Disk] = []

    def make() -> Disk:
        folder = tmp_path / f"disk-{len(made)}"
        folder.mkdir()
        disk = MemoryDisk() if request.param == "memory" else RocksDisk(folder)
        made.append(disk)
        return disk

    return make
