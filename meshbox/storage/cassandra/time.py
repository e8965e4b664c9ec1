"""Node time of a store that several processes share: the wall clock, which must be right.

Each process stamps by its own clock, so they have to agree to within half the feed's lag. A clock
that the operating system does not call synchronised is not trusted, unless an operator says so.
"""

from __future__ import annotations

from meshbox.core.clock import SystemClock
from meshbox.core.errors import StoreFailed
from meshbox.core.retention import Retention


class StoreTime:
    """Node time, and the test for age."""

    def __init__(
        self, system: SystemClock, *, retention_ms: int, swept: int, trust_clock: bool
    ) -> None:
        """`swept` is -1 before the first sweep. `StoreFailed` for a clock that is not trusted."""
        self._system = system
        self._trust_clock = trust_clock
        self._now_ms = system.read().wall_ms
        self._retention = Retention(retention_ms, swept=swept if swept >= 0 else None)
        self.check()

    def check(self) -> None:
        """`StoreFailed` when the clock is not to be trusted now."""
        if not self._trust_clock and not self._system.read().synchronised:
            raise StoreFailed(
                "this machine's clock is not synchronised, and processes of one Cassandra have to "
                "agree on the time",
                hint="let NTP set it; or set cassandra_trust_clock, if you know it to be right",
            )

    def check_beside(self, newest_ms: int, *, lag_ms: int) -> None:
        """`StoreFailed` when the newest in the feed is much later than now: who is wrong?"""
        ahead_ms = newest_ms - self.now_ms()
        if lag_ms and ahead_ms > lag_ms // 2:
            raise StoreFailed(
                f"the newest message in Cassandra is from {ahead_ms / 1000:.0f} s after now",
                hint="the clocks of all processes have to agree: is one of them wrong, or was?",
            )

    def now_ms(self) -> int:
        """Node time; it never goes back."""
        self._now_ms = max(self._now_ms, self._system.read().wall_ms)
        return self._now_ms

    @property
    def retention(self) -> Retention:
        """The test for age, as of now."""
        return self._retention

    def due_through(self) -> int:
        """The highest bucket that is due; -1 when none is."""
        through = self._retention.due_through(self.now_ms())
        return -1 if through is None else through

    def note_swept(self, bucket: int) -> None:
        """`bucket` and all below are due for ever."""
        self._retention = self._retention.with_swept(bucket)
