"""What fetches wait for while a peer sends what it was asked for, over real gRPC on loopback."""

from __future__ import annotations

from tests.sync.nodes import MemoryDisk, Wire, equal, running
from tests.waiting import eventually


async def test_filling_stops_fetches_below_what_is_on_its_way() -> None:
    async with running(MemoryDisk()) as a, running(MemoryDisk()) as b, Wire(a.endpoint) as wire:
        await a.put(range(50), size_bytes=50_000)
        b.knows(a, via=wire.endpoint)
        await eventually(lambda: b.peer(a) and b.peer(a).lag > 0)  # type: ignore[union-attr]
        wire.freeze()
        filling = b.service.filling
        (log,) = (record.log for record in (await a.store.all_logs(None, logs_max=9)).values())
        stop = filling.stop_below(log, above=None)
        assert stop is not None
        assert filling.stop_below(log, above=49) is None
        wire.thaw()
        await equal(a, b)
        await eventually(lambda: filling.stop_below(log, above=None) is None)
