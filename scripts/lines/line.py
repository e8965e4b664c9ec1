"""A line to one listener: a TCP relay on loopback in a thread of its own.

Cut, it ends its connections and refuses new ones, as where there is no route. It can be slow: what
is sent arrives `delay_s` later, give or take `jitter_s` by a seeded generator, in its order. TCP
ends at the relay, so the delay is that of the bytes, not of TCP's own answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Final

LOOPBACK: Final = "127.0.0.1"
_CHUNK_BYTES: Final = 16_384
_WAITING_MAX: Final = 64
"""Chunks of one direction that are on their way; the sender waits while there are more."""
_CALL_S_MAX: Final = 10.0


class Line:
    """`endpoint` leads to HOST:PORT `target` while it is up. A context manager; it begins cut."""

    def __init__(
        self,
        target: str,
        *,
        host: str = LOOPBACK,
        delay_s: float = 0.0,
        jitter_s: float = 0.0,
        seed: int = 1,
    ) -> None:
        self.bytes = 0
        """Payload that passed, both ways."""
        self._target = target
        self._host = host
        self._delay_s, self._jitter_s = delay_s, jitter_s
        self._random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="line", daemon=True)

    def __enter__(self) -> Line:
        self._thread.start()
        self.heal()
        self.cut()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def endpoint(self) -> str:
        """HOST:PORT, the same however often it is cut."""
        return f"{self._host}:{self._port}"

    def heal(self) -> None:
        """Connections are taken from now on."""
        self._call(self._listen())

    def cut(self) -> None:
        """Connections end, and new ones are refused."""
        self._call(self._end())

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_CALL_S_MAX)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._connected, self._host, self._port)
            self._port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _close(self) -> None:
        await self._end()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, near: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        self._writers.add(out)
        try:
            far, into = await self._reach()
        except OSError:
            self._drop(out)
            return
        self._writers.add(into)
        if self._server is None:
            self._drop(out, into)
        try:
            await asyncio.gather(self._relay(near, into), self._relay(far, out))
        except asyncio.CancelledError:
            return  # The line ends. Left to asyncio of Python 3.11, it is told of as a defect.
        finally:
            self._drop(out, into)

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the target. `OSError`."""
        host, _, port = self._target.rpartition(":")
        return await asyncio.open_connection(host.strip("[]"), int(port))

    def _drop(self, *writers: asyncio.StreamWriter) -> None:
        for writer in writers:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _relay(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """One direction, to its end."""
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_WAITING_MAX)
        with contextlib.suppress(OSError):
            await asyncio.gather(self._take(source, waiting), self._give(waiting, sink))

    async def _take(
        self, source: asyncio.StreamReader, waiting: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        data = b"begin"
        while data:
            data = await source.read(_CHUNK_BYTES)
            late_s = self._delay_s + self._random.uniform(-self._jitter_s, self._jitter_s)
            await waiting.put((self._loop.time() + late_s, data))

    async def _give(
        self, waiting: asyncio.Queue[tuple[float, bytes]], sink: asyncio.StreamWriter
    ) -> None:
        while True:
            at_s, data = await waiting.get()
            if self._delay_s:
                await asyncio.sleep(at_s - self._loop.time())
            if not data:
                sink.close()
                return
            self.bytes += len(data)
            sink.write(data)
            await sink.drain()
