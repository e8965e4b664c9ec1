"""A far peer is looked for until somebody takes a connection; the reason why not is told once."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from meshbox.core.address import Endpoint
from meshbox.core.errors import NameUnresolved, PeerUnreachable, WorldError
from meshbox.core.internet import InternetState, parse_internet
from meshbox.identity.key import mint
from meshbox.node.internet import Internet
from meshbox.storage.leases import Alone
from meshbox.sync import probing
from meshbox.sync.bridge.bridges import Bridges
from meshbox.sync.probing import Probe, is_another
from tests.sync.nodes import LOOPBACK, MemoryDisk, Node, Wire, equal, running
from tests.waiting import eventually


def free_endpoint() -> Endpoint:
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        return Endpoint(LOOPBACK, sock.getsockname()[1])


async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    writer.close()


async def test_it_is_found_when_it_comes_and_what_was_before_is_told_once() -> None:
    told: list[WorldError] = []
    probe = Probe(told.append)
    endpoint = free_endpoint()
    looking = asyncio.create_task(probe.reached(lambda: [endpoint]))
    await eventually(lambda: told)
    for _ in range(3):
        probe.failure = None
        probe.hurry()
        await eventually(lambda: probe.failure)
    assert {failure.code for failure in told} == {PeerUnreachable.code}
    async with await asyncio.start_server(close, *endpoint):
        probe.hurry()
        assert await asyncio.wait_for(looking, 5) == endpoint
    assert probe.failure is None


async def test_it_looks_again_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "PROBE_S", 0.05)
    endpoint = free_endpoint()
    told: list[WorldError] = []
    looking = asyncio.create_task(Probe(told.append).reached(lambda: [endpoint]))
    await eventually(lambda: told)
    async with await asyncio.start_server(close, *endpoint):
        assert await asyncio.wait_for(looking, 5) == endpoint
    assert len(told) == 1


async def test_of_several_addresses_the_one_that_answers_is_taken() -> None:
    async with await asyncio.start_server(close, LOOPBACK, 0) as server:
        gone, there = free_endpoint(), Endpoint(LOOPBACK, server.sockets[0].getsockname()[1])
        assert await Probe(lambda _: None).reached(lambda: [gone, there]) == there


async def test_a_name_is_reached_at_its_address() -> None:
    async with await asyncio.start_server(close, LOOPBACK, 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await Probe(lambda _: None).reached(
            lambda: [Endpoint("localhost", port)]
        ) == Endpoint(LOOPBACK, port)


async def test_a_name_that_nobody_knows_is_a_state() -> None:
    told: list[WorldError] = []
    looking = asyncio.create_task(
        Probe(told.append).reached(lambda: [Endpoint("mailbox.invalid", 3001)])
    )
    await eventually(lambda: told)
    looking.cancel()
    assert told[0].code == NameUnresolved.code
    assert "mailbox.invalid" in told[0].message


async def test_whether_another_answers() -> None:
    async with (
        running(MemoryDisk()) as node,
        await asyncio.start_server(speak, LOOPBACK, 0) as web,
        await asyncio.start_server(close, LOOPBACK, 0) as closing,
    ):
        assert not await is_another(node.endpoint, node.node_id)
        assert await is_another(node.endpoint, mint().node_id)
        assert await is_another(endpoint_of(web), node.node_id)
        assert not await is_another(endpoint_of(closing), node.node_id)
        assert not await is_another(free_endpoint(), node.node_id)


def endpoint_of(server: asyncio.Server) -> Endpoint:
    return Endpoint(LOOPBACK, server.sockets[0].getsockname()[1])


def internet_of(island: Node, far: Node, at: Endpoint) -> Internet:
    address = parse_internet(f"meshbox://{far.node_id}@{at}")
    none = Bridges(
        (), store=island.store, named=(), ways={}, leases=Alone(), log=lambda *_, **__: None
    )
    internet = Internet([address], sync=island.service, bridges=none, leases=Alone())
    internet.start()
    return internet


async def test_another_node_at_the_address_is_a_clear_state() -> None:
    async with running(MemoryDisk()) as a, running(MemoryDisk()) as b, running(MemoryDisk()) as c:
        internet = internet_of(a, b, c.endpoint)
        await eventually(lambda: internet.mailboxes()[0].reason == "identity.mismatch")
        told = internet.mailboxes()[0]
        assert told.state in (InternetState.WAITING, InternetState.CONNECTING)
        assert told.detail == f"who answers at {c.endpoint} is not this node"
        assert told.since_ms is not None
        await internet.stop()


async def test_the_internet_is_back_within_seconds() -> None:
    async with (
        running(MemoryDisk()) as island,
        running(MemoryDisk()) as far,
        Wire(far.endpoint) as line,
    ):
        line.cut()
        internet = internet_of(island, far, line.endpoint)
        await island.put(range(3), author="here")
        await far.put(range(3), author="there")
        await eventually(lambda: line.dialled > 3)
        assert internet.mailboxes()[0].state is not InternetState.CONNECTED
        line.heal()
        began_s = time.monotonic()
        await equal(island, far)
        assert time.monotonic() - began_s < 5.0
        await internet.stop()


async def test_one_that_comes_to_the_lan_is_found_there_meanwhile() -> None:
    async with running(MemoryDisk()) as island, running(MemoryDisk()) as far:
        internet = internet_of(island, far, free_endpoint())
        await eventually(lambda: internet.mailboxes()[0].reason == PeerUnreachable.code)
        island.knows(far)
        await eventually(lambda: island.connected(far))
        await internet.stop()


async def test_two_addresses_of_one_node_are_both_tried() -> None:
    async with running(MemoryDisk()) as island, running(MemoryDisk()) as far:
        first = internet_of(island, far, free_endpoint())
        second = internet_of(island, far, far.endpoint)
        await eventually(lambda: first.mailboxes()[0].state is InternetState.CONNECTED)
        for internet in (first, second):
            await internet.stop()
