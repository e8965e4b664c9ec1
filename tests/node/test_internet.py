"""Internet mailboxes of the settings are reached, and told of in the order of the settings."""

from __future__ import annotations

from collections.abc import Iterable

from meshbox.core.internet import (
    InternetAddress,
    InternetKind,
    InternetState,
    WebAddress,
    parse_internet,
)
from meshbox.core.way_out import WayOut
from meshbox.node.internet import Internet
from meshbox.storage.leases import Alone
from meshbox.sync.bridge.bridges import Bridges
from tests.sync.nodes import MemoryDisk, Node, equal, running
from tests.waiting import eventually

SERVER = "https://mailbox.invalid"


def bridges_of(node: Node, addresses: Iterable[InternetAddress]) -> Bridges:
    return Bridges(
        (address for address in addresses if isinstance(address, WebAddress)),
        store=node.store,
        named=(),
        ways={SERVER: WayOut(node.node_id)},
        leases=Alone(),
        log=lambda *_, **__: None,
    )


async def test_a_node_on_the_internet_is_connected_and_told_of() -> None:
    async with running(MemoryDisk()) as island, running(MemoryDisk()) as far:
        url = f"meshbox://{far.node_id}@{far.endpoint}"
        own = f"meshbox://{island.node_id}@{island.endpoint}"
        addresses = list(map(parse_internet, [SERVER, own, url]))
        bridges = bridges_of(island, addresses)
        internet = Internet(addresses, sync=island.service, bridges=bridges, leases=Alone())
        internet.start()
        await island.put(range(5), author="here")
        await far.put(range(7), author="there")
        await equal(island, far)
        await eventually(lambda: internet.mailboxes()[1].blobs_in == 7)
        web, node = internet.mailboxes()
        assert (web.url, web.kind) == (SERVER, InternetKind.DASH_CHAT)
        assert web.state is InternetState.WAITING
        await eventually(lambda: internet.mailboxes()[0].reason == "name.unresolved")
        assert (node.url, node.kind, node.node_id) == (url, InternetKind.MESHBOX, far.node_id)
        assert (node.state, node.reason) == (InternetState.CONNECTED, None)
        assert (node.blobs_in, node.blobs_out) == (7, 5)
        assert node.since_ms is not None
        assert node.last_progress_ms is not None
        island.service.peer_gone(far.node_id)
        await far.restart()
        await eventually(lambda: internet.mailboxes()[1].state is InternetState.CONNECTED)
        await internet.stop()
