"""Keeps one peer connected: dials it whenever there is no session, for as long as it is announced.

| it waits for               | until                                                        |
|----------------------------|--------------------------------------------------------------|
| the smaller id's first try | `first_wait_s` passed, once                                  |
| the attempt                | the session that it led to is over, or every address failed  |
| the session (either's)     | `session_ended`                                              |
| the back-off               | it passed, or `announced`                                    |
| the end of a bar           | it passed                                                    |

Ends by itself when the peer has no endpoints any more and no session.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from meshbox.sync.peers import Peer

Attempt = Callable[[Peer], Awaitable[None]]


class Dialling:
    """The task that dials `peer`; `attempt` tries its addresses, and stays while connected."""

    def __init__(self, peer: Peer, attempt: Attempt, *, first_wait_s: float) -> None:
        self._peer = peer
        self._attempt = attempt
        self._announced = asyncio.Event()
        self._ended = asyncio.Event()
        self.task = asyncio.create_task(self._run(first_wait_s))

    def announced(self) -> None:
        """The peer was heard of, or its announcement ended: looks at once."""
        self._announced.set()

    def session_ended(self) -> None:
        """A session with the peer is over, whoever dialled it."""
        self._ended.set()

    def no_more(self) -> None:
        """Does not dial again: is over once there is no session."""
        if self._peer.runner is None:
            self.task.cancel()

    async def _run(self, first_wait_s: float) -> None:
        await asyncio.sleep(first_wait_s)
        while self._peer.endpoints:
            self._announced.clear()
            if self._peer.runner is None:
                self._peer.dialling = True
                try:
                    await self._attempt(self._peer)
                finally:
                    self._peer.dialling = False
            while self._peer.runner is not None:
                self._ended.clear()
                await self._ended.wait()
            await self._pause()

    async def _pause(self) -> None:
        now_s = asyncio.get_running_loop().time()
        await asyncio.sleep(self._peer.backoff.barred_s(now_s=now_s))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._peer.pause_s()):
                await self._announced.wait()
