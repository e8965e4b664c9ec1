"""Tells when this machine's network has become another one, as far as the machine can tell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from meshbox.discovery.network_watch import watch_network


class NetworkChanges:
    """Calls `changed` when what `read` returns is not what it was. `start`, then `stop`."""

    def __init__(self, read: Callable[[], object], changed: Callable[[], None]) -> None:
        self._read = read
        self._changed = changed
        self._network: object = None
        self._watch: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Looks from now on."""
        self._network = self._read()
        self._watch = asyncio.create_task(watch_network(self.look))

    async def stop(self) -> None:
        """Looks no more."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])

    async def look(self) -> None:
        """Looks now."""
        network = self._read()
        if network != self._network:
            self._network = network
            self._changed()
