"""The facade: announces this node, browses for others, follows the network, tells one listener.

Knows when to do what; how is in the modules beside it. No type of zeroconf leaves this package.

Invariants: events come one at a time and in order, `Found` before `Changed` before `Gone` for each
key, with nothing after `stop`. What changes faster than the listener takes it is told as one
change.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from meshbox.core.errors import DiscoveryFailed
from meshbox.core.ids import NodeId
from meshbox.discovery.announcement import Announcement, Record, records_of
from meshbox.discovery.announcer import Announcer
from meshbox.discovery.background import begin
from meshbox.discovery.browser import Browser
from meshbox.discovery.cache_guard import CacheGuard
from meshbox.discovery.changes import mailbox_events, peer_events
from meshbox.discovery.events import (
    CloneSeen,
    Event,
    NetworkChanged,
    Troubled,
)
from meshbox.discovery.found import Mailbox, Peer, Resolved, read_mailbox, read_node
from meshbox.discovery.interfaces import Interface, choose, read_interfaces, staying
from meshbox.discovery.names import DEFAULT_MESH, MeshName, Service, service_type
from meshbox.discovery.network_watch import watch_network
from meshbox.discovery.responder import Responder
from meshbox.discovery.roster import Roster
from meshbox.discovery.swarm.responder import SwarmResponder

CLONES_TOLD_MAX = 16
"""By then the operator knows; whoever goes on inventing them is not listened to."""
_NOTICES_MAX = 64


def _nobody(_: NodeId) -> bool:
    return False


class Discovery:
    """Finds nodes (and, if asked to, mailboxes) on the LAN, and lets them find this node.

    `interfaces` are names or addresses (`parse_interface`), none for the default choice.
    `is_connected` says of a peer that it needs no probing. `on_event` is awaited for each event.
    """

    def __init__(
        self,
        node_id: NodeId | None,
        *,
        on_event: Callable[[Event], Awaitable[None]],
        mesh: MeshName = DEFAULT_MESH,
        interfaces: Sequence[str] = (),
        browse: frozenset[Service] = frozenset({Service.NODE}),
        is_connected: Callable[[NodeId], bool] = _nobody,
    ) -> None:
        self._node_id = node_id
        self._on_event = on_event
        self._mesh = mesh
        self._wanted = tuple(interfaces)
        self._browse = browse
        self._is_connected = is_connected
        self._run = secrets.token_hex(4)
        self._announcement: Announcement | None = None
        self._interfaces: tuple[Interface, ...] = ()
        self._is_moved = False
        self._is_stopped = False
        self._notices: deque[Event] = deque(maxlen=_NOTICES_MAX)
        self._clones: set[str] = set()
        self._trouble: str | None = None
        self._woken = asyncio.Event()
        self._moving = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._responder: Responder | None = None
        self._announcer: Announcer | None = None
        self._nodes: Browser[Peer] | None = None
        self._mailboxes: Browser[Mailbox] | None = None
        self._swarm: SwarmResponder | None = None
        self._guard: CacheGuard | None = None

    @property
    def peers(self) -> list[Peer]:
        """The nodes that are there now."""
        return self._nodes.roster.current() if self._nodes else []

    @property
    def mailboxes(self) -> list[Mailbox]:
        """The mailboxes that are there now, when they are browsed; once a dialect."""
        return [mailbox for roster in self._mailbox_rosters() for mailbox in roster.current()]

    @property
    def ages(self) -> list[tuple[Peer | Mailbox, float]]:
        """Everything that is there now, with the seconds since it was heard last."""
        now_ms = time.monotonic() * 1000
        rosters: list[Roster[Peer] | Roster[Mailbox]] = [*self._mailbox_rosters()]
        if self._nodes is not None:
            rosters.append(self._nodes.roster)
        return [
            (found, age_ms / 1000)
            for roster in rosters
            for found, age_ms in roster.ages(now_ms=now_ms)
        ]

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses of the interfaces in use."""
        return tuple(a for interface in self._interfaces for a in interface.addresses)

    async def start(self, announcement: Announcement | None = None) -> None:
        """Announces, if given, and browses until `stop`; once. `DiscoveryFailed`.

        Having no network yet is no failure: it begins when there is one.
        """
        assert self._responder is None, "a Discovery is started once"
        assert announcement is None or self._node_id is not None, "only a node can be announced"
        self._announcement = announcement
        self._responder = Responder()
        self._announcer = Announcer(self._responder)
        self._swarm = SwarmResponder(
            self._node_id,
            type_=service_type(Service.MAILBOX, self._mesh),
            asks=Service.MAILBOX in self._browse,
            on_change=self._woken.set,
        )
        try:
            await self._move(choose(read_interfaces(), self._wanted))
        except BaseException:
            await self.stop()
            raise
        self._guard = CacheGuard(self._responder.zeroconf, kept=self._kept)
        for work in [*self._start_browsing(), watch_network(self._look), self._tell()]:
            self._tasks.append(begin(work))

    async def announce(self, announcement: Announcement) -> None:
        """Replaces what is announced, without a goodbye in between. `DiscoveryFailed`."""
        assert self._node_id is not None, "only a node can be announced"
        self._announcement = announcement
        async with self._moving:
            self._is_moved = False
            await self._announce(self._interfaces)
            self._is_moved = True

    async def stop(self) -> None:
        """Says goodbye and ends everything, within 2 s. Safe to call again, and from `on_event`."""
        self._is_stopped = True
        current = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not current]
        self._tasks = []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for browser in self._browsers():
            await browser.stop()
        if self._guard is not None:
            self._guard.stop()
            self._guard = None
        responder, announcer, swarm = self._responder, self._announcer, self._swarm
        self._nodes = self._mailboxes = self._announcer = self._swarm = None
        if responder is not None and announcer is not None and swarm is not None:
            await announcer.hush()
            await asyncio.gather(responder.close(), swarm.close())

    def _start_browsing(self) -> list[Coroutine[Any, Any, None]]:
        assert self._responder is not None
        work: list[Coroutine[Any, Any, None]] = []
        if Service.NODE in self._browse:
            self._nodes = Browser(
                self._responder,
                type_=service_type(Service.NODE, self._mesh),
                read=self._read_node,
                is_connected=lambda peer: self._is_connected(peer.node_id),
                own_instance=self._node_id,
                on_change=self._woken.set,
            )
            work += self._nodes.start()
        if Service.MAILBOX in self._browse:
            self._mailboxes = Browser(
                self._responder,
                type_=service_type(Service.MAILBOX, self._mesh),
                read=self._read_mailbox,
                is_connected=lambda _: False,
                own_instance=None,
                on_change=self._woken.set,
            )
            work += self._mailboxes.start()
        return work

    def _read_node(self, resolved: Resolved) -> Peer | None:
        claim = read_node(resolved)
        if claim is None or claim.peer.node_id != self._node_id:
            return claim.peer if claim else None
        if claim.run not in (self._run, *self._clones) and len(self._clones) < CLONES_TOLD_MAX:
            self._clones.add(claim.run)
            self._notices.append(CloneSeen(claim.peer))
        return None

    def _read_mailbox(self, resolved: Resolved) -> Mailbox | None:
        mailbox = read_mailbox(resolved)
        return None if mailbox and mailbox.mailbox_id == self._node_id else mailbox

    async def _look(self) -> None:
        """Follows the network; whatever fails is told once and tried again at the next look."""
        try:
            await self._follow(choose(read_interfaces(), self._wanted))
        except DiscoveryFailed as error:
            if error.message != self._trouble:
                self._trouble = error.message
                self._notices.append(Troubled(error))
                self._woken.set()
        else:
            self._trouble = None

    async def _follow(self, interfaces: tuple[Interface, ...]) -> None:
        assert self._responder is not None
        if interfaces == self._interfaces and self._is_moved:
            if await self._responder.speak_on(interfaces):
                self._ask()
            return
        await self._move(interfaces)
        self._notices.append(NetworkChanged(self.addresses))
        self._woken.set()

    async def _move(self, interfaces: tuple[Interface, ...]) -> None:
        """Speaks on `interfaces` from now on, announces there, and asks who is there."""
        assert self._responder is not None
        assert self._announcer is not None
        async with self._moving:
            # Until it is done the next look tries again, whatever it finds.
            self._is_moved = False
            # Nothing registered, so that zeroconf does not announce what is no longer true.
            await self._announcer.pause()
            # Two steps, for an interface that returned under another index (see `responder`).
            await self._responder.speak_on(staying(self._interfaces, interfaces))
            await self._responder.speak_on(interfaces)
            self._interfaces = interfaces
            await self._announce(interfaces)
            self._is_moved = True
        self._ask()

    def _ask(self) -> None:
        for browser in self._browsers():
            browser.ask()

    def _browsers(self) -> list[Browser[Peer] | Browser[Mailbox]]:
        return [browser for browser in (self._nodes, self._mailboxes) if browser is not None]

    def _kept(self) -> list[str]:
        return [name for browser in self._browsers() for name in browser.roster.credible_names()]

    async def _announce(self, interfaces: tuple[Interface, ...]) -> None:
        assert self._announcer is not None
        assert self._swarm is not None
        records = self._records(interfaces)
        mailbox = next((r for r in records if r.service is Service.MAILBOX), None)
        self._swarm.follow(interfaces, mailbox)
        if self._announcement is not None:
            await self._announcer.announce(records)

    def _records(self, interfaces: tuple[Interface, ...]) -> list[Record]:
        if self._announcement is None or self._node_id is None:
            return []
        return records_of(
            self._announcement,
            node_id=self._node_id,
            run=self._run,
            mesh=self._mesh,
            interfaces=interfaces,
        )

    async def _tell(self) -> None:
        while not self._is_stopped:
            await self._woken.wait()
            self._woken.clear()
            for event in self._take_events():
                await self._on_event(event)
                if self._is_stopped:  # By the listener itself.
                    return

    def _take_events(self) -> list[Event]:
        events = list(self._notices)
        self._notices.clear()
        if self._nodes is not None:
            events += peer_events(self._nodes.roster.take_changes())
        for roster in self._mailbox_rosters():
            events += mailbox_events(roster.take_changes())
        return events

    def _mailbox_rosters(self) -> list[Roster[Mailbox]]:
        browsed = (self._mailboxes, self._swarm)
        return [speaker.roster for speaker in browsed if speaker is not None]
