from __future__ import annotations

import asyncio
import errno

import pytest

from meshbox.core.errors import DiscoveryFailed
from meshbox.discovery import responder
from meshbox.discovery.interfaces import Interface
from meshbox.discovery.responder import Responder

LO = Interface(name="lo", index=1, addresses=("127.0.0.1", "::1"), is_loopback=True)


def spoken_on(opened: Responder) -> list[str]:
    return [address for address, _ in sorted(opened._spoken_on())]


async def test_it_speaks_where_it_is_told_to_and_nowhere_else() -> None:
    opened = Responder()
    assert spoken_on(opened) == []
    assert await opened.speak_on([LO])
    assert spoken_on(opened) == ["127.0.0.1"]
    assert not await opened.speak_on([LO])
    assert not await opened.speak_on([])
    assert spoken_on(opened) == []
    await opened.close()


async def test_an_address_that_cannot_be_bound_yet_is_skipped_and_tried_again() -> None:
    opened = Responder()
    early = Interface(name="lo", index=1, addresses=("192.0.2.250",))
    assert await opened.speak_on([LO, early])
    assert spoken_on(opened) == ["127.0.0.1"]
    assert not await opened.speak_on([LO, early])
    await opened.close()


async def test_it_does_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responder, "_has_ipv6", lambda: False)
    opened = Responder()
    assert await opened.speak_on([LO])
    await opened.close()


async def test_a_taken_port_is_a_fault_of_the_world(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise OSError(errno.EADDRINUSE, "Address already in use")

    monkeypatch.setattr("meshbox.discovery.responder.AsyncZeroconf", refuse)
    with pytest.raises(DiscoveryFailed, match="5353"):
        Responder()


async def test_a_slow_goodbye_does_not_hold_the_end_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responder, "CLOSE_S_MAX", 0.01)
    opened = Responder()

    async def never() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(opened.aio, "async_close", never)
    async with asyncio.timeout(5):
        await opened.close()
    assert opened.zeroconf.done
