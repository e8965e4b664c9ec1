"""The clocks of a simulated world: one true time, and what machines make of it."""

from __future__ import annotations

import asyncio

from meshbox.core.clock import SystemReading
from tests.clocks import BUILD_DATE_MS

BEGIN_MS = BUILD_DATE_MS + 30 * 86_400_000
"""The true wall clock when a world begins."""


class TrueTime:
    """What time it really is. It leaps where nothing happens for days."""

    def __init__(self) -> None:
        self.leapt_ms = 0

    def now_ms(self) -> int:
        loop_ms = int(asyncio.get_running_loop().time() * 1_000)
        return BEGIN_MS + self.leapt_ms + loop_ms

    def leap(self, passed_ms: int) -> None:
        self.leapt_ms += passed_ms


class MachineClock:
    """A `SystemClock` of one machine."""

    def __init__(self, true: TrueTime, name: str) -> None:
        self._true = true
        self._name = name
        self._boots = 1
        self._booted_ms = true.now_ms() - 60_000
        self._wall_wrong_ms = 0
        self._synchronised = True
        self.was_doubtful = False
        """Whether it ever was wrong, or not known to be right."""

    def read(self) -> SystemReading:
        now_ms = self._true.now_ms()
        return SystemReading(
            now_ms - self._booted_ms,
            f"{self._name} boot {self._boots}",
            now_ms + self._wall_wrong_ms,
            self._synchronised,
        )

    def reboot(self, *, wall_wrong_ms: int, synchronised: bool) -> None:
        """The machine was off; its wall clock may be wrong."""
        self._boots += 1
        self._booted_ms = self._true.now_ms()
        self.set(wall_wrong_ms=wall_wrong_ms, synchronised=synchronised)

    def set(self, *, wall_wrong_ms: int, synchronised: bool) -> None:
        """The wall clock is set, or found right."""
        self._wall_wrong_ms = wall_wrong_ms
        self._synchronised = synchronised
        self.was_doubtful |= wall_wrong_ms != 0 or not synchronised
