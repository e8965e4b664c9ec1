from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from meshbox.core.address import Endpoint
from meshbox.discovery.announcement import Record
from meshbox.discovery.found import Dialect, Mailbox
from meshbox.discovery.interfaces import Interface
from meshbox.discovery.names import MeshName, Service, service_type
from meshbox.discovery.swarm.packet import answer, label_of
from meshbox.discovery.swarm.responder import SwarmResponder
from tests.discovery.ears import WITHIN_S, new_mesh, node
from tests.discovery.swarm.neighbour import Neighbour

LO = Interface(name="lo", index=1, addresses=("127.0.0.1",), is_loopback=True)
IPV6_ONLY = Interface(name="eth9", index=99, addresses=("fe80::9",))
FOUND = Mailbox(mailbox_id=node(1), endpoints=(Endpoint("127.0.0.1", 3000),), dialect=Dialect.SWARM)


def record(type_: str, *, port: int = 3000) -> Record:
    return Record(Service.MAILBOX, type_, f"x.{type_}", "x.local.", port, ("127.0.0.1",), b"\0")


class Speaking:
    """A responder, and word of the changes of its roster."""

    def __init__(self, number: int, mesh: MeshName, *, asks: bool) -> None:
        self.type_ = service_type(Service.MAILBOX, mesh)
        self.changed = asyncio.Event()
        self.responder = SwarmResponder(
            node(number), type_=self.type_, asks=asks, on_change=self.changed.set
        )

    def announce(self, port: int = 3000) -> None:
        self.responder.follow([LO, IPV6_ONLY], record(self.type_, port=port))

    async def finds(self, *mailboxes: Mailbox) -> None:
        """Waits until these are there, and no others."""
        async with asyncio.timeout(WITHIN_S):
            while self.responder.roster.current() != list(mailboxes):
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def speaking(*, asks: bool) -> AsyncIterator[tuple[Speaking, Speaking]]:
    """One that announces, and one that browses; both on the same two interfaces."""
    mesh = new_mesh()
    both = Speaking(1, mesh, asks=False), Speaking(2, mesh, asks=asks)
    for each in both:
        each.responder.follow([LO, IPV6_ONLY], None)
    try:
        yield both
    finally:
        for each in both:
            await each.responder.close()


async def test_one_is_found_follows_its_port_and_leaves() -> None:
    async with speaking(asks=True) as (announcing, browsing):
        announcing.announce()
        await browsing.finds(FOUND)
        announcing.announce(port=5000)
        await browsing.finds(replace(FOUND, endpoints=(Endpoint("127.0.0.1", 5000),)))
        await announcing.responder.close()
        await browsing.finds()


async def test_what_is_taken_back_is_gone_for_others() -> None:
    async with speaking(asks=True) as (announcing, browsing):
        announcing.announce()
        await browsing.finds(FOUND)
        announcing.responder.follow([LO], None)
        await browsing.finds()


async def test_what_was_heard_on_an_interface_goes_with_it() -> None:
    async with speaking(asks=True) as (announcing, browsing):
        announcing.announce()
        await browsing.finds(FOUND)
        browsing.responder.follow([], None)
        assert browsing.responder.roster.current() == []
        browsing.responder.follow([LO], None)
        await browsing.finds(FOUND)


async def test_an_interface_that_went_after_it_was_listed_holds_up_no_other() -> None:
    async with speaking(asks=True) as (announcing, browsing):
        gone = Interface(name="wlan9", index=9_999, addresses=("10.9.9.9",))
        announcing.responder.follow([gone, LO], record(announcing.type_))
        await browsing.finds(FOUND)


async def test_who_does_not_ask_keeps_no_list() -> None:
    async with speaking(asks=False) as (announcing, browsing):
        async with Neighbour(announcing.type_) as neighbour:
            announcing.announce()
            await neighbour.hears(lambda packet: bool(packet.sightings))
        assert browsing.responder.roster.current() == []


async def test_labels_that_are_no_key_and_addresses_of_nobody_are_no_mailbox() -> None:
    async with speaking(asks=True) as (announcing, browsing):
        type_ = announcing.type_
        async with Neighbour(type_) as neighbour:
            for label, host, port in [
                ("browse-17-0", "127.0.0.1", 3000),
                (label_of(node(3)), "224.0.0.1", 3000),
                (label_of(node(3)), "127.0.0.1", 0),
            ]:
                neighbour.send(
                    answer(type_, label=label, port=port, addresses=[host], is_leaving=False)
                )
            announcing.announce()
            await browsing.finds(FOUND)
