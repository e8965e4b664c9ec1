"""Sync services over real gRPC on loopback, with real stores: both engines where it matters."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from meshbox.core import wants
from meshbox.core.errors import ListenFailed
from meshbox.core.limits import BLOB_BYTES_MAX
from meshbox.core.rate import BURST_S, RateLimit
from meshbox.core.topics import OwnTopics
from meshbox.identity.key import mint
from meshbox.sync.runner import Rates
from meshbox.sync.status import PeerState
from tests.contract.material import blob, log_of, put
from tests.sync.conftest import NewDisk
from tests.sync.nodes import (
    MemoryDisk,
    Node,
    Wire,
    equal,
    joined,
    running,
)
from tests.waiting import eventually


async def test_two_are_equal_after_they_connect(new_disk: NewDisk) -> None:
    async with running(new_disk()) as a, running(new_disk()) as b:
        for author in range(30):
            await a.put(range(author), author=f"a{author}")
            await b.put(range(5, 5 + author), author=f"b{author}")
        await a.put(range(10), author="both")
        await b.put(range(5, 15), author="both")
        expected = await a.content() | await b.content()
        a.knows(b)
        assert await equal(a, b) == expected
        await joined(a, b)


async def test_what_is_stored_later_follows_at_once(new_disk: NewDisk) -> None:
    async with running(new_disk()) as a, running(new_disk()) as b:
        a.knows(b)
        await joined(a, b)
        for seq in range(20):
            here, there = random.Random(seq).sample([a, b], 2)
            await here.put(range(seq, seq + 1), author=f"a{seq % 3}")
            change = there.store.durable_change
            async with asyncio.timeout(5):
                while (await there.content()) != (await here.content()):
                    change = await there.store.wait_beyond(change)


async def test_three_in_a_line_pass_on_what_they_got() -> None:
    async with running(MemoryDisk()) as a, running(MemoryDisk()) as b, running(MemoryDisk()) as c:
        await a.put(range(500), author="of a")
        await c.put(range(500), author="of c")
        b.knows(a)
        b.knows(c)
        assert len(await equal(a, b, c)) == 1_000
        assert a.peer(c) is None
        await a.put(range(500, 510), author="of a")
        assert len(await equal(a, b, c)) == 1_010


async def test_a_ring_sends_nothing_twice() -> None:
    async with running(MemoryDisk()) as a, running(MemoryDisk()) as b, running(MemoryDisk()) as c:
        a.knows(b)
        b.knows(c)
        c.knows(a)
        await joined(a, b, c)
        for at, node in enumerate((a, b, c) * 3):
            await node.put(range(at * 100, at * 100 + 100), author="one log")
        await equal(a, b, c)
        peers = [node.service.peers for node in (a, b, c)]
        await eventually(lambda: sum(p.blobs_in for told in peers for p in told()) == 2 * 900)
        assert sum(p.duplicates_in for told in peers for p in told()) == 0


async def test_the_largest_blob_passes(new_disk: NewDisk) -> None:
    async with running(new_disk()) as a, running(new_disk()) as b:
        await a.put(range(2), author="before")
        await a.put(range(1), author="large", size_bytes=BLOB_BYTES_MAX)
        await a.put(range(1, 3), author="large")
        a.knows(b)
        assert len(await equal(a, b, within_s=60)) == 5
        (status,) = b.service.peers()
        assert status.bytes_in > BLOB_BYTES_MAX


async def test_a_stop_is_told_to_those_dialled_and_those_that_dialled() -> None:
    async with running(MemoryDisk()) as a, running(MemoryDisk()) as b, running(MemoryDisk()) as c:
        a.knows(b)
        b.knows(c)
        await joined(a, b)
        await joined(b, c)
        began = time.monotonic()
        await b.stop()
        took_s = time.monotonic() - began
        for node in (a, c):
            await eventually(lambda node=node: node.seen("peer.ended"))  # type: ignore[misc]
            (ended,) = node.seen("peer.ended")
            assert (ended["reason"], "node.stopping" in ended["detail"]) == ("peer.ended", True)
    assert took_s < 1


async def test_a_stop_does_not_wait_for_those_that_cannot_be_reached() -> None:
    async with running(MemoryDisk()) as a, running(MemoryDisk()) as b, Wire(b.endpoint) as wire:
        wire.freeze()
        a.knows(b, via=wire.endpoint)
        await eventually(lambda: wire.dialled)
        began = time.monotonic()
        await a.stop()
        assert time.monotonic() - began < 0.5


async def test_nothing_goes_on_after_a_stop() -> None:
    async with running(MemoryDisk()) as a, running(MemoryDisk()) as b:
        a.knows(b)
        await joined(a, b)
        service = a.service
        await a.stop()
        service.peer_found(b.node_id, (b.endpoint,), "mdns")
        own = {asyncio.current_task()}
        names = [task.get_coro().__qualname__ for task in asyncio.all_tasks() - own]  # type: ignore[union-attr]
        assert not [name for name in names if "Dialling" in name]
        await eventually(lambda: not b.connected(a))


async def test_a_cut_is_noticed_and_healed() -> None:
    async with running(MemoryDisk()) as a, running(MemoryDisk()) as b, Wire(b.endpoint) as wire:
        await a.put(range(10))
        a.knows(b, via=wire.endpoint)
        await joined(a, b)
        await equal(a, b)
        wire.cut()
        await eventually(lambda: not a.connected(b) and not b.connected(a))
        assert [ended["reason"] for ended in a.seen("peer.ended")] == ["peer.lost"]
        assert [ended["reason"] for ended in b.seen("peer.ended")] == ["peer.lost"]
        await a.put(range(10, 20))
        await b.put(range(10), author="of b")
        before = wire.dialled
        await eventually(lambda: wire.dialled >= before + 3)
        status = a.peer(b)
        assert status is not None
        assert (status.state, status.reason) in {
            (PeerState.WAITING, "peer.lost"),
            (PeerState.CONNECTING, "peer.lost"),
        }
        wire.heal()
        assert len(await equal(a, b)) == 30


async def test_a_taken_port_is_refused() -> None:
    async with running(MemoryDisk()) as a:
        b = Node(MemoryDisk())
        with pytest.raises(ListenFailed, match="address in use"):
            await b.start(a.endpoint)
        await b.stop()


async def test_a_node_that_only_dials() -> None:
    a = Node(MemoryDisk())
    await a.start(None)
    async with running(MemoryDisk()) as b:
        await a.put(range(5))
        a.knows(b)
        await joined(a, b)
        assert len(await equal(a, b)) == 5
        await a.stop()


async def test_a_node_that_comes_back_goes_on_where_it_was(new_disk: NewDisk) -> None:
    async with running(new_disk()) as a, running(new_disk()) as b:
        await a.put(range(300), author="of a")
        await b.put(range(300), author="of b")
        a.knows(b)
        assert len(await equal(a, b)) == 600
        await at_rest(a, b)
        await b.restart()
        await eventually(lambda: len(b.seen("peer.connected")) == 2)
        await at_rest(a, b)
        assert offered_pages(a, b) == [0, 0]
        await a.restart()
        a.knows(b)
        await eventually(lambda: len(b.seen("peer.connected")) == 3)
        await at_rest(a, b)
        assert offered_pages(a, b) == [0, 0]
        await a.put(range(300, 301), author="of a")
        assert len(await equal(a, b)) == 601
        await at_rest(a, b)
        assert offered_pages(a, b)[0] == 1


async def test_widening_what_is_carried_brings_the_past() -> None:
    disk, identity = MemoryDisk(), mint()
    narrow = OwnTopics([log_of(topic="one").topic])
    async with running(MemoryDisk()) as a:
        for topic in ("one", "two"):
            for seq in range(3):
                await put(a.store, blob(a.store, seq, b"x", log=log_of(topic=topic)))
        async with running(disk, identity=identity, carried=narrow) as b:
            await put(b.store, blob(b.store, 0, b"of a phone", log=log_of("phone", "three")))
            a.knows(b)
            await joined(a, b)
            await at_rest(a, b)
            assert (len(await a.content()), len(await b.content())) == (7, 4)
        async with running(disk, identity=identity) as b:
            a.knows(b)
            assert len(await equal(a, b)) == 7


async def at_rest(*nodes: Node) -> None:
    """Every session told all of its feed, and all of it is settled."""

    def is_so() -> bool:
        runners = [runner for node in nodes for runner in node.service._runners]
        return len(runners) == len(nodes) and all(r.session.is_settled for r in runners)

    await eventually(is_so)


def offered_pages(*nodes: Node) -> list[int]:
    """How many pages each node's only session offered."""
    senders = [runner.session._sender for node in nodes for runner in node.service._runners]
    return [sender._pages._last for sender in senders if sender is not None]


