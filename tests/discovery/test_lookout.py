"""The list of what is found: real announcements on loopback, real listeners behind them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from meshbox.core.address import Endpoint
from meshbox.core.ids import NodeId
from meshbox.discovery.announcement import Announcement
from meshbox.discovery.discovery import Discovery
from meshbox.discovery.lookout import NODE, Change, Lookout, Sighted
from meshbox.discovery.names import MeshName
from meshbox.identity.key import mint
from tests.discovery.ears import LOOPBACK, WITHIN_S, Ears, new_mesh
from tests.discovery.tls_listener import listening

TRUE, FALSE = mint(), mint()
EVERYTHING = {NODE, "standard", "swarm"}


class Story:
    """What a lookout told, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[Change, Sighted]] = []
        self._more = asyncio.Event()

    def on_change(self, change: Change, sighted: Sighted) -> None:
        self.told.append((change, sighted))
        self._more.set()

    async def until(self, is_there: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not is_there():
                self._more.clear()
                await self._more.wait()

    def dialects(self, change: Change) -> set[str]:
        return {sighted.dialect for told, sighted in self.told if told is change}


@asynccontextmanager
async def looking(mesh: MeshName) -> AsyncIterator[tuple[Lookout, Story]]:
    story = Story()
    lookout = Lookout(
        on_change=story.on_change, on_trouble=lambda _: None, mesh=mesh, interfaces=LOOPBACK
    )
    await lookout.start()
    try:
        yield lookout, story
    finally:
        await lookout.stop()


@asynccontextmanager
async def announced(
    node_id: NodeId, mesh: MeshName, *, http: Endpoint, https: Endpoint, sync: Endpoint
) -> AsyncIterator[None]:
    discovery = Discovery(node_id, on_event=Ears().on_event, mesh=mesh, interfaces=LOOPBACK)
    await discovery.start(Announcement(http=http, https=https, sync=sync))
    try:
        yield
    finally:
        await discovery.stop()


async def test_a_node_and_its_mailbox_are_found_proven_and_gone() -> None:
    mesh = new_mesh()
    async with (
        listening(None) as http,
        listening(TRUE) as https,
        listening(TRUE) as sync,
        looking(mesh) as (lookout, story),
    ):
        async with announced(TRUE.node_id, mesh, http=http, https=https, sync=sync):
            await story.until(lambda: story.dialects(Change.PROVEN) == EVERYTHING)
            listed = lookout.listed()
            assert [sighted.dialect for sighted, _ in listed] == [NODE, "standard", "swarm"]
            assert {sighted.id for sighted, _ in listed} == {TRUE.node_id}
            assert [sighted.endpoints for sighted, _ in listed] == [(sync,), (http,), (http,)]
            assert all(sighted.is_proven and sighted.rtt_ms for sighted, _ in listed)
            assert all(0 <= age_s < WITHIN_S for _, age_s in listed)
        await story.until(lambda: story.dialects(Change.GONE) == EVERYTHING)
        assert lookout.listed() == []
    for dialect in EVERYTHING:
        changes = [change for change, sighted in story.told if sighted.dialect == dialect]
        assert (changes[0], changes[-1]) == (Change.FOUND, Change.GONE)
        assert changes.count(Change.FOUND) == changes.count(Change.GONE) == 1


async def test_who_only_announces_another_s_id_is_never_proven() -> None:
    mesh = new_mesh()
    async with (
        listening(None) as http,
        listening(FALSE) as false,
        looking(mesh) as (lookout, story),
        announced(TRUE.node_id, mesh, http=http, https=false, sync=false),
    ):
        await story.until(lambda: [s.rtt_ms is not None for s, _ in lookout.listed()] == [True] * 3)
        assert not any(sighted.is_proven for sighted, _ in lookout.listed())
        assert story.dialects(Change.PROVEN) == set()


async def test_a_proof_ends_with_the_address_that_gave_it() -> None:
    mesh = new_mesh()
    async with (
        listening(None) as http,
        listening(TRUE) as true,
        listening(FALSE) as false,
        looking(mesh) as (lookout, story),
    ):
        discovery = Discovery(
            TRUE.node_id, on_event=Ears().on_event, mesh=mesh, interfaces=LOOPBACK
        )
        await discovery.start(Announcement(http=http, https=true, sync=true))
        try:
            await story.until(lambda: NODE in story.dialects(Change.PROVEN))
            await discovery.announce(Announcement(http=http, https=false, sync=false))

            def node() -> Sighted:
                return next(sighted for sighted, _ in lookout.listed() if sighted.dialect == NODE)

            await story.until(lambda: node().endpoints == (false,) and node().rtt_ms is not None)
            assert not node().is_proven
        finally:
            await discovery.stop()
