from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from meshbox.core.address import Endpoint
from meshbox.core.errors import DiscoveryFailed
from meshbox.discovery.names import Service, service_type
from meshbox.discovery.swarm.link import InterfaceGone, Link, Listener, Offer, addresses_on
from meshbox.discovery.swarm.packet import Packet, Sighting, answer, query
from tests.discovery.ears import new_mesh
from tests.discovery.swarm.captured import LABEL
from tests.discovery.swarm.neighbour import Neighbour
from tests.waiting import a_while

LO = 1
OTHER = "b" * 51 + "q"
HERE = Offer(3000, ("127.0.0.1",))


class Heard:
    """What a link told its listener."""

    def __init__(self, *, is_ours: Callable[[Endpoint], bool] = lambda _: False) -> None:
        self.sightings: asyncio.Queue[Sighting] = asyncio.Queue()
        self.lapsed: asyncio.Queue[str] = asyncio.Queue()
        self.listener = Listener(self.sightings.put_nowait, self.lapsed.put_nowait, is_ours)


@asynccontextmanager
async def linked(
    heard: Heard | None = None, *, asks: bool = False
) -> AsyncIterator[tuple[Link, Neighbour, str]]:
    """A link on loopback, a neighbour, and the type that only they speak about."""
    type_ = service_type(Service.MAILBOX, new_mesh())
    listener = (heard or Heard()).listener
    async with Neighbour(type_) as neighbour:
        link = Link(index=LO, type_=type_, label=LABEL, asks=asks, listener=listener)
        try:
            yield link, neighbour, type_
        finally:
            link.close()


def told(packet: Packet) -> Sighting | None:
    return packet.sightings[0] if packet.sightings else None


def is_ours(packet: Packet) -> bool:
    return any(sighting.label == LABEL for sighting in packet.sightings)


def other(type_: str, label: str = OTHER, port: int = 4000) -> bytes:
    return answer(type_, label=label, port=port, addresses=["127.0.0.2"], is_leaving=False)


async def test_what_is_offered_is_told_at_once_and_to_who_asks() -> None:
    async with linked() as (link, neighbour, type_):
        link.offer(HERE)
        unasked = await neighbour.hears(is_ours)
        await a_while(0.5)  # Nobody answers twice in half a second.
        neighbour.send(query(type_))
        assert await neighbour.hears(is_ours) == unasked
        link.offer(Offer(3001, HERE.addresses))
        moved = await neighbour.hears(is_ours)
        assert moved != unasked


async def test_who_leaves_says_so() -> None:
    async with linked() as (link, neighbour, _):
        link.offer(HERE)
        link.offer(None)
        await neighbour.hears(lambda packet: is_ours(packet) and packet.sightings[0].is_leaving)


async def test_who_offers_nothing_is_silent_and_asks_only_to_know() -> None:
    async with linked() as (_, neighbour, type_), linked(asks=True) as (_, another, _):
        await another.hears(lambda packet: packet.is_query)
        neighbour.send(query(type_))
        neighbour.send(other(type_))
        await neighbour.hears(lambda packet: packet.is_query)
        assert (await neighbour.hears(lambda packet: bool(packet.sightings))) == other(type_)


async def test_others_are_told_of_until_they_lapse() -> None:
    heard = Heard()
    async with linked(heard) as (_, neighbour, type_):
        neighbour.send(other(type_))
        sighting = await asyncio.wait_for(heard.sightings.get(), 5)
        assert sighting == Sighting(OTHER, (Endpoint("127.0.0.2", 4000),), is_leaving=False)
        assert await asyncio.wait_for(heard.lapsed.get(), 6) == OTHER


async def test_another_that_answers_in_our_name_is_put_right() -> None:
    heard = Heard()
    async with linked(heard) as (link, neighbour, type_):
        link.offer(HERE)
        right = await neighbour.hears(is_ours)
        await a_while(0.5)
        neighbour.send(other(type_, LABEL))
        for word in (query(type_), other(type_), other(type_, "c" * 52)):
            neighbour.send(word)
        assert await neighbour.hears(lambda p: is_ours(p) and p.sightings[0][1][0].port == 3000)
        assert right
        assert all(s.label != LABEL for s in heard.sightings._queue)  # type: ignore[attr-defined]


async def test_who_was_told_of_us_on_another_interface_is_not_told_again() -> None:
    async with linked(Heard(is_ours=lambda at: at.host == "127.0.0.2")) as (link, neighbour, type_):
        link.offer(HERE)
        await neighbour.hears(is_ours)
        await a_while(0.5)
        neighbour.send(query(type_))
        neighbour.send(other(type_, LABEL))
        link.offer(None)
        heard = [await neighbour.hears(lambda p: bool(told(p))) for _ in range(2)]
        assert heard[0] == other(type_, LABEL)
        assert b"\3bye" in heard[1]


async def test_a_flood_of_rubbish_is_read_and_forgotten() -> None:
    async with linked() as (link, neighbour, type_):
        link.offer(HERE)
        await neighbour.hears(is_ours)
        await a_while(0.5)
        for at in range(2_000):
            neighbour.send(other(type_)[: at % 180])
            if at % 50 == 0:
                await asyncio.sleep(0)  # What does not fit its buffer would be lost.
        neighbour.send(query(type_))
        await neighbour.hears(is_ours)


async def test_a_port_that_is_not_shared_is_a_fault_of_the_world(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EADDRINUSE, "Address already in use")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(DiscoveryFailed, match="5353"):
        Link(index=LO, type_="_x._tcp.local.", label=None, asks=True, listener=Heard().listener)


async def test_an_interface_that_went_meanwhile_is_none() -> None:
    with pytest.raises(InterfaceGone):
        Link(index=99_999, type_="_x._tcp.local.", label=None, asks=True, listener=Heard().listener)


def test_only_addresses_of_the_interface_and_proxies_are_told_there() -> None:
    ours = ["10.0.0.1", "fe80::1", "10.1.0.1"]
    announced = ["10.0.0.1", "10.1.0.1", "fe80::1"]
    assert addresses_on(["10.0.0.1", "fe80::1"], announced, ours) == ("10.0.0.1",)
    assert addresses_on(["10.0.0.1"], ["192.0.2.9"], ours) == ("192.0.2.9",)
    assert addresses_on(["10.0.0.1"], ["10.1.0.1"], ours) == ()
