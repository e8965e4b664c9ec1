"""All servers of a node share one look-out for topics."""

from __future__ import annotations

from meshbox.core.internet import InternetState, WebAddress, parse_internet
from meshbox.core.way_out import WayOut
from meshbox.sync.bridge.bridges import Bridges
from tests.contract.harness import MemoryHarness
from tests.sync.bridge.bridging import ALONE, NODE, contents, deposit, equal
from tests.sync.bridge.quirky_server import QuirkyServer


async def test_each_server_gets_what_is_here(harness: MemoryHarness) -> None:
    store = await harness.open()
    await deposit(store, "t", "a", 0)
    with QuirkyServer() as first, QuirkyServer(generations=("blips",)) as second:
        addresses = [parse_internet(server.url) for server in (first, second)]
        web = [address for address in addresses if isinstance(address, WebAddress)]
        bridges = Bridges(
            web,
            store=store,
            named=(),
            ways={str(address): WayOut(NODE) for address in web},
            leases=ALONE,
            log=lambda *_, **__: None,
        )
        bridges.start()
        for server in (first, second):
            await equal(store, server, {("t", "a"): contents("a", 0)})
        bridges.network_changed()
        told = [bridges.mailbox(address) for address in web]
        assert [each.state for each in told] == [InternetState.CONNECTED] * 2
        assert [each.url for each in told] == [first.url, second.url]
        await bridges.stop()
