"""Node time and the test for age of one opening: the clock, and how far the sweep came."""

from __future__ import annotations

from meshbox.core.clock import NodeClock, SavedReading, SystemClock
from meshbox.core.retention import Retention


class NodeTime:
    """The store's clock. Node time never goes back while it lives (core/clock.py)."""

    def __init__(
        self,
        system: SystemClock,
        saved: SavedReading | None,
        *,
        retention_ms: int,
        swept: int,
        build_date_ms: int,
    ) -> None:
        """Starts from what the store `saved`; `swept` is -1 before the first sweep."""
        self._system = system
        self._clock = NodeClock.start(saved, system.read(), build_date_ms=build_date_ms)
        self._retention = Retention(
            retention_ms, swept=swept if swept >= 0 else None, gaps=self._clock.gaps
        )

    def now_ms(self) -> int:
        """Node time."""
        return self._clock.now_ms(self._system.read())

    @property
    def retention(self) -> Retention:
        """The test for age, as of now."""
        self._retention = self._retention.with_gaps(self._clock.gaps)
        return self._retention

    def due_through(self) -> int:
        """The highest bucket that is due; -1 when none is."""
        now_ms = self.now_ms()
        through = self.retention.due_through(now_ms)
        return -1 if through is None else through

    def note_swept(self, bucket: int) -> None:
        """The sweep began with `bucket`: it and all below are due for ever."""
        self._retention = self._retention.with_swept(bucket)

    def reading(self) -> SavedReading:
        """What a batch keeps of the clock."""
        return self._clock.reading(self._system.read())
