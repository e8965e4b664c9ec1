"""The runner's shell, as two nodes drive it over real gRPC."""

from __future__ import annotations

from tests.sync.nodes import MemoryDisk, running
from tests.waiting import eventually


async def test_bytes_and_blobs_are_counted_on_both_sides() -> None:
    async with running(MemoryDisk()) as one, running(MemoryDisk()) as other:
        await one.put(range(20))
        other.knows(one)
        await eventually(lambda: (status := other.peer(one)) and status.blobs_in == 20)
        status = other.peer(one)
        assert status is not None
        assert status.duplicates_in == 0
        assert status.bytes_in > 20 * 40