@pytest.mark.slow
async def test_what_one_holder_does_not_send_the_next_one_is_asked_for() -> None:
    async with (
        running(MemoryDisk()) as a,
        running(MemoryDisk()) as b,
        running(MemoryDisk()) as c,
        Wire(a.endpoint) as wire_a,
        Wire(b.endpoint) as wire_b,
    ):
        c.knows(a, via=wire_a.endpoint)
        c.knows(b, via=wire_b.endpoint)
        await joined(a, c)
        await joined(b, c)
        wire_a.freeze()
        wire_b.freeze()
        for author in range(8):
            await a.put(range(200), author=f"{author}", size_bytes=2_000)
            await b.put(range(200), author=f"{author}", size_bytes=2_000)
        wire_a.thaw()
        await eventually(lambda: c.service._runners and asked_of(c, a) > 0)
        wire_a.freeze()
        wire_b.thaw()
        assert len(await equal(b, c, within_s=8)) == 1_600
        wire_a.thaw()
        await equal(a, c)


def asked_of(node: Node, peer: Node) -> int:
    """How many numbers `node` waits for from `peer`."""
    sessions = [r.session for r in node.service._runners if r.session.peer == peer.node_id]
    readers = [session._reader for session in sessions]
    askers = [reader._asker for reader in readers if reader]
    return sum(budget.seqs for asker in askers for budget in asker._budgets.values())


