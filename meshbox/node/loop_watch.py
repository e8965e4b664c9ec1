"""How long the event loop was held: the CPU time that one turn of it took, at the most.

CPU time of the loop's thread and not wall time, because machines are shared: a turn that waits for
a busy neighbour's core has done nothing wrong.

No event loop tells when a turn begins, and a callback that asks for every turn would make it spin.
So a thread samples: it reads the CPU clock of the loop's thread and asks for a turn; when that
turn comes the loop reads the same clock. The difference is what the loop's thread computed while
something waited for it, and `held_ms_max` is the greatest one seen.

It is therefore a lower bound: of a long turn what remains when the sample is taken is seen. A turn
longer than SAMPLE_INTERVAL_MS is seen less at most that much; a shorter one may be missed. While
the loop's thread computes next to nothing, samples are IDLE_INTERVAL_MS apart and nothing is asked
for, so an idle node stays idle.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Final

SAMPLE_INTERVAL_MS: Final = 10
"""Milliseconds between samples while the loop works."""

IDLE_INTERVAL_MS: Final = 200
"""Milliseconds between samples of an idle loop: 5 wake-ups a second, 0.07 % of a core."""

IDLE_MS: Final = 1.0
"""Milliseconds of CPU between two samples below which the loop is idle."""


class LoopWatch:
    """Watches the loop in whose thread it is made. `held_ms_max` is None where it cannot be known:
    only Linux reads the CPU clock of another thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._read_ms = _cpu_clock_of_this_thread()
        self._held_ms_max = 0.0
        self._answered = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="loop-watch", daemon=True)

    @property
    def held_ms_max(self) -> float | None:
        """Milliseconds of CPU time; since `start`."""
        return round(self._held_ms_max, 1) if self._read_ms else None

    def start(self) -> None:
        """Begins to watch, once."""
        if self._read_ms:
            self._thread.start()

    def stop(self) -> None:
        """Ends the thread; waits for at most one interval."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _sample(self) -> None:
        assert self._read_ms is not None
        interval_ms, last_ms = SAMPLE_INTERVAL_MS, self._read_ms()
        while not self._stopped.wait(interval_ms / 1_000):
            now_ms = self._read_ms()
            is_idle = now_ms - last_ms < IDLE_MS
            interval_ms = IDLE_INTERVAL_MS if is_idle else SAMPLE_INTERVAL_MS
            last_ms = now_ms
            if not is_idle:
                self._ask_for_a_turn(now_ms)

    def _ask_for_a_turn(self, asked_ms: float) -> None:
        self._answered.clear()
        try:
            self._loop.call_soon_threadsafe(self._take_turn, asked_ms)
        except RuntimeError:  # The loop was closed without `stop`.
            self._stopped.set()
            return
        # The turn may never come: the loop may be in `stop`, waiting for this thread.
        while not self._answered.wait(SAMPLE_INTERVAL_MS / 1_000) and not self._stopped.is_set():
            continue

    def _take_turn(self, asked_ms: float) -> None:
        assert self._read_ms is not None
        self._held_ms_max = max(self._held_ms_max, self._read_ms() - asked_ms)
        self._answered.set()


def _cpu_clock_of_this_thread() -> Callable[[], float] | None:
    if not hasattr(time, "pthread_getcpuclockid"):
        return None
    clock = time.pthread_getcpuclockid(threading.get_ident())
    return lambda: time.clock_gettime_ns(clock) / 1e6
