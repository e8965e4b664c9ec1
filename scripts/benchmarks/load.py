"""A load generator that costs little: prepared bytes out, a status and a length in.

Each connection asks again as soon as it was answered (a closed loop), so as many requests are under
way as there are connections. `Load.client_cpu` tells what it took itself: near 100 % it, and not
the node, would be what was measured.
"""

from __future__ import annotations

import asyncio
import gc
import time
from array import array
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple, cast

from scripts.benchmarks.faults import BenchFailed
from scripts.benchmarks.rows import percentile

RequestMaker = Callable[[], bytes]

_ANSWER_S_MAX: Final = 30.0
_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"


class Load(NamedTuple):
    """What a load was answered with, between warm-up and end. Times are in ms."""

    answers: int
    """All of them, in the warm-up too."""
    per_second: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    client_cpu: float
    """Percent of a core that the generator itself took."""


class _Tally:
    """What all connections of one load have in common."""

    def __init__(self, end: float) -> None:
        self.end = end
        self.answered = array("d")
        self.took = array("d")
        self.failure: str | None = None


class _Connection(asyncio.Protocol):
    """One client: a request, its answer, the next request, until the end."""

    def __init__(self, next_request: RequestMaker, tally: _Tally) -> None:
        self._next_request = next_request
        self._tally = tally
        self._received = b""
        self._sent = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        size = _answer_size(received)
        if size is None or len(received) < size:
            self._received = received
            return
        self._received = b""
        now = time.perf_counter()
        self._tally.answered.append(now)
        self._tally.took.append(now - self._sent)
        if received[9:10] != b"2":
            self._tally.failure = received[:300].decode(errors="replace")
            self._finish()
        else:
            self._ask()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.done.done():
            self._tally.failure = "the connection was closed"
            self._finish()

    def _ask(self) -> None:
        request = self._next_request()
        now = time.perf_counter()
        if now >= self._tally.end:
            self._finish()
            return
        self._sent = now
        self._transport.write(request)

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)
        self._transport.close()


async def run_load(
    address: str, makers: Sequence[RequestMaker], *, seconds: float, warm_up_s: float = 0.5
) -> Load:
    """Loads HOST:PORT for `seconds` after the warm-up, on one connection a maker. `BenchFailed`."""
    host, _, port = address.rpartition(":")
    begun = time.perf_counter()
    tally = _Tally(begun + warm_up_s + seconds)
    cpu = time.process_time()
    gc.disable()  # Ours would be measured as the node's latency.
    try:
        connections = await _connect(host.strip("[]"), int(port), makers, tally)
        async with asyncio.timeout(warm_up_s + seconds + _ANSWER_S_MAX):
            await asyncio.gather(*(connection.done for connection in connections))
    except TimeoutError as error:
        raise BenchFailed(f"no answer from {address} in {_ANSWER_S_MAX:.0f} s") from error
    finally:
        gc.enable()
    lasted = time.perf_counter() - begun
    if tally.failure is not None:
        raise BenchFailed(f"{address} answered: {tally.failure}")
    return _load(tally, begun + warm_up_s, cpu_share=(time.process_time() - cpu) / lasted)


async def _connect(
    host: str, port: int, makers: Sequence[RequestMaker], tally: _Tally
) -> list[_Connection]:
    loop = asyncio.get_running_loop()
    connections = []
    for maker in makers:
        _, connection = await loop.create_connection(partial(_Connection, maker, tally), host, port)
        connections.append(connection)
    return connections


def _load(tally: _Tally, first: float, *, cpu_share: float) -> Load:
    took_ms = [
        took * 1000
        for answered, took in zip(tally.answered, tally.took, strict=True)
        if first <= answered <= tally.end
    ]
    if not took_ms:
        raise BenchFailed("nothing was answered in time")
    return Load(
        answers=len(tally.answered),
        per_second=len(took_ms) / (tally.end - first),
        p50_ms=percentile(took_ms, 50),
        p99_ms=percentile(took_ms, 99),
        max_ms=max(took_ms),
        client_cpu=cpu_share * 100,
    )


def _answer_size(received: bytes) -> int | None:
    """Bytes of the answer that begins here, when its head is complete."""
    end = received.find(_HEAD_END)
    if end < 0:
        return None
    head = received[:end].lower()
    at = head.find(_LENGTH)
    body = int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
    return end + len(_HEAD_END) + body
