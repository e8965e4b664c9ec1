"""`Bridge`: keeps one mailbox server of the apps' kind and this node equal, for as long as it runs.

    looking ──a connection is taken──▶ introduced ──its generation is known──▶ exchanging
       ▲                                    │                                     │
       └──── 2 s, or at once when the ──────┴──────── a fault of the server ──────┘
             network changes; longer, doubling, for a server that answers wrongly

Every topic known here is asked about again and again, and at once when something of it changed here
(schedule.py); one request at a time, with pauses that grow with what the answers take. Of several
processes that share a store all this is done by the one that has the lease of the server's address.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
import time
from collections.abc import Coroutine
from typing import Any, Final

from meshbox.client.mailbox_server import MailboxServer
from meshbox.core.address import Endpoint
from meshbox.core.errors import (
    AnswerTooLarge,
    MeshboxError,
    PathChanged,
    PeerUnreachable,
    ServerRefused,
    ServerSlow,
    StoreBusy,
    StoreFailed,
)
from meshbox.core.ids import Topic
from meshbox.core.internet import InternetMailbox, WebAddress
from meshbox.core.way_out import WayOut
from meshbox.discovery.routes import source_address
from meshbox.storage.interface import MailboxStore
from meshbox.storage.leases import Leases
from meshbox.storage.openings import Log
from meshbox.sync.bridge.bringing import FAULT_OF_WHAT_WAS_SENT
from meshbox.sync.bridge.exchanging import Exchanged, Exchanging
from meshbox.sync.bridge.memory import Memory
from meshbox.sync.bridge.schedule import POLL_MS, Schedule
from meshbox.sync.bridge.telling import Telling
from meshbox.sync.bridge.topics import KnownTopics
from meshbox.sync.probing import PROBE_S, Probe
from meshbox.sync.runner import Rates

GAP_S: Final = 0.25
"""Seconds between two requests at least."""
GAP_TIMES: Final = 4
"""Times what an answer took that passes until the next request: a fifth of a server's time at
most, since it goes through all of a topic for each answer."""
GAP_S_MAX: Final = 60.0
TOPICS_AT_ONCE: Final = 64
"""Topics of one request; half as many each time that an answer is too large or too slow."""
ASIDE_MS: Final = 3_600_000
"""Milliseconds for which a topic is left alone that is refused, or whose answer is too large."""
PAUSE_S: Final = 2.0
"""Seconds until a server that answered wrongly is tried again; doubled each time."""
PAUSE_S_MAX: Final = 300.0
_STORE_PAUSE_S: Final = 1.0


class Bridge:
    """One server. `start` and `stop` once each, in one event loop."""

    def __init__(
        self,
        address: WebAddress,
        *,
        store: MailboxStore,
        topics: KnownTopics,
        way: WayOut,
        rates: Rates,
        leases: Leases,
        log: Log,
        rng: random.Random,
    ) -> None:
        self._address = address
        self._store = store
        self._topics = topics
        self._rates = rates
        self._leases = leases
        self._log = log
        self._rng = rng
        self._probe = Probe(self._failed)
        self._schedule = Schedule(way)
        self._batch = TOPICS_AT_ONCE
        self._woken = asyncio.Event()
        self._hurried = asyncio.Event()
        self._failures = 0
        self._task: asyncio.Task[None] | None = None
        self._server: MailboxServer | None = None
        self._told = Telling(str(address))

    def start(self) -> None:
        """Looks for the server from now on."""
        self._topics.listen(self._note_change)
        for topic in self._topics:
            self._schedule.known(topic, now_ms=_now_ms())
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ends what is under way; what was brought is remembered."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def network_changed(self) -> None:
        """Tries at once, unless the server asked us to stay away."""
        self._probe.hurry()
        self._hurried.set()

    def mailbox(self) -> InternetMailbox:
        """How it stands now."""
        return self._told.mailbox(self._server)

    def _note_change(self, topic: Topic) -> None:
        self._schedule.changed(topic, now_ms=_now_ms())
        self._woken.set()

    async def _run(self) -> None:
        while True:
            self._told.stands_by()
            async with self._leases.lease(str(self._address)) as over:
                self._told.takes_over()
                await _first_end(self._carry(), over.wait())

    async def _carry(self) -> None:
        while True:
            try:
                at = await self._probe.reached(lambda: [self._address.endpoint])
                self._told.tries()
                await self._visit(at)
            except MeshboxError as error:
                self._failed(error)
                await self._stay_away(error)
            except Exception as error:  # noqa: BLE001 - a bug must not end the others
                self._log("internet.bug", url=str(self._address), error=repr(error), exc_info=True)
                await asyncio.sleep(PAUSE_S_MAX)

    async def _visit(self, at: Endpoint) -> None:
        """Exchanges with whoever answers at `at` until it fails."""
        rates = self._rates
        trust = await asyncio.to_thread(ssl.create_default_context)
        server = MailboxServer(
            self._address, at=at, trust=trust, incoming=rates.incoming, outgoing=rates.outgoing
        )
        self._server = server
        try:
            server_id = await server.introduce()
            memory = Memory(self._store, url=server.url, server_id=server_id)
            self._told.connected()
            self._log("internet.connected", url=server.url, generation=server.dialect.blobs)
            self._schedule.began(now_ms=_now_ms())
            path = source_address(at.host)
            exchanging = Exchanging(self._store, server, memory)
            await _first_end(self._exchange_on(exchanging), self._moved(at, path))
        finally:
            self._told.ended(server)
            self._server = None
            await server.close()

    async def _moved(self, at: Endpoint, path: str | None) -> None:
        """Ends when this machine sends to the server from another address: what is under way on
        the old connection would hang until it is given up."""
        while source_address(at.host) == path:
            self._hurried.clear()
            await self._hurried.wait()
        raise PathChanged("this machine sends to the server from another address now")

    async def _exchange_on(self, exchanging: Exchanging) -> None:
        while True:
            await self._await_turn()
            topics = self._schedule.take(self._batch, now_ms=_now_ms())
            if not topics:
                continue
            loop = asyncio.get_running_loop()
            began_s = loop.time()
            try:
                done = await exchanging.exchange(topics, may_bring=self._may_bring)
            except (AnswerTooLarge, ServerSlow, ServerRefused) as error:
                self._too_much(topics, error)
            except (StoreBusy, StoreFailed):
                self._return(topics, after_ms=POLL_MS)
                await asyncio.sleep(_STORE_PAUSE_S)
            except BaseException:
                self._return(topics, after_ms=POLL_MS)
                raise
            else:
                self._done(topics, done)
            took_s = loop.time() - began_s
            self._schedule.typical_ms = took_s * 1000
            await asyncio.sleep(min(max(GAP_S, GAP_TIMES * took_s), GAP_S_MAX))

    async def _await_turn(self) -> None:
        """Returns when a topic is due."""
        while True:
            self._woken.clear()
            next_ms = self._schedule.next_ms()
            wait_s = None if next_ms is None else (next_ms - _now_ms()) / 1000
            if wait_s is not None and wait_s <= 0:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._woken.wait()

    def _may_bring(self, topic: Topic) -> bool:
        return self._schedule.may_bring(topic, now_ms=_now_ms())

    def _done(self, topics: list[Topic], done: Exchanged) -> None:
        self._failures = 0
        self._batch = min(self._batch * 2, TOPICS_AT_ONCE)
        self._told.exchanged(kept=done.kept, brought=done.brought)
        if not done.kept:
            for topic in done.empty:
                self._topics.forget(topic)
        gone = [topic for topic in topics if topic not in self._topics]
        self._schedule.done(
            topics, brought=done.brought_of, again=done.again, gone=gone, now_ms=_now_ms()
        )

    def _too_much(self, topics: list[Topic], error: MeshboxError) -> None:
        """Fewer topics the next time; one that is at fault alone is left alone for long."""
        if isinstance(error, ServerRefused) and (
            error.path.endswith("/store") or error.status not in FAULT_OF_WHAT_WAS_SENT
        ):
            self._return(topics, after_ms=POLL_MS)
            raise error
        if len(topics) > 1:
            self._batch = max(1, len(topics) // 4)
            self._return(topics, after_ms=0)
            return
        if isinstance(error, ServerSlow):
            self._return(topics, after_ms=POLL_MS)
            raise error
        self._log("internet.set_aside", url=str(self._address), detail=error.message)
        self._return(topics, after_ms=ASIDE_MS, aside=True)

    def _return(self, topics: list[Topic], *, after_ms: int, aside: bool = False) -> None:
        self._schedule.returned(topics, after_ms=after_ms, now_ms=_now_ms(), aside=aside)

    def _failed(self, error: MeshboxError) -> None:
        if self._told.failed(error):
            self._log(
                "internet.failed", url=str(self._address), reason=error.code, detail=error.message
            )

    async def _stay_away(self, error: MeshboxError) -> None:
        """Waits until the server may be tried again."""
        if isinstance(error, PathChanged):
            return
        asked_s = error.retry_after_s if isinstance(error, ServerRefused) else None
        if asked_s is not None:
            await asyncio.sleep(max(asked_s, PAUSE_S))
            return
        bound_s = min(PAUSE_S * 2**self._failures, PAUSE_S_MAX)
        wait_s = self._rng.uniform(bound_s / 2, bound_s)
        if isinstance(error, PeerUnreachable):
            wait_s = min(wait_s, PROBE_S)
        else:
            self._failures = min(self._failures + 1, 16)
        self._hurried.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._hurried.wait()


async def _first_end(*works: Coroutine[Any, Any, object]) -> None:
    """Waits until one of `works` ends, and raises what it raised; the others are cancelled."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _now_ms() -> int:
    return int(time.monotonic() * 1000)
