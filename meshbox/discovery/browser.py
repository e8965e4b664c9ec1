"""Browses one service type: resolves what zeroconf reports, asks again, gives up the silent.

What zeroconf leaves to its user, and where:

- A changed port or address comes as Updated: `_changed` reads the records again. The old ones stay
  in its cache for another second (RFC 6762, 10.2), and nothing is reported when they go: `_settle`.
- Two parts of a network that find each other again never hear of it, as long as every link stays
  up: `ask` puts an own PTR question every 10 s.
- Its minimum life of a PTR record is 19 minutes, so a vanished peer is never reported:
  `_probe` asks for the SRV record of those that nobody is connected to.
- A name that was given up is in its cache still, and would never be reported again: `_purge`.

Invariants: nothing that a stranger sends makes a callback raise; lookups, names and rounds are
bounded (core/limits.py).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Generic, TypeVar

from zeroconf import Error, ServiceStateChange, Zeroconf, current_time_millis
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo

from meshbox.core.limits import (
    DISCOVERED_PEERS_MAX,
    DISCOVERY_KNOWN_MAX,
    DISCOVERY_LOOKUPS_MAX,
    DISCOVERY_OWN_CLAIMS_MAX,
    DISCOVERY_ROUND_NAMES_MAX,
)
from meshbox.discovery import questions
from meshbox.discovery.found import Found, Resolved
from meshbox.discovery.names import instance_of
from meshbox.discovery.responder import Responder
from meshbox.discovery.roster import Roster

ASK_INTERVAL_S = 10.0
ASK_IN_A_FLOOD_S = 2.0
"""Where inventions fill the sockets, announcements and answers are lost."""
PROBE_TICK_S = 0.5
SETTLE_S = (1.5, 2.5)
"""Old records expire 1 s after new ones, young ones 1 s after the repeated announcement."""
LOOKUP_MS_MAX = 3_000

F = TypeVar("F", bound=Found)


class Browser(Generic[F]):
    """Follows one service type until `stop`. `on_change` is called when `roster` has changes."""

    def __init__(
        self,
        responder: Responder,
        *,
        type_: str,
        read: Callable[[Resolved], F | None],
        is_connected: Callable[[F], bool],
        own_instance: str | None,
        on_change: Callable[[], None],
    ) -> None:
        self.roster: Roster[F] = Roster(
            names_max=DISCOVERED_PEERS_MAX,
            last_heard=lambda name: questions.heard_ms(responder.zeroconf, name),
        )
        self._zeroconf = responder.zeroconf
        self._type = type_
        self._read = read
        self._is_connected = is_connected
        self._own_instance = own_instance
        self._on_change = on_change
        self._lookups: dict[str, asyncio.Task[None]] = {}
        self._settling: dict[str, asyncio.TimerHandle] = {}
        self._browser: AsyncServiceBrowser | None = None

    def start(self) -> list[Coroutine[None, None, None]]:
        """Starts browsing; the coroutines returned are to be run until `stop`."""
        self._browser = AsyncServiceBrowser(
            self._zeroconf,
            self._type,
            handlers=[self._changed],
            # The answer to a unicast question reaches one process of the machine only.
            question_type=questions.MULTICAST,
        )
        return [self._ask_again_and_again(), self._probe_again_and_again()]

    async def stop(self) -> None:
        """Ends lookups and timers and leaves zeroconf."""
        for timer in self._settling.values():
            timer.cancel()
        lookups = list(self._lookups.values())
        for lookup in lookups:
            lookup.cancel()
        await asyncio.gather(*lookups, return_exceptions=True)
        if self._browser is not None:
            await self._browser.async_cancel()

    def ask(self) -> None:
        """Asks everybody to show up who is not on the roster."""
        known = self.roster.credible_names()[:DISCOVERY_KNOWN_MAX]
        questions.send(self._zeroconf, questions.for_instances(self._zeroconf, self._type, known))

    def _changed(
        self,
        zeroconf: Zeroconf,
        service_type: str,
        name: str,
        state_change: ServiceStateChange,
    ) -> None:
        if state_change is ServiceStateChange.Removed:
            self._forget(name)
        elif instance_of(name, self._type) is not None:
            self._take_in(name)
            self._settle(name)

    def _settle(self, name: str, delays_s: tuple[float, ...] = SETTLE_S) -> None:
        """Has `name` read again a while after its last change."""
        timer = self._settling.pop(name, None)
        if timer is not None:
            timer.cancel()
        if delays_s and len(self._settling) < DISCOVERED_PEERS_MAX:
            later = asyncio.get_running_loop().call_later
            self._settling[name] = later(delays_s[0], self._settled, name, delays_s[1:])

    def _settled(self, name: str, delays_s: tuple[float, ...]) -> None:
        self._read_cached(name)
        self._settle(name, delays_s)

    def _take_in(self, name: str) -> None:
        """Reads what is known of `name`, and asks for what is missing."""
        is_asked = name in self._lookups or len(self._lookups) >= DISCOVERY_LOOKUPS_MAX
        if not self._read_cached(name) and not is_asked:
            self._lookups[name] = asyncio.get_running_loop().create_task(self._look_up(name))

    async def _look_up(self, name: str) -> None:
        try:
            info = AsyncServiceInfo(self._type, name)
            if await info.async_request(self._zeroconf, LOOKUP_MS_MAX):
                self._read_cached(name)
        except Error:
            pass  # A name or host that no question can be made of: its owner's fault.
        finally:
            del self._lookups[name]

    def _read_cached(self, name: str) -> bool:
        """Takes in the cached records of `name`; false when some are missing."""
        instance = instance_of(name, self._type)
        try:
            info = AsyncServiceInfo(self._type, name)
            if instance is None or not info.load_from_cache(self._zeroconf):
                return False
        except Error:
            return False
        texts = [info.text or b""]
        if instance == self._own_instance:
            # Ours and a clone's lie side by side; a liar's by the hundred.
            texts = questions.cached_texts(self._zeroconf, name)[-DISCOVERY_OWN_CLAIMS_MAX:]
        addresses = tuple(info.parsed_scoped_addresses())
        for text in texts:
            self._note(name, Resolved(instance, info.port or 0, addresses, text))
        return True

    def _note(self, name: str, resolved: Resolved) -> None:
        item = self._read(resolved)
        if item is None:
            self.roster.forget(name)
        else:
            if name in self.roster:
                self.roster.heard(name, at_ms=questions.heard_ms(self._zeroconf, name))
            self.roster.note(name, item, now_ms=current_time_millis())
        self._on_change()

    def _forget(self, name: str) -> None:
        self.roster.forget(name)
        self._on_change()

    async def _ask_again_and_again(self) -> None:
        loop = asyncio.get_running_loop()
        asked_s = loop.time()
        while True:
            await asyncio.sleep(ASK_IN_A_FLOOD_S)
            if self.roster.has_strangers or loop.time() - asked_s > ASK_INTERVAL_S - 1:
                asked_s = loop.time()
                self.ask()
                self._review()

    def _review(self) -> None:
        """Reads again what is cached, first what found no room or no answer before."""
        names = questions.cached_instances(self._zeroconf, self._type)
        names.sort(key=lambda name: name in self.roster)
        for name in itertools.islice(names, DISCOVERY_ROUND_NAMES_MAX):
            if instance_of(name, self._type) is not None:
                self._take_in(name)

    async def _probe_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(PROBE_TICK_S)
            self._probe()

    def _probe(self) -> None:
        now_ms = current_time_millis()
        for name, item in self.roster.entries():
            if self._is_connected(item):
                self.roster.prove(name, now_ms=now_ms)
            else:
                self.roster.heard(name, at_ms=questions.heard_ms(self._zeroconf, name))
        if self.roster.has_changes:
            self._on_change()
        silence = self.roster.silence(now_ms=now_ms)
        if silence.ask:
            questions.send(self._zeroconf, questions.for_locations(silence.ask))
        if silence.dead:
            questions.purge(self._zeroconf, self._type, silence.dead)
        for name in silence.dead:
            self._forget(name)
