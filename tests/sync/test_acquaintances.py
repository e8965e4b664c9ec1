"""What peers tell of others is dialled a few at a time, and only where neighbours may be."""

from __future__ import annotations

from meshbox.core.address import Endpoint
from meshbox.core.ids import node_id_of
from meshbox.core.limits import TOLD_DIALLED_MAX, TOLD_FRAME_MAX
from meshbox.core.session.frames import Addresses, PeerAt
from meshbox.discovery.proving import prove
from meshbox.sync.peers import INTERNET, TOLD
from meshbox.sync.service import TICK_S
from tests.sync.nodes import LOOPBACK, MemoryDisk, Node, equal, joined, running
from tests.sync.stranger import Stranger
from tests.waiting import a_while, eventually

NOBODY = "192.0.2.1"
"""Of documentation (RFC 5737): private as far as anybody can tell, and nobody's."""


def invented(first: int) -> Addresses:
    return Addresses(
        tuple(
            PeerAt(node_id_of(number.to_bytes(32)), Endpoint(NOBODY, 1 + number))
            for number in range(first, first + TOLD_FRAME_MAX)
        )
    )


def told(node: Node) -> int:
    return sum(peer.source == TOLD for peer in node.service.peers())


async def test_a_liars_inventions_are_dialled_a_few_at_a_time_and_forgotten() -> None:
    async with (
        running(MemoryDisk(), prove=prove) as a,
        running(MemoryDisk()) as b,
        Stranger(a) as liar,
    ):
        a.knows(b)
        await joined(a, b)
        await liar.shake_hands()
        for first in range(0, 50 * TOLD_FRAME_MAX, TOLD_FRAME_MAX):
            await liar.say(invented(first))
        await eventually(lambda: told(a) == TOLD_DIALLED_MAX)
        await b.put(range(10))
        await equal(a, b)
        await a_while(4 * TICK_S)
        assert told(a) == TOLD_DIALLED_MAX
        assert a.connected(b)


async def test_nothing_that_is_no_neighbours_address_is_dialled() -> None:
    async with (
        running(MemoryDisk(), prove=prove) as a,
        running(MemoryDisk()) as b,
        Stranger(a) as liar,
    ):
        await liar.shake_hands()
        places = [b.endpoint, Endpoint("9.9.9.9", 1), Endpoint("fe80::1", 1), Endpoint("::", 1)]
        await liar.say(Addresses(tuple(PeerAt(b.node_id, at) for at in places)))
        await liar.say(Addresses((PeerAt(a.node_id, Endpoint(NOBODY, 1)),)))
        await a_while(4 * TICK_S)
        assert told(a) == 0
        assert a.seen("peer.told") == []


async def test_an_internet_mailbox_makes_nobody_neighbours() -> None:
    async with running(MemoryDisk(), prove=prove) as a, Stranger(a) as mailbox:
        a.service.peer_found(mailbox.node_id, [Endpoint(NOBODY, 1)], INTERNET)
        await mailbox.shake_hands()
        await mailbox.say(invented(0))
        await a_while(4 * TICK_S)
        assert told(a) == 0


async def test_who_keeps_to_itself_dials_nobody_that_it_is_told_of() -> None:
    async with running(MemoryDisk()) as a, Stranger(a) as liar:
        await liar.shake_hands()
        await liar.say(invented(0))
        await a_while(4 * TICK_S)
        assert told(a) == 0


async def test_where_somebody_listens_is_proven_by_the_key_it_has_there() -> None:
    async with running(MemoryDisk()) as a, running(MemoryDisk()) as b:
        assert await prove(a.node_id, a.endpoint) == a.endpoint
        named = Endpoint("localhost", a.endpoint.port)
        assert await prove(a.node_id, named) in {a.endpoint, None}
        assert await prove(a.node_id, b.endpoint) is None
        assert await prove(a.node_id, Endpoint(LOOPBACK, 1)) is None
