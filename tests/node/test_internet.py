"""Internet mailboxes of the settings are reached, and told of in the order of the settings."""

from __future__ import annotations

from meshbox.core.internet import InternetKind, InternetState, parse_internet
from meshbox.node.internet import Internet
from tests.sync.nodes import MemoryDisk, equal, running, until


async def test_a_node_on_the_internet_is_connected_and_told_of() -> None:
    async with running(MemoryDisk()) as island, running(MemoryDisk()) as far:
        url = f"meshbox://{far.node_id}@{far.endpoint}"
        own = f"meshbox://{island.node_id}@{island.endpoint}"
        addresses = list(map(parse_internet, ["https://mailbox.example", own, url]))
        internet = Internet(addresses, sync=island.service)
        internet.start()
        await island.put(range(5), author="here")
        await far.put(range(7), author="there")
        await equal(island, far)
        await until(lambda: internet.mailboxes()[1].blobs_in == 7)
        web, node = internet.mailboxes()
        assert (web.url, web.kind) == ("https://mailbox.example", InternetKind.DASH_CHAT)
        assert (node.url, node.kind, node.node_id) == (url, InternetKind.MESHBOX, far.node_id)
        assert (node.state, node.reason) == (InternetState.CONNECTED, None)
        assert (node.blobs_in, node.blobs_out) == (7, 5)
        assert node.since_ms is not None
        assert node.last_progress_ms is not None
        island.service.peer_gone(far.node_id)
        await far.restart()
        await until(lambda: internet.mailboxes()[1].state is InternetState.CONNECTED)
