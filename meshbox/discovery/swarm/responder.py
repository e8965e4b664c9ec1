"""The swarm dialect on all interfaces: follows them, announces this node, tells who is there.

Each interface has a conversation of its own, in which only the addresses of that interface are
told: a neighbour cannot reach the others. So what happens to one is not noticed on another.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from meshbox.core.address import Endpoint
from meshbox.core.ids import NodeId
from meshbox.core.limits import DISCOVERED_PEERS_MAX
from meshbox.discovery.announcement import Record
from meshbox.discovery.found import Mailbox, read_sighting
from meshbox.discovery.interfaces import Interface
from meshbox.discovery.roster import Roster
from meshbox.discovery.swarm.link import InterfaceGone, Link, Listener, Offer, addresses_on
from meshbox.discovery.swarm.packet import Sighting, label_of, mailbox_id_of

GOODBYES = 3
GOODBYE_INTERVAL_S = 0.1


class SwarmResponder:
    """Speaks for `node_id`, if one is given, about `type_`; with `asks` it also fills `roster`.

    `on_change` is called when the roster has changes.
    """

    def __init__(
        self,
        node_id: NodeId | None,
        *,
        type_: str,
        asks: bool,
        on_change: Callable[[], None],
    ) -> None:
        self.roster: Roster[Mailbox] = Roster(names_max=DISCOVERED_PEERS_MAX)
        self._label = label_of(node_id) if node_id else None
        self._type = type_
        self._asks = asks
        self._on_change = on_change
        self._links: dict[int, Link] = {}
        self._offers: dict[int, Offer] = {}

    def follow(self, interfaces: Iterable[Interface], record: Record | None) -> None:
        """Speaks on exactly these from now on, and announces `record` there. `DiscoveryFailed`."""
        by_index = {interface.index: interface for interface in interfaces if interface.ipv4}
        ours = [address for interface in by_index.values() for address in interface.addresses]
        for index in self._links.keys() - by_index.keys():
            self._leave(index)
        self._offers = {}
        for index, interface in by_index.items():
            offer = _offer(record, interface, ours)
            if offer is not None:
                self._offers[index] = offer
        for index in by_index.keys() - self._links.keys():
            with contextlib.suppress(InterfaceGone):
                self._links[index] = self._open(index)
        for index, link in self._links.items():
            link.offer(self._offers.get(index))

    async def close(self) -> None:
        """Says goodbye and ends, within 0.3 s."""
        for _ in range(GOODBYES if self._offers else 0):
            for link in self._links.values():
                link.say_goodbye()
            await asyncio.sleep(GOODBYE_INTERVAL_S)
        for link in self._links.values():
            link.close()
        self._links.clear()

    def _open(self, index: int) -> Link:
        return Link(
            index=index,
            type_=self._type,
            label=self._label,
            asks=self._asks,
            listener=Listener(
                seen=partial(self._seen, index),
                lapsed=partial(self._lapsed, index),
                is_ours=self._is_ours,
            ),
        )

    def _leave(self, index: int) -> None:
        self._links.pop(index).close()
        for name, _ in self.roster.entries():
            if name.endswith(_suffix(index)):
                self.roster.forget(name)
        self._on_change()

    def _is_ours(self, endpoint: Endpoint) -> bool:
        return any(offer.includes(endpoint) for offer in self._offers.values())

    def _seen(self, index: int, sighting: Sighting) -> None:
        if not self._asks:
            return
        name = sighting.label + _suffix(index)
        mailbox_id = mailbox_id_of(sighting.label)
        mailbox = read_sighting(mailbox_id, sighting.endpoints) if mailbox_id else None
        if mailbox is None or sighting.is_leaving:
            self.roster.forget(name)
        else:
            now_ms = asyncio.get_running_loop().time() * 1000
            if name in self.roster:
                self.roster.heard(name, at_ms=now_ms)
            self.roster.note(name, mailbox, now_ms=now_ms)
        self._on_change()

    def _lapsed(self, index: int, label: str) -> None:
        self.roster.forget(label + _suffix(index))
        self._on_change()


def _suffix(index: int) -> str:
    """Distinguishes the same mailbox on two interfaces; `%` is in no label of a mailbox."""
    return f"%{index}"


def _offer(record: Record | None, interface: Interface, ours: Sequence[str]) -> Offer | None:
    if record is None:
        return None
    addresses = addresses_on(interface.addresses, record.addresses, ours)
    return Offer(record.port, addresses) if addresses else None
