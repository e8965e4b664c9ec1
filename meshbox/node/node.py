"""A node: the one place where the concrete parts are named and put together.

    data folder held → listeners bound → identity and store → sync → mailbox → HTTP, HTTPS, admin
    → mDNS → control socket → ready

What is held or bound early is what most often fails, before anything is made or told. Stopping is
the reverse, but what faces the outside ends at the same time: goodbyes to the LAN, to the peers and
to clients need not wait for one another.

A Cassandra may not be there yet. Until it is, clients get 503 and admin tells why: the rest of the
start waits for it.

Invariants: nothing is announced before it is bound, no message answered for before the store is
open; the store is closed before the folder is let go, also when a start fails half-way.

Over 300 lines: one list of all parts, each put in its place once.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec

from meshbox.admin import control_socket
from meshbox.admin.server import AdminServer
from meshbox.admin.sources import Sources, Unopened
from meshbox.core.address import Endpoint
from meshbox.core.errors import IdentityLost, InvalidSetting
from meshbox.core.ids import node_key_of
from meshbox.core.internet import WebAddress
from meshbox.core.rate import RateLimit
from meshbox.core.reachability import Diallers
from meshbox.core.topics import OwnTopics
from meshbox.discovery.proving import prove
from meshbox.discovery.routes import read_networks, read_routes
from meshbox.http_api.proxies import TrustedProxies
from meshbox.http_api.server import HttpApi
from meshbox.http_api.settings import Generation, HttpSettings, IdRule
from meshbox.http_api.unopened import UnopenedApi
from meshbox.identity import key_file
from meshbox.identity.certificate import leaf
from meshbox.identity.key import Identity, mint
from meshbox.identity.public_certificate import PublicCertificate
from meshbox.identity.tls import server_context
from meshbox.mailbox.mailbox import Mailbox
from meshbox.mailbox.sweeping import run_sweeper
from meshbox.mailbox.system_clock import OperatingSystemClock
from meshbox.node.data_folder import CONTROL_SOCKET_NAME, held
from meshbox.node.finding import Finding
from meshbox.node.internet import Internet, names
from meshbox.node.journal import Journal
from meshbox.node.listeners import Listener, listen
from meshbox.node.log import Log
from meshbox.node.loop_watch import LoopWatch
from meshbox.node.network_changes import NetworkChanges
from meshbox.node.opening import Opened, give_up
from meshbox.node.own_address import own_address
from meshbox.node.release import VERSION
from meshbox.node.settings import Resolved
from meshbox.node.stores import open_store
from meshbox.node.waiting import Waiting
from meshbox.sync.bridge.bridges import Bridges
from meshbox.sync.runner import Rates
from meshbox.sync.service import SyncService
from meshbox.sync.transport import GrpcTransport

OUTSIDE_S_MAX: Final = 3.0
"""Seconds for everything that faces the outside to end."""

INSIDE_S_MAX: Final = 1.5
"""Seconds for the store to close after that: together below the 5 s of a clean stop."""

Ending = Callable[[], Awaitable[None]]


class Ready(msgspec.Struct, frozen=True):
    """The line that `meshbox run` prints: addresses as bound, null where off."""

    ready: bool
    version: str
    pid: int
    node_id: str
    data_dir: str
    http: str | None
    https: str | None
    sync: str | None
    admin: str | None


class _Ways(NamedTuple):
    """What faces the outside and is held from the beginning on."""

    http: Listener | None
    https: Listener | None
    admin: Listener | None
    public: PublicCertificate | None


class Node:
    """One node in one event loop: `start`, `wait`, `stop`, each once."""

    def __init__(self, resolved: Resolved, *, clock: OperatingSystemClock, log: Log) -> None:
        self._began_s = time.monotonic()
        self._settings = resolved.settings
        self._clock = clock
        self._log = log
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._is_stopping = False
        self._journal = Journal(log, wall_ms=self._wall_ms)
        self._journal.settings(
            test_clock_in_use=clock.test_clock_in_use, unknown_variables=resolved.unknown_variables
        )
        self._rates = Rates(
            incoming=RateLimit(self._settings.sync_rate_in),
            outgoing=RateLimit(self._settings.sync_rate_out),
        )
        self._diallers = Diallers()
        self._watch = LoopWatch()
        self._outside: dict[str, Ending] = {}
        self._api: HttpApi | None = None
        self._admin: AdminServer | None = None
        self._inside = AsyncExitStack()

    async def start(self, stop: asyncio.Event) -> Ready | None:
        """Starts everything; None when `stop` was set while it waited for its store. When it
        raises (a `MeshboxError`), everything is ended again."""
        try:
            return await self._start(stop)
        except BaseException:
            await self.stop()
            raise

    async def wait(self, stop: asyncio.Event) -> None:
        """Returns when `stop` is set; raises what makes it senseless to go on."""
        stopped = asyncio.ensure_future(stop.wait())
        ends: list[asyncio.Future[Any]] = [stopped, self._failed]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if self._failed.done():
            self._failed.result()

    async def drain(self, hurry: asyncio.Event) -> None:
        """Is not ready any more and takes its announcements back, but serves on: for the time of
        the setting, or until `hurry` is set. `stop` comes after it."""
        self._is_stopping = True
        if self._api is not None:
            self._api.drain()
        goodbye = self._outside.pop("discovery", None)
        if goodbye is not None:
            await self._end("discovery", goodbye, OUTSIDE_S_MAX)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.drain / 1000):
                await hurry.wait()

    async def stop(self) -> bool:
        """Ends everything within 5 s; whether all of it did."""
        self._is_stopping = True
        outside, self._outside = self._outside, {}
        ended = [
            self._end(part, ending, OUTSIDE_S_MAX) for part, ending in reversed(outside.items())
        ]
        in_time = all(await asyncio.gather(*ended))
        return await self._end("store", self._inside.aclose, INSIDE_S_MAX) and in_time

    async def _start(self, stop: asyncio.Event) -> Ready | None:
        settings = self._settings
        self._inside.enter_context(held(settings.data_dir))
        ways = _Ways(
            self._listen("http", settings.http),
            self._listen("https", settings.https),
            self._listen("admin", settings.admin),
            self._public_certificate(),
        )
        opened = await self._open(ways, stop)
        if opened is None:
            return None
        sync, sync_bound = await self._start_sync(opened)
        api = await self._start_http(opened, sync, ways)
        bound = {
            "http": ways.http.endpoint if ways.http else None,
            "https": ways.https.endpoint if ways.https else None,
            "sync": sync_bound,
        }
        await self._start_finding(opened, sync, bound)
        internet = self._start_internet(opened, sync)
        await self._show(self._sources(opened, sync, internet, api, sync_bound), ways.admin)
        self._begin_housekeeping(opened)
        shown = {name: str(endpoint) if endpoint else None for name, endpoint in bound.items()}
        return Ready(
            ready=True,
            version=VERSION,
            pid=os.getpid(),
            node_id=opened.identity.node_id,
            data_dir=str(settings.data_dir),
            admin=str(ways.admin.endpoint) if ways.admin else None,
            **shown,
        )

    def _listen(self, name: str, endpoint: Endpoint | None) -> Listener | None:
        if endpoint is None:
            return None
        listener = listen(name, endpoint)
        self._inside.callback(listener.close)
        return listener

    def _wall_ms(self) -> int:
        return self._clock.read().wall_ms

    def _uptime_ms(self) -> int:
        return round((time.monotonic() - self._began_s) * 1_000)

    async def _open(self, ways: _Ways, stop: asyncio.Event) -> Opened | None:
        opening = partial(
            open_store, self._settings, system_clock=self._clock, log=self._journal.store
        )
        is_shared = self._settings.store is not None
        opened = await (self._wait_for(opening, ways, stop) if is_shared else opening())
        if opened is None:
            return None
        self._inside.callback(self._give_up_if_lost, opened)
        self._inside.push_async_callback(opened.store.close)
        if opened.lost is not None:
            opened.lost.add_done_callback(lambda lost: self._fail(lost.result()))
        if opened.minted:
            self._log.info("identity.minted", node_id=opened.identity.node_id)
        if opened.archived:
            self._log.warning("identity.archived", file=str(opened.archived))
        if opened.adopted:
            self._log.warning("store.adopted", former=opened.adopted)
        if is_shared:
            await self._outside.pop("http")()
        return opened

    async def _wait_for(
        self, opening: Callable[[], Awaitable[Opened]], ways: _Ways, stop: asyncio.Event
    ) -> Opened | None:
        """The store once it can be opened; None when `stop` was set before."""
        identity = key_file.load(self._settings.data_dir)
        waiting = Waiting(
            opening, wall_ms=self._wall_ms, rng=random.SystemRandom(), log=self._journal.store
        )
        await self._show(self._unopened(waiting, identity), ways.admin)
        api = UnopenedApi(wall_ms=self._wall_ms, settings=HttpSettings())
        # Nobody can know the node before it has a key, so any does.
        await self._serve(api, ways, identity or mint())
        stopped = asyncio.create_task(stop.wait())
        trying = asyncio.create_task(waiting.opened())
        await asyncio.wait([stopped, trying], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not trying.done():
            # Nobody waits for it: what is in the midst of connecting takes its time.
            trying.cancel()
            return None
        return trying.result()

    async def _start_sync(self, opened: Opened) -> tuple[SyncService, Endpoint | None]:
        sync = SyncService(
            store=opened.store,
            identity=opened.identity,
            transport=GrpcTransport(opened.identity),
            rng=random.SystemRandom(),
            node_version=VERSION,
            log=self._journal.peers,
            carried=OwnTopics(self._settings.topic),
            rates=self._rates,
            ways_out=names(self._settings.internet),
            on_dialled=lambda host: self._diallers.note(host, read_networks),
            prove=prove if self._settings.introduce else None,
            networks=read_networks,
        )
        self._outside["sync"] = sync.stop
        sync.failed.add_done_callback(lambda failed: self._fail(failed.result()))
        return sync, await sync.start(self._settings.sync)

    async def _start_http(self, opened: Opened, sync: SyncService, ways: _Ways) -> HttpApi:
        identity = opened.identity
        mailbox = Mailbox(
            opened.store,
            node_key=node_key_of(identity.node_id),
            tag_salt=identity.derive("client-tag"),
            filling=sync.filling,
        )
        api = HttpApi(
            mailbox,
            node_id=identity.node_id,
            wall_ms=self._wall_ms,
            settings=HttpSettings(
                ids=IdRule(self._settings.ids),
                generations=frozenset(map(Generation, self._settings.generations)),
                proxies=TrustedProxies(self._settings.trusted_proxy),
            ),
        )
        self._api = api
        await self._serve(api, ways, identity)
        return api

    async def _serve(self, api: HttpApi | UnopenedApi, ways: _Ways, identity: Identity) -> None:
        """Has `api` answer on all of `ways`, over TLS as `identity`."""
        self._outside["http"] = api.stop
        for listening in ways.http.sockets if ways.http else ():
            await api.start(listening)
        for listening in ways.https.sockets if ways.https else ():
            await api.start(listening, tls=server_context(leaf(identity), ways.public))

    def _public_certificate(self) -> PublicCertificate | None:
        chain, key = self._settings.https_certificate, self._settings.https_key
        if chain is None or key is None:
            return None
        try:
            return PublicCertificate(chain, key, log=self._journal.certificate)
        except InvalidSetting as error:
            raise InvalidSetting(f"https_certificate: {error.message}", hint=error.hint) from error

    async def _start_finding(
        self, opened: Opened, sync: SyncService, bound: dict[str, Endpoint | None]
    ) -> None:
        finding = Finding(
            self._settings,
            node_id=opened.identity.node_id,
            sync=sync,
            log=self._log,
            warnings=self._journal.warnings,
        )
        self._outside["discovery"] = finding.stop
        await finding.start(**bound)

    def _sources(
        self,
        opened: Opened,
        sync: SyncService,
        internet: Internet,
        api: HttpApi,
        sync_bound: Endpoint | None,
    ) -> Sources:
        node_id = opened.identity.node_id
        return Sources(
            node_id=node_id,
            version=VERSION,
            store=opened.store,
            system_clock=self._clock,
            http=api,
            address=lambda: own_address(node_id, sync_bound, interfaces=self._settings.interface),
            reachability=lambda: self._diallers.reach(read_routes(), read_networks()),
            peers=sync.peers,
            internet=internet.mailboxes,
            uptime_ms=self._uptime_ms,
            loop_held_ms_max=lambda: self._watch.held_ms_max,
            warnings=lambda: tuple(self._journal.warnings.values()),
            is_stopping=lambda: self._is_stopping,
            limit_bytes=self._settings.storage_limit,
            trouble=lambda: opened.store.trouble,
            failed_ms=lambda: self._journal.failed_ms,
        )

    def _unopened(self, waiting: Waiting, identity: Identity | None) -> Unopened:
        return Unopened(
            node_id=None if identity is None else identity.node_id,
            version=VERSION,
            system_clock=self._clock,
            uptime_ms=self._uptime_ms,
            warnings=lambda: tuple(self._journal.warnings.values()),
            is_stopping=lambda: self._is_stopping,
            failed_ms=lambda: self._journal.failed_ms,
            next_try_ms=lambda: waiting.next_try_ms,
            trouble=lambda: waiting.trouble,
        )

    async def _show(self, sources: Sources | Unopened, listener: Listener | None) -> None:
        """Tells of `sources` on the control socket and the admin listener from now on."""
        if self._admin is not None:
            self._admin.sources = sources
            return
        self._admin = server = AdminServer(sources)
        # With the store, so that it tells that the node stops while the outside does.
        self._inside.push_async_callback(server.stop)
        if listener is not None:
            await server.start_status(listener.sockets)
        path = self._settings.data_dir / CONTROL_SOCKET_NAME
        listening = control_socket.listen(path)
        self._inside.callback(path.unlink, missing_ok=True)
        await server.start_control(listening)

    def _start_internet(self, opened: Opened, sync: SyncService) -> Internet:
        addresses = self._settings.internet
        bridges = Bridges(
            (address for address in addresses if isinstance(address, WebAddress)),
            store=opened.store,
            named=self._settings.topic,
            ways=sync.ways_out.by_name,
            rates=self._rates,
            leases=opened.leases,
            log=self._journal.peers,
        )
        internet = Internet(addresses, sync=sync, bridges=bridges, leases=opened.leases)
        internet.start()
        self._outside["internet"] = internet.stop
        if addresses or not self._settings.mdns:  # Else discovery alone needs to know, and looks.
            network = NetworkChanges(
                lambda: (read_networks(), read_routes()), internet.network_changed
            )
            network.start()
            self._outside["network"] = network.stop
        return internet

    def _begin_housekeeping(self, opened: Opened) -> None:
        sweeper = asyncio.create_task(run_sweeper(opened.store))
        sweeper.add_done_callback(self._sweeper_ended)

        async def end() -> None:
            sweeper.cancel()
            await asyncio.wait([sweeper])

        self._outside["sweeper"] = end
        self._watch.start()
        self._inside.callback(self._watch.stop)

    def _sweeper_ended(self, sweeper: asyncio.Task[None]) -> None:
        error = None if sweeper.cancelled() else sweeper.exception()
        if error is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """Ends `wait` with the first fault."""
        if not self._failed.done():
            self._failed.set_exception(error)

    def _give_up_if_lost(self, opened: Opened) -> None:
        """When the store is closed: the next start is to be another node (see opening.py)."""
        error = self._failed.exception() if self._failed.done() else None
        if isinstance(error, IdentityLost):
            node_id = opened.identity.node_id
            archived = give_up(self._settings.data_dir, node_id, error.message)
            self._log.error("identity.lost", node_id=node_id, file=str(archived))

    async def _end(self, part: str, ending: Ending, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await ending()
        except TimeoutError:
            self._log.error("node.stop_overrun", part=part, seconds=seconds)
            return False
        return True
