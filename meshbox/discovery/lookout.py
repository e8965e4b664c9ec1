"""Everything found on the LAN as one list: mailboxes of both dialects and nodes, each asked for.

What mDNS tells is a hint; so each is dialled: how far it is, and whether it holds the key that its
name claims (`proving`). Announces nothing, and does not mind a node on the same machine.

Invariants: `found` comes before everything else of one thing and `gone` after it; a proof is of
addresses, and ends with them; at most `DISCOVERY_REACHES_MAX` are dialled at one time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from meshbox.core.address import Endpoint
from meshbox.core.errors import DiscoveryFailed, InvalidId
from meshbox.core.ids import NodeId, parse_node_id
from meshbox.core.limits import DISCOVERY_REACHES_MAX
from meshbox.discovery.background import begin
from meshbox.discovery.discovery import Discovery
from meshbox.discovery.events import (
    Event,
    MailboxChanged,
    MailboxFound,
    MailboxGone,
    PeerChanged,
    PeerFound,
    PeerGone,
    Troubled,
)
from meshbox.discovery.found import Mailbox, Peer
from meshbox.discovery.names import DEFAULT_MESH, MeshName, Service
from meshbox.discovery.proving import Reached, reach_any, reach_mailbox

ASK_INTERVAL_S: Final = 10.0
"""Seconds after which something found is dialled again."""

NODE: Final = "node"
"""In the place of a mailbox's dialect."""

Key = tuple[str, str]
"""Dialect and id: one mailbox may speak both dialects, and be a node besides."""


class Change(StrEnum):
    """What happened to something found."""

    FOUND = "found"
    CHANGED = "changed"
    PROVEN = "proven"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighted:
    """Something found. `rtt_ms` is None until it was reached, and when it is not reached."""

    dialect: str
    id: str
    endpoints: tuple[Endpoint, ...]
    is_proven: bool = False
    rtt_ms: float | None = None


@dataclass(slots=True)
class _Entry:
    found: Peer | Mailbox
    reached: Reached | None = None
    is_due: bool = True

    def sighted(self) -> Sighted:
        dialect, found_id = _key(self.found)
        return Sighted(
            dialect=dialect,
            id=found_id,
            endpoints=self.found.endpoints,
            is_proven=self.reached is not None and self.reached.is_proven,
            rtt_ms=self.reached.rtt_ms if self.reached else None,
        )


class Lookout:
    """Looks from `start` to `stop`, each once. The callbacks are called on the event loop."""

    def __init__(
        self,
        *,
        on_change: Callable[[Change, Sighted], None],
        on_trouble: Callable[[DiscoveryFailed], None],
        mesh: MeshName = DEFAULT_MESH,
        interfaces: Sequence[str] = (),
    ) -> None:
        self._on_change = on_change
        self._on_trouble = on_trouble
        self._entries: dict[Key, _Entry] = {}
        self._due = asyncio.Event()
        self._dialling = asyncio.Semaphore(DISCOVERY_REACHES_MAX)
        self._asking: dict[Key, asyncio.Task[None]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._discovery = Discovery(
            None,
            on_event=self._heard,
            mesh=mesh,
            interfaces=interfaces,
            browse=frozenset(Service),
        )

    async def start(self) -> None:
        """`DiscoveryFailed` when mDNS cannot be heard here."""
        await self._discovery.start()
        self._tasks = [begin(self._ask_the_due()), begin(self._ask_again_and_again())]

    async def stop(self) -> None:
        """Ends everything; nothing is told afterwards."""
        tasks = [*self._tasks, *self._asking.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._discovery.stop()

    def listed(self) -> list[tuple[Sighted, float]]:
        """What is there now, with the seconds since it was heard last; nodes first, by id."""
        ages = {_key(found): age_s for found, age_s in self._discovery.ages}
        shown = [
            (entry.sighted(), ages[key]) for key, entry in self._entries.items() if key in ages
        ]
        return sorted(shown, key=lambda row: (row[0].dialect != NODE, row[0].id, row[0].dialect))

    async def _heard(self, event: Event) -> None:
        match event:
            case PeerFound(found) | PeerChanged(found):
                self._note(found)
            case MailboxFound(found) | MailboxChanged(found):
                self._note(found)
            case PeerGone(found) | MailboxGone(found):
                entry = self._entries.pop(_key(found), None)
                if entry is not None:
                    self._on_change(Change.GONE, entry.sighted())
            case Troubled(error):
                self._on_trouble(error)
            case _:
                pass  # The network changed: what that means for the list is told by itself.

    def _note(self, found: Peer | Mailbox) -> None:
        key = _key(found)
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry(found)
            self._on_change(Change.FOUND, entry.sighted())
        else:
            entry.found, entry.is_due = found, True
            if entry.reached is not None and entry.reached.endpoint not in found.endpoints:
                entry.reached = None
            self._on_change(Change.CHANGED, entry.sighted())
        if isinstance(found, Peer):
            # By its https port its mailbox can be proven.
            for other in self._entries.values():
                other.is_due = other.is_due or other.found.key == found.key
        self._due.set()

    async def _ask_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(ASK_INTERVAL_S)
            for entry in self._entries.values():
                entry.is_due = True
            self._due.set()

    async def _ask_the_due(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            for key, entry in self._entries.items():
                if entry.is_due and key not in self._asking:
                    entry.is_due = False
                    self._asking[key] = begin(self._ask(key, entry))

    async def _ask(self, key: Key, entry: _Entry) -> None:
        found = entry.found
        try:
            async with self._dialling:
                reached = await self._reach(found)
        finally:
            del self._asking[key]
        if self._entries.get(key) is entry and entry.found == found:
            self._take_in(entry, reached)
        if entry.is_due:
            self._due.set()

    def _take_in(self, entry: _Entry, reached: Reached | None) -> None:
        before = entry.sighted()
        entry.reached = reached
        after = entry.sighted()
        if after.is_proven and not before.is_proven:
            self._on_change(Change.PROVEN, after)
        elif replace(before, rtt_ms=None) != replace(after, rtt_ms=None) or (
            (before.rtt_ms is None) != (after.rtt_ms is None)
        ):
            self._on_change(Change.CHANGED, after)

    async def _reach(self, found: Peer | Mailbox) -> Reached | None:
        if isinstance(found, Peer):
            return await reach_any(found.endpoints, found.node_id)
        node_id = _node_id(found)
        node = self._entries.get((NODE, found.key))
        https_port = node.found.https_port if node and isinstance(node.found, Peer) else None
        return await reach_mailbox(found.endpoints, node_id, https_port)


def _key(found: Peer | Mailbox) -> Key:
    return (NODE if isinstance(found, Peer) else found.dialect.value), found.key


def _node_id(mailbox: Mailbox) -> NodeId | None:
    """The node that a mailbox claims to be; None for one of another kind."""
    try:
        return parse_node_id(mailbox.mailbox_id)
    except InvalidId:
        return None