@pytest.mark.parametrize("direction", ["incoming", "outgoing"])
async def test_a_rate_bounds_what_moves_and_nothing_gets_lost(direction: str) -> None:
    rate, size_bytes, count = 1_000_000, 20_000, 50
    bound = Rates(**{direction: RateLimit(rate)})
    async with running(MemoryDisk(), rates=bound) as a, running(MemoryDisk()) as b:
        giver, taker = (b, a) if direction == "incoming" else (a, b)
        await giver.put(range(count), size_bytes=size_bytes)
        began = time.monotonic()
        a.knows(b)
        await equal(giver, taker)
        await at_rest(a, b)
        assert time.monotonic() - began > size_bytes * count / rate - BURST_S


SPREAD_BYTES_S = 5_000_000
"""Of each of two: with both, 24 MB take 2.4 s, beside which a slower handshake is little."""


@pytest.mark.slow
async def test_wants_are_spread_over_those_who_hold_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wants, "WANT_PATIENCE_MS", 60_000)  # a busy machine is no slow peer
    # So that both lines are equally quick, whoever of this process has its turn more often.
    rates = [Rates(outgoing=RateLimit(SPREAD_BYTES_S)) for _ in range(2)]
    async with (
        running(MemoryDisk(), rates=rates[0]) as a,
        running(MemoryDisk(), rates=rates[1]) as b,
        running(MemoryDisk()) as c,
    ):
        for author in range(60):
            await a.put(range(50), author=f"{author}", size_bytes=8_000)
            await b.put(range(50), author=f"{author}", size_bytes=8_000)
        c.knows(a)
        c.knows(b)
        assert len(await equal(a, b, c)) == 3_000
        await eventually(lambda: sum(status.blobs_in for status in c.service.peers()) == 3_000)
        assert min(status.blobs_in for status in c.service.peers()) > 3_000 // 4
        assert [status.duplicates_in for status in c.service.peers()] == [0, 0]


async def test_what_was_asked_of_a_peer_that_left_is_asked_of_another() -> None:
    async with (
        running(MemoryDisk()) as a,
        running(MemoryDisk()) as b,
        running(MemoryDisk()) as c,
        Wire(a.endpoint) as wire,
    ):
        for node in (a, b):
            await node.put(range(500), size_bytes=20_000)
        c.knows(a, via=wire.endpoint)
        await eventually(lambda: c.peer(a) and c.peer(a).lag > 0)  # type: ignore[union-attr]
        wire.freeze()
        c.knows(b)
        await joined(b, c)
        wire.cut()
        assert len(await equal(b, c, within_s=5)) == 500


async def test_a_store_that_failed_ends_sessions_and_is_not_a_bug() -> None:
    async with running(MemoryDisk()) as a:
        disk = MemoryDisk()
        b = Node(disk)
        await b.start()
        a.knows(b)
        await joined(a, b)
        disk.opened.fail_syncs(OSError("no such disk"))
        await a.put(range(3))
        await eventually(lambda: b.seen("peer.ended"))
        assert {ended["reason"] for ended in b.seen("peer.ended")} == {"store.failed"}
        await eventually(lambda: len(a.seen("peer.connected")) > 1)
        assert not b.service.failed.done()
        assert await a.content()
        await b.stop()


async def test_what_is_told_of_peers() -> None:
    async with running(MemoryDisk()) as a, running(MemoryDisk()) as b:
        await a.put(range(20))
        b.knows(a)
        await equal(a, b)
        await eventually(lambda: b.peer(a).blobs_in == 20)  # type: ignore[union-attr]
        of_a, of_b = b.peer(a), a.peer(b)
        assert of_a is not None
        assert of_b is not None
        now_ms = time.time() * 1000
        assert (of_a.state, of_a.reason, of_a.lag) == (PeerState.CONNECTED, None, 0)
        assert (of_a.address, of_a.source) == (str(a.endpoint), "mdns")
        assert (of_b.address, of_b.source) == (None, "inbound")
        assert (of_a.blobs_in, of_b.blobs_out, of_a.blobs_out) == (20, 20, 0)
        assert of_a.bytes_in > 20 * 40
        assert of_b.bytes_out >= of_a.bytes_in - 10
        assert of_a.since_ms is not None
        assert of_a.last_progress_ms is not None
        assert now_ms - 20_000 < of_a.since_ms <= of_a.last_progress_ms <= now_ms + 1
        await a.stop()
        await eventually(lambda: not b.connected(a))
        after = b.peer(a)
        assert after is not None
        assert (after.reason, after.since_ms) == ("peer.ended", None)
        assert after.blobs_in == 20
        assert after.last_progress_ms == pytest.approx(of_a.last_progress_ms, abs=2)
