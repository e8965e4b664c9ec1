"""All mailbox servers of the apps' kind that a node is configured with, and their one look-out."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping

from meshbox.core.ids import Topic
from meshbox.core.internet import InternetMailbox, WebAddress
from meshbox.core.topics import OwnTopics
from meshbox.core.way_out import WayOut
from meshbox.storage.interface import MailboxStore
from meshbox.storage.leases import Leases
from meshbox.storage.openings import Log
from meshbox.sync.bridge.bridge import Bridge
from meshbox.sync.bridge.topics import KnownTopics
from meshbox.sync.runner import NO_BOUND, Rates


class Bridges:
    """One bridge an address; nothing happens where there is none."""

    def __init__(
        self,
        addresses: Iterable[WebAddress],
        *,
        store: MailboxStore,
        named: Iterable[Topic],
        ways: Mapping[str, WayOut],
        rates: Rates = NO_BOUND,
        leases: Leases,
        log: Log,
    ) -> None:
        """`named` are the topics that the node carries, if not all; `ways` has each address."""
        topics = tuple(named)
        self._log = log
        self._topics = KnownTopics(store, carried=OwnTopics(topics), named=topics)
        self._bridges = {
            address: Bridge(
                address,
                store=store,
                topics=self._topics,
                way=ways[str(address)],
                rates=rates,
                leases=leases,
                log=log,
                rng=random.SystemRandom(),
            )
            for address in addresses
        }
        self._following: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Has all of them reached from now on."""
        if not self._bridges:
            return
        for bridge in self._bridges.values():
            bridge.start()
        self._following = asyncio.create_task(self._topics.run())
        self._following.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Ends what is under way."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])
        await asyncio.gather(*(bridge.stop() for bridge in self._bridges.values()))

    def _ended(self, following: asyncio.Task[None]) -> None:
        if not following.cancelled() and (error := following.exception()) is not None:
            self._log("internet.bug", url=None, error=repr(error), exc_info=error)

    def network_changed(self) -> None:
        """Tries those that are not there at once."""
        for bridge in self._bridges.values():
            bridge.network_changed()

    def mailbox(self, address: WebAddress) -> InternetMailbox:
        """How one stands now."""
        return self._bridges[address].mailbox()
