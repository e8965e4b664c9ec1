from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from meshbox.discovery import browser, questions, roster
from meshbox.discovery.browser import Browser
from meshbox.discovery.found import Peer, Resolved, encode_txt, read_node
from meshbox.discovery.interfaces import Interface
from meshbox.discovery.names import Service, service_type
from meshbox.discovery.responder import Responder
from tests.discovery.ears import LOOPBACK, WITHIN_S, new_mesh, node
from tests.waiting import eventually

LO = Interface(name="lo", index=1, addresses=("127.0.0.1",), is_loopback=True)


class Stage:
    """Our browser, and a foreign responder that announces whatever it likes."""

    def __init__(self, responder: Responder) -> None:
        self.type_ = service_type(Service.NODE, new_mesh())
        self.foreign = AsyncZeroconf(interfaces=LOOPBACK)
        self.connected: set[str] = set()
        self.changed = asyncio.Event()
        self.browser = Browser[Peer](
            responder,
            type_=self.type_,
            read=self._read,
            is_connected=lambda peer: peer.node_id in self.connected,
            own_instance=None,
            on_change=self.changed.set,
        )
        self._work = [asyncio.ensure_future(work) for work in self.browser.start()]

    async def announce(
        self, instance: str, *, port: int = 3001, host: str = "foreign", **txt: str
    ) -> None:
        info = AsyncServiceInfo(
            self.type_,
            f"{instance}.{self.type_}",
            port=port,
            addresses=[b"\x7f\0\0\1"],
            properties=encode_txt(txt),
            server=f"{host}.local.",
        )
        await self.foreign.async_register_service(info, cooperating_responders=True, strict=False)

    async def until(self, ports: dict[str, list[int]]) -> None:
        """Waits until exactly these nodes are there, at these ports."""
        async with asyncio.timeout(WITHIN_S):
            while self.ports() != ports:
                self.changed.clear()
                await self.changed.wait()

    def ports(self) -> dict[str, list[int]]:
        current = self.browser.roster.current()
        return {peer.node_id: [at.port for at in peer.endpoints] for peer in current}

    def vanish(self) -> None:
        """The foreign responder falls silent, without a goodbye."""
        registry = self.foreign.zeroconf.registry
        registry.async_remove(registry.async_get_service_infos())

    async def close(self) -> None:
        for work in self._work:
            work.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        await self.browser.stop()
        await self.foreign.async_close()

    def _read(self, resolved: Resolved) -> Peer | None:
        claim = read_node(resolved)
        return claim.peer if claim else None


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    responder = Responder()
    await responder.speak_on([LO])
    made = Stage(responder)
    unhandled: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    yield made
    await made.close()
    await responder.close()
    assert unhandled == []


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence and tries that a test can wait for."""
    monkeypatch.setattr(roster, "SILENCE_MS", 300)
    monkeypatch.setattr(roster, "TRY_INTERVAL_MS", 300)
    monkeypatch.setattr(browser, "PROBE_TICK_S", 0.05)


async def test_only_what_makes_sense_is_found(stage: Stage) -> None:
    await stage.announce("no-text")
    await stage.announce("no-id", v="1")
    await stage.announce("other-case", id=node(3).swapcase(), v="1")
    await stage.announce("a name with. everything", id=node(4), v="1")
    await stage.announce(node(5), id=node(5), v="none")
    await stage.announce(node(6), id=node(6), v="1", relay="x" * 200)
    await stage.announce("another-name", id=node(7), v="1")
    await stage.until({node(6): [3001], node(7): [3001]})


async def test_a_node_that_stops_making_sense_is_gone(stage: Stage) -> None:
    await stage.announce("x", id=node(1), v="1")
    await stage.until({node(1): [3001]})
    stage.vanish()
    await stage.announce("x", v="1")
    await stage.until({})


async def test_two_names_of_one_id_are_one_node(stage: Stage) -> None:
    await stage.announce("liar", port=666, id=node(1), v="1")
    await stage.until({node(1): [666]})
    await stage.announce(node(1), id=node(1), v="1")
    await stage.until({node(1): [3001, 666]})


@pytest.mark.usefixtures("_impatient")
async def test_the_silent_are_gone_and_found_again(stage: Stage) -> None:
    await stage.announce("x", id=node(1), v="1")
    await stage.until({node(1): [3001]})
    stage.vanish()
    await stage.until({})
    await stage.announce("x", id=node(1), v="1")
    await stage.until({node(1): [3001]})


@pytest.mark.usefixtures("_impatient")
async def test_the_connected_are_not_asked(stage: Stage) -> None:
    stage.connected.add(node(1))
    await stage.announce("x", id=node(1), v="1")
    await stage.announce("y", id=node(2), v="1")
    await stage.until({node(1): [3001], node(2): [3001]})
    stage.vanish()
    await stage.until({node(1): [3001]})
    stage.connected.clear()
    await stage.until({})


@pytest.mark.usefixtures("_impatient")
async def test_those_who_answer_stay(stage: Stage) -> None:
    await stage.announce("x", id=node(1), v="1")
    await stage.announce("y", host="silent", id=node(2), v="1")
    await stage.until({node(1): [3001], node(2): [3001]})
    # From now on, only one of them answers.
    registry = stage.foreign.zeroconf.registry
    registry.async_remove(
        [info for info in registry.async_get_service_infos() if info.server == "silent.local."]
    )
    # Everything that makes one of them go has been tried at the other as well.
    await stage.until({node(1): [3001]})


async def test_whoever_was_missed_answers_the_next_question(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.announce("x", id=node(1), v="1")
    await stage.until({node(1): [3001]})
    questions.purge(stage.browser._zeroconf, stage.type_, [f"x.{stage.type_}"])
    stage.browser._forget(f"x.{stage.type_}")
    assert stage.ports() == {}
    stage.browser.ask()
    await stage.until({node(1): [3001]})


async def test_what_found_no_room_is_taken_in_at_the_next_round(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage.browser.roster, "_names_max", 1)
    stage.connected.add(node(1))
    await stage.announce("x", id=node(1), v="1")
    await stage.until({node(1): [3001]})
    stage.browser._probe()
    await stage.announce("y", id=node(2), v="1")
    await eventually(
        lambda: len(questions.cached_instances(stage.browser._zeroconf, stage.type_)) >= 2,
        within_s=WITHIN_S,
    )
    stage.browser._forget(f"x.{stage.type_}")
    assert stage.ports() == {}
    monkeypatch.setattr(stage.browser.roster, "_names_max", 2)
    stage.browser._review()
    await stage.until({node(1): [3001], node(2): [3001]})
