"""Clocks for tests that want to move time themselves."""

from __future__ import annotations

from dataclasses import dataclass

from meshbox.core.clock import SystemReading

BUILD_DATE_MS = 1_790_000_000_000
"""September 2026, a bucket's start plus 19,200 s: what tests give as `build_date_ms`."""


@dataclass
class ManualClock:
    """A `SystemClock` that stands still until a test moves it."""

    boot_ms: int = 60_000
    boot_id: str = "boot-1"
    wall_ms: int = BUILD_DATE_MS + 86_400_000
    synchronised: bool = True

    def read(self) -> SystemReading:
        return SystemReading(self.boot_ms, self.boot_id, self.wall_ms, self.synchronised)

    def advance(self, passed_ms: int) -> None:
        """Time passes while the machine runs or sleeps."""
        self.boot_ms += passed_ms
        self.wall_ms += passed_ms

    def reboot(
        self,
        *,
        boot_id: str,
        off_ms: int = 0,
        wall_ms: int | None = None,
        synchronised: bool | None = None,
    ) -> None:
        """Off for `off_ms`; the wall clock then says `wall_ms`, or what is right."""
        self.boot_id = boot_id
        self.boot_ms = 0
        self.wall_ms = self.wall_ms + off_ms if wall_ms is None else wall_ms
        if synchronised is not None:
            self.synchronised = synchronised
