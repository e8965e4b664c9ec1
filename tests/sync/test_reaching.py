"""Peers that are dialled, given up, and followed where they moved, over real gRPC on loopback."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from meshbox.core.address import Endpoint
from meshbox.identity.key import Identity, mint
from meshbox.sync import reaching as reaching_module
from meshbox.sync.backoff import Backoff
from tests.sync.nodes import (
    LOOPBACK,
    MemoryDisk,
    Node,
    Wire,
    equal,
    joined,
    running,
)
from tests.waiting import WITHIN_S, a_while, eventually

FOLLOWED_S_MAX = 2.0
HERE, THERE = "127.0.0.1", "127.0.0.2"


def at(node: Node, *hosts: str) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(host, node.endpoint.port) for host in hosts)


@asynccontextmanager
async def anywhere(identity: Identity | None = None) -> AsyncIterator[Node]:
    """A node that listens on every address of this machine."""
    node = Node(MemoryDisk(), identity=identity)
    await node.start(Endpoint("0.0.0.0", 0))
    try:
        yield node
    finally:
        await node.stop()


@pytest.mark.parametrize("seed", range(30))
async def test_both_dialling_at_once_leaves_one_session(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaching_module, "CROSSING_S", 0.0)
    rng = random.Random(seed)
    async with running(MemoryDisk()) as a, running(MemoryDisk()) as b:
        await a.put(range(3), author="of a")
        await b.put(range(3), author="of b")
        for node, other in rng.sample([(a, b), (b, a)], 2):
            node.knows(other)
            await a_while(rng.choice([0.0, 0.0, 0.001, 0.01, 0.02]))
        await joined(a, b)
        await equal(a, b)
        await eventually(lambda: a.sessions == b.sessions == 1)
        # The one that is left is the same on both sides: it carries what comes now.
        await a.put(range(3, 5), author="of a")
        await b.put(range(3, 5), author="of b")
        await equal(a, b)
        assert a.peer(b).duplicates_in == b.peer(a).duplicates_in == 0  # type: ignore[union-attr]


async def test_crossing_dials_choose_the_smaller_ids_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reaching_module, "CROSSING_S", 0.0)
    small, large = sorted([mint(), mint()], key=lambda identity: identity.node_id)
    crossed = 0
    for _ in range(20):
        async with (
            running(MemoryDisk(), identity=small) as a,
            running(MemoryDisk(), identity=large) as b,
        ):
            a.knows(b)
            b.knows(a)
            await joined(a, b)
            await eventually(lambda a=a, b=b: a.sessions == b.sessions == 1)  # type: ignore[misc]
            if len(a.seen("peer.connected")) + len(b.seen("peer.connected")) > 2:
                crossed += 1
                assert [runner.dialled for runner in a.service._runners] == [True]
    assert crossed > 0


async def test_it_waits_longer_and_longer_between_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    next_s = Backoff.next_s

    def shorter(backoff: Backoff) -> float:
        waited.append(next_s(backoff))
        return 0.001

    monkeypatch.setattr(Backoff, "next_s", shorter)
    async with running(MemoryDisk()) as a, running(MemoryDisk()) as b, Wire(b.endpoint) as wire:
        wire.cut()
        a.knows(b, via=wire.endpoint)
        await eventually(lambda: len(waited) >= 10)
        assert waited[0] < 0.3
        assert waited[9] > 7
        wire.heal()
        await joined(a, b)
        tried = len(waited)
        await eventually(lambda: b.peer(a) and b.peer(a).blobs_in == 0)  # type: ignore[union-attr]
        await a_while(0.2)
        assert len(waited) == tried, "a peer that is connected is not waited for"


async def test_who_dialled_us_is_not_dialled_and_not_given_up() -> None:
    """The larger id, which was dialled, takes over as soon as that session is gone."""
    small, large = sorted([mint(), mint()], key=lambda identity: identity.node_id)
    async with (
        running(MemoryDisk(), identity=small) as a,
        running(MemoryDisk(), identity=large) as b,
        Wire(b.endpoint) as wire,
    ):
        a.knows(b, via=wire.endpoint)
        await joined(a, b)
        b.knows(a)
        await a_while(0.5)
        assert len(b.seen("peer.connected")) == 1
        a.service.peer_gone(b.node_id)
        wire.cut()
        await eventually(lambda: len(b.seen("peer.connected")) == 2, within_s=2)
        assert b.seen("peer.connected")[1]["dialled"] is True


async def test_a_peer_that_is_gone_is_dialled_no_more_and_found_again() -> None:
    async with running(MemoryDisk()) as a, running(MemoryDisk()) as b, Wire(b.endpoint) as wire:
        a.knows(b, via=wire.endpoint)
        await joined(a, b)
        a.service.peer_gone(b.node_id)
        assert a.connected(b)
        wire.cut()
        await eventually(lambda: not a.service._reaching._dialling)
        wire.heal()
        dialled = wire.dialled
        for _ in range(3):
            a.knows(b, via=wire.endpoint)
        await joined(a, b)
        assert wire.dialled == dialled + 1
        assert len(a.service._reaching._dialling) == 1


async def test_a_static_peer_is_never_given_up() -> None:
    async with running(MemoryDisk()) as a, running(MemoryDisk()) as b, Wire(b.endpoint) as wire:
        wire.cut()
        a.knows(b, via=wire.endpoint, source="static")
        a.service.peer_gone(b.node_id)
        a.knows(b, via=wire.endpoint, source="mdns")
        a.service.peer_gone(b.node_id)
        wire.heal()
        await joined(a, b)
        status = a.peer(b)
        assert status is not None
        assert (status.source, status.address) == ("static", str(wire.endpoint))


@pytest.mark.slow
async def test_a_peer_that_moves_is_followed_before_its_old_session_ends() -> None:
    async with running(MemoryDisk()) as a, anywhere() as b:
        a.service.peer_found(b.node_id, at(b, HERE), "mdns")
        await joined(a, b)
        a.service.peer_found(b.node_id, at(b, THERE), "mdns")
        await eventually(lambda: len(a.seen("peer.connected")) == 2, within_s=FOLLOWED_S_MAX)
        await eventually(lambda: a.sessions == b.sessions == 1)
        assert a.seen("peer.ended") == []
        await b.put(range(3))
        await equal(a, b)
        a.service.peer_found(b.node_id, at(b, HERE), "mdns")
        await a_while(0.3)
        assert len(a.seen("peer.connected")) == 2, "it may be forged: not at every word"
        await eventually(lambda: len(a.seen("peer.connected")) == 3)


async def test_who_dialled_us_and_moves_is_followed() -> None:
    """Also where its id is the smaller: no dial crossed another, as it knows itself."""
    small, large = sorted([mint(), mint()], key=lambda identity: identity.node_id)
    async with running(MemoryDisk(), identity=large) as a, anywhere(identity=small) as b:
        b.knows(a)
        await joined(a, b)
        b.service.network_changed()
        a.service.peer_found(b.node_id, at(b, HERE, THERE), "mdns")
        assert [told["dialled"] for told in a.seen("peer.connected")] == [False]
        a.service.peer_found(b.node_id, at(b, THERE), "mdns")
        await eventually(lambda: len(a.seen("peer.connected")) == 2, within_s=FOLLOWED_S_MAX)
        assert a.seen("peer.connected")[1]["dialled"] is True


async def test_other_addresses_come_and_go_without_another_session() -> None:
    async with running(MemoryDisk()) as a, anywhere() as b:
        a.service.peer_found(b.node_id, at(b, HERE), "mdns")
        await joined(a, b)
        elsewhere = "127.0.0.3"
        for hosts in [(THERE, HERE), (elsewhere, HERE), (HERE,), (HERE, THERE)]:
            a.service.peer_found(b.node_id, at(b, *hosts), "mdns")
        a.service.peer_gone(b.node_id)
        a.service.peer_found(b.node_id, at(b, THERE), "mdns")
        await a_while(0.3)
        assert len(a.seen("peer.connected")) == 1


async def test_on_another_network_who_waits_to_be_dialled_is_dialled_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Backoff, "next_s", lambda _: WITHIN_S)
    async with running(MemoryDisk()) as a, running(MemoryDisk()) as b, Wire(b.endpoint) as wire:
        wire.cut()
        a.knows(b, via=wire.endpoint, source="static")
        await eventually(lambda: a.seen("peer.unreachable"))
        wire.heal()
        a.service.network_changed()
        await joined(a, b, within_s=FOLLOWED_S_MAX)


async def test_every_address_is_tried() -> None:
    async with running(MemoryDisk()) as a, running(MemoryDisk()) as b, running(MemoryDisk()) as c:
        nobody = Endpoint(LOOPBACK, 1)
        a.service.peer_found(b.node_id, (nobody, c.endpoint, b.endpoint), "mdns")
        await joined(a, b)
        tried = [(e["address"], e["reason"]) for e in a.seen("peer.unreachable")]
        assert tried == [(str(nobody), "peer.lost"), (str(c.endpoint), "peer.lost")]
        assert a.peer(c) is None


async def test_a_node_does_not_dial_itself() -> None:
    async with running(MemoryDisk()) as a:
        a.knows(a)
        assert a.service.peers() == ()
