from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from zeroconf import ServiceStateChange
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from meshbox.core.limits import MESH_NAME_BYTES_MAX
from meshbox.discovery import announcer
from meshbox.discovery.announcement import Record
from meshbox.discovery.announcer import Announcer
from meshbox.discovery.interfaces import Interface
from meshbox.discovery.names import (
    Service,
    host_name,
    instance_name,
    parse_mesh,
    service_type,
)
from meshbox.discovery.responder import Responder
from tests.discovery.ears import LOOPBACK, WITHIN_S, new_mesh, node
from tests.waiting import eventually

LO = Interface(name="lo", index=1, addresses=("127.0.0.1",), is_loopback=True)


def record(port: int, *, type_: str, addresses: tuple[str, ...] = ("127.0.0.1",)) -> Record:
    return Record(
        service=Service.MAILBOX,
        type_=type_,
        name=instance_name(node(1), type_),
        host=host_name(node(1), Service.MAILBOX),
        port=port,
        addresses=addresses,
        txt=b"\0",
    )


@pytest.fixture
async def responder() -> AsyncIterator[Responder]:
    opened = Responder()
    await opened.speak_on([LO])
    yield opened
    await opened.close()


class Observer:
    """A plain zeroconf beside ours, as any app may bring along."""

    def __init__(self, type_: str) -> None:
        self._type = type_
        self._aio = AsyncZeroconf(interfaces=LOOPBACK)
        self._seen: asyncio.Queue[tuple[ServiceStateChange, str]] = asyncio.Queue()
        self._browser = AsyncServiceBrowser(self._aio.zeroconf, type_, handlers=[self._on_change])

    def _on_change(
        self, zeroconf: object, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        self._seen.put_nowait((state_change, name))

    async def next(self, change: ServiceStateChange) -> str:
        async with asyncio.timeout(WITHIN_S):
            while True:
                seen, name = await self._seen.get()
                if seen is change:
                    return name

    async def resolve(self, name: str) -> AsyncServiceInfo:
        info = await self._aio.async_get_service_info(self._type, name)
        assert info is not None
        return info

    async def close(self) -> None:
        await self._browser.async_cancel()
        await self._aio.async_close()


async def test_records_are_seen_replaced_and_withdrawn(responder: Responder) -> None:
    type_ = service_type(Service.MAILBOX, new_mesh())
    observer = Observer(type_)
    announcing = Announcer(responder)
    await announcing.announce([record(3000, type_=type_)])
    name = await observer.next(ServiceStateChange.Added)
    assert name == instance_name(node(1), type_)
    info = await observer.resolve(name)
    assert (info.port, info.server, info.text) == (3000, "meshbox-01010101.local.", b"\0")
    assert info.parsed_addresses() == ["127.0.0.1"]
    await announcing.announce([record(4000, type_=type_)])
    await observer.next(ServiceStateChange.Updated)
    assert (await observer.resolve(name)).port == 4000
    await announcing.hush()
    await responder.close()
    await observer.next(ServiceStateChange.Removed)
    await observer.close()


async def test_an_address_that_went_is_said_goodbye_to(
    responder: Responder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it was announced less than a second before, so that no flush bit ends it."""
    monkeypatch.setattr(announcer, "REPEAT_S", 60)
    type_ = service_type(Service.MAILBOX, new_mesh())
    observer = Observer(type_)
    announcing = Announcer(responder)
    both = ("127.0.0.1", "127.0.0.2", "fe80::7")
    await announcing.announce([record(3000, type_=type_, addresses=both)])
    name = await observer.next(ServiceStateChange.Added)
    assert set((await observer.resolve(name)).parsed_addresses()) == set(both)
    await announcing.announce([record(3000, type_=type_)])

    async def is_alone() -> bool:
        return (await observer.resolve(name)).parsed_addresses() == ["127.0.0.1"]

    await eventually(is_alone)
    await announcing.hush()
    await observer.close()


async def test_a_type_of_the_longest_mesh_name_is_seen(responder: Responder) -> None:
    mesh = parse_mesh(new_mesh().ljust(MESH_NAME_BYTES_MAX, "x"))
    type_ = service_type(Service.MAILBOX, mesh)
    observer = Observer(type_)
    announcing = Announcer(responder)
    await announcing.announce([record(3000, type_=type_)])
    assert await observer.next(ServiceStateChange.Added)
    await announcing.hush()
    await observer.close()


async def test_it_is_all_said_once_more(
    responder: Responder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcer, "REPEAT_S", 0.7)
    said = asyncio.Semaphore(0)
    send = responder.zeroconf.async_send

    def count(*args: object, **kwargs: object) -> None:
        said.release()
        send(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(responder.zeroconf, "async_send", count)
    announcing = Announcer(responder)
    await announcing.announce([record(3000, type_=service_type(Service.MAILBOX, new_mesh()))])
    async with asyncio.timeout(WITHIN_S):
        for _ in range(4):
            await said.acquire()
    await announcing.hush()


async def test_nothing_is_said_after_hush(
    responder: Responder, monkeypatch: pytest.MonkeyPatch
) -> None:
    announcing = Announcer(responder)
    await announcing.announce([record(3000, type_=service_type(Service.MAILBOX, new_mesh()))])
    broadcasts = announcing._broadcasts
    await announcing.hush()
    assert broadcasts
    assert all(broadcast.done() for broadcast in broadcasts)


async def test_pause_withdraws_without_a_goodbye(responder: Responder) -> None:
    announcing = Announcer(responder)
    await announcing.announce([record(3000, type_=service_type(Service.MAILBOX, new_mesh()))])
    await announcing.pause()
    assert responder.zeroconf.generate_unregister_all_services() is None
