"""Opens a store that may not be there yet: a Cassandra that starts later than this process, whose
keyspace is still to be made, or that does not let this user in until somebody mends that.

    tried ──opened──▶ done
      │  ▲
      │  └──after a pause (of a quarter to 15 s), as long as the reason is one that may pass
      └──no reason that may pass: raised

What may pass is `StoreFailed` and `StoreBusy`: others are at work on it, or an operator is. Another
node's key or a newer schema (`StoreForeign`) and wrong settings stay as they are until this process
is started in another way.

Knows no kind of store. Its caller cancels it to give up.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from meshbox.core.errors import InvalidSetting, NodeStarting, StoreBusy, StoreFailed, WorldError
from meshbox.node.opening import Opened
from meshbox.storage.openings import Log
from meshbox.sync.backoff import Backoff


class Waiting:
    """One store that is to be opened. `opened` tries until it is."""

    def __init__(
        self,
        opening: Callable[[], Awaitable[Opened]],
        *,
        wall_ms: Callable[[], int],
        rng: random.Random,
        log: Log,
    ) -> None:
        """`opening` tries once. `wall_ms`: the wall clock in ms since 1970, for people."""
        self.trouble: WorldError = NodeStarting(
            "the store is being opened", hint="wait: a try ends within seconds, and tells more"
        )
        """Why it is not open."""
        self.next_try_ms: int | None = None
        """When it is tried again, by the wall clock; None while a try is under way."""
        self._opening = opening
        self._wall_ms = wall_ms
        self._backoff = Backoff(rng)
        self._log = log

    async def opened(self) -> Opened:
        """The open store, which the caller closes; raises what cannot pass."""
        loop = asyncio.get_running_loop()
        failed_s: float | None = None
        while True:
            try:
                opened = await self._opening()
            except (StoreFailed, StoreBusy) as error:
                self._note(error)
            except InvalidSetting as error:
                if failed_s is None:
                    raise
                # A file of the settings, which could be used before: it is being replaced.
                self._note(StoreFailed(error.message, hint=error.hint))
            else:
                if failed_s is not None:
                    self._log("store.reopened", seconds=round(loop.time() - failed_s, 3))
                return opened
            failed_s = loop.time() if failed_s is None else failed_s
            pause_s = self._backoff.next_s()
            self.next_try_ms = self._wall_ms() + round(1_000 * pause_s)
            await asyncio.sleep(pause_s)
            self.next_try_ms = None

    def _note(self, trouble: WorldError) -> None:
        """Tells of each kind once: servers word the same one in many ways."""
        before, self.trouble = self.trouble, trouble
        if (before.code, before.hint) != (trouble.code, trouble.hint):
            self._log("store.failed", reason=trouble.code, detail=str(trouble))
