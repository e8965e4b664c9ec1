from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from meshbox.core.address import Endpoint
from meshbox.core.errors import DiscoveryFailed
from meshbox.discovery.announcement import Announcement
from meshbox.discovery.discovery import Discovery
from meshbox.discovery.events import (
    CloneSeen,
    Event,
    MailboxChanged,
    MailboxFound,
    MailboxGone,
    NetworkChanged,
    PeerChanged,
    PeerFound,
    PeerGone,
    Troubled,
)
from meshbox.discovery.found import Dialect
from meshbox.discovery.interfaces import read_interfaces
from meshbox.discovery.names import Service
from tests.discovery.ears import LOOPBACK, Ears, at, new_mesh, node

READ_INTERFACES = "meshbox.discovery.discovery.read_interfaces"


@asynccontextmanager
async def started(
    number: int, announcement: Announcement | None, **settings: Any
) -> AsyncIterator[tuple[Discovery, Ears]]:
    """A node's discovery on loopback, running."""
    ears = Ears()
    settings = {"interfaces": LOOPBACK, "on_event": ears.on_event, **settings}
    discovery = Discovery(node(number), **settings)
    await discovery.start(announcement)
    try:
        yield discovery, ears
    finally:
        await discovery.stop()


async def _meet_move_and_leave() -> None:
    mesh = new_mesh()
    everything = frozenset(Service)
    async with started(1, at(3000), mesh=mesh, browse=everything) as (_, ears):
        async with started(2, at(4000), mesh=mesh) as (other, other_ears):
            by_other = await other_ears.next(PeerFound)
            assert by_other.peer.node_id == node(1)
            assert by_other.peer.endpoints == (Endpoint("127.0.0.1", 3001),)
            assert by_other.peer.http_port == 3000
            found = await ears.next(PeerFound)
            assert found.peer.node_id == node(2)
            assert (await ears.next(MailboxFound)).mailbox.mailbox_id == node(2)
            await other.announce(at(5000))
            changed = await ears.next(PeerChanged)
            assert changed.peer.endpoints[0] == Endpoint("127.0.0.1", 5001)
            for _ in Dialect:
                assert (await ears.next(MailboxChanged)).mailbox.mailbox_id == node(2)
            begun = time.monotonic()
        assert time.monotonic() - begun < 2
        assert (await ears.next(PeerGone)).peer.node_id == node(2)
        for _ in Dialect:
            assert (await ears.next(MailboxGone)).mailbox.mailbox_id == node(2)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_two_meet_one_moves_and_leaves(run: Callable[[Any], None]) -> None:
    run(_meet_move_and_leave())


async def test_one_who_only_browses_is_not_found() -> None:
    mesh = new_mesh()
    async with (
        started(1, None, mesh=mesh) as (_, ears),
        started(2, at(4000), mesh=mesh) as (_, other_ears),
        started(3, at(5000), mesh=mesh),
    ):
        await other_ears.next(PeerFound, lambda event: event.peer.node_id == node(3))
        await ears.next(PeerFound, lambda event: event.peer.node_id == node(3))
        assert [
            event.peer.node_id for event in other_ears.heard if isinstance(event, PeerFound)
        ] == [node(3)]


async def test_peers_are_those_there_now() -> None:
    mesh = new_mesh()
    async with started(1, at(3000), mesh=mesh, browse=frozenset(Service)) as (discovery, ears):
        async with started(2, at(4000), mesh=mesh):
            await ears.next(PeerFound)
            dialects = {(await ears.next(MailboxFound)).mailbox.dialect for _ in Dialect}
            assert dialects == set(Dialect)
            assert [peer.node_id for peer in discovery.peers] == [node(2)]
            assert [mailbox.mailbox_id for mailbox in discovery.mailboxes] == [node(2), node(2)]
            found = [item.key for item, age_s in discovery.ages if age_s < 5]
            assert found == [node(2)] * 3
        await ears.next(PeerGone)
        assert discovery.peers == []


async def test_a_clone_of_our_id_is_no_peer_and_told_once() -> None:
    mesh = new_mesh()
    async with (
        started(1, at(3000), mesh=mesh) as (_, ears),
        started(1, at(4000), mesh=mesh) as (clone, clone_ears),
    ):
        assert (await ears.next(CloneSeen)).peer.node_id == node(1)
        assert (await clone_ears.next(CloneSeen)).peer.node_id == node(1)
        await clone.announce(at(5000))
        async with started(2, at(6000), mesh=mesh):
            await ears.next(PeerFound, lambda event: event.peer.node_id == node(2))
    assert [type(event) for event in ears.heard].count(CloneSeen) == 1
    assert {e.peer.node_id for e in ears.heard if isinstance(e, PeerFound)} == {node(2)}


async def test_a_listener_may_stop_it_and_hears_nothing_more() -> None:
    mesh = new_mesh()
    heard: list[Event] = []
    stopped = asyncio.Event()

    async def stop_at_once(event: Event) -> None:
        heard.append(event)
        await listening.stop()
        stopped.set()

    listening = Discovery(
        node(1),
        on_event=stop_at_once,
        mesh=mesh,
        interfaces=LOOPBACK,
        browse=frozenset(Service),
    )
    async with started(2, at(4000), mesh=mesh):
        await listening.start(at(3000))
        await asyncio.wait_for(stopped.wait(), 10)
    assert len(heard) == 1
    await listening.stop()


async def test_a_fault_of_the_listener_reaches_the_loop() -> None:
    mesh = new_mesh()
    reported: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: reported.set_result(context)
    )

    async def fail(event: Event) -> None:
        raise LookupError(event)

    async with started(1, None, mesh=mesh, on_event=fail), started(2, at(4000), mesh=mesh):
        context = await asyncio.wait_for(reported, 10)
    assert isinstance(context["exception"], LookupError)


async def test_another_network_is_told_and_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = new_mesh()
    here = read_interfaces()
    async with (
        started(1, at(3000), mesh=mesh) as (_, ears),
        started(2, at(4000), mesh=mesh) as (other, other_ears),
    ):
        await ears.next(PeerFound)
        monkeypatch.setattr(READ_INTERFACES, lambda: ())
        await other._look()
        assert (await other_ears.next(NetworkChanged)).addresses == ()
        await other.announce(at(5000))
        monkeypatch.setattr(READ_INTERFACES, lambda: here)
        await other._look()
        assert (await other_ears.next(NetworkChanged)).addresses == ("127.0.0.1",)
        changed = await ears.next(PeerChanged)
        assert Endpoint("127.0.0.1", 5001) in changed.peer.endpoints
        assert PeerGone not in [type(event) for event in ears.heard]


async def test_trouble_is_told_once_a_message_and_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mesh = new_mesh()

    def fails() -> Any:
        raise DiscoveryFailed("no interfaces today")

    async with started(1, at(3000), mesh=mesh) as (discovery, ears):
        monkeypatch.setattr(READ_INTERFACES, fails)
        await discovery._look()
        await discovery._look()
        assert (await ears.next(Troubled)).error.message == "no interfaces today"
        monkeypatch.setattr(READ_INTERFACES, read_interfaces)
        await discovery._look()
        monkeypatch.setattr(READ_INTERFACES, fails)
        await discovery._look()
        await ears.next(Troubled)
    assert [type(event) for event in ears.heard].count(Troubled) == 2
