"""Node time: this node's own time scale, made from clocks that lie (design.md 4.5).

A Raspberry Pi without battery starts in 1970 or last month; a laptop sleeps; a clock is set. Only
two things are believed: CLOCK_BOOTTIME within one boot (it counts suspension), and the wall clock
while the operating system calls it synchronised. From the last reading that a store saved:

    since then            wall clock then, now        node time gains
    the same boot         not looked at               the difference of CLOCK_BOOTTIME
    another boot          it did not go forward       nothing
    another boot          synchronised, synchronised  the difference, whatever it is
    another boot          either, not synchronised    the difference, at most 7 days
    another boot          not, synchronised           nothing (the clock was set, by how much?)
    another boot          before the build date, not  nothing (it is known to have been wrong)

What it did not gain is found out when the clock is synchronised again, in this run or a later one:
between two synchronised readings the wall clock tells how much time passed, and what node time has
less is a `Gap`. It begins at the first time off since the earlier of the two, because how it
divides among several is not known, and only what was stored before the first lived through all.

Knows no clock: what the operating system says comes in as a `SystemReading`.

Invariants: node time never goes back, and within a run moves as CLOCK_BOOTTIME does. It gains no
time that did not pass, as long as a clock that is called synchronised is right and one that is
not was not set forward while the machine was off (that is believed, for 7 days at most).
Gaps have different starts, each a bucket's, and are forgotten when all that they make older is
due without them: there are at most `GAPS_MAX`.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from meshbox.core.retention import (
    BUCKET_MS,
    DAY_MS,
    RETENTION_MAX_MS,
    Gap,
    bucket_of,
    bucket_start_ms,
)

__all__ = ["Gap", "NodeClock", "SavedReading", "SyncPoint", "SystemClock", "SystemReading"]

TIME_OFF_UNSURE_MS_MAX: Final = 7 * DAY_MS
"""Milliseconds of time off that a wall clock which is not synchronised is believed."""

GAPS_MAX: Final = RETENTION_MAX_MS // BUCKET_MS + 1
"""Gaps that a clock can have: one a bucket of the last week, and one that is not measured."""


class SystemReading(NamedTuple):
    """What the operating system says at one moment."""

    boot_ms: int
    """CLOCK_BOOTTIME."""
    boot_id: str
    """Differs between two boots of the machine."""
    wall_ms: int
    """Milliseconds since 1970, right or wrong."""
    synchronised: bool
    """Whether the operating system vouches for `wall_ms`."""


class SystemClock(Protocol):
    """Where readings come from: the operating system, or a test."""

    def read(self) -> SystemReading:
        """What it says now; cheap enough for every commit."""
        ...


class SyncPoint(NamedTuple):
    """Node time and the wall clock at one moment when the wall clock was synchronised."""

    node_ms: int
    wall_ms: int


class SavedReading(NamedTuple):
    """What a store keeps of the clock: all that a later start needs.

    Written in every commit's batch, every minute, at open, and when `gaps` changed.
    """

    node_ms: int
    system: SystemReading
    gaps: tuple[Gap, ...] = ()
    synchronised_at: SyncPoint | None = None
    """The last moment when the clock was synchronised, in whichever run."""


class NodeClock:
    """Node time of one run. Not a value: one owner, the store, in one thread."""

    __slots__ = ("_build_date_ms", "_gaps", "_node_ms", "_sync_point", "_system")

    def __init__(self, saved: SavedReading, *, build_date_ms: int) -> None:
        """The clock as it was at `saved`; `start` is what brings it to now."""
        self._build_date_ms = build_date_ms
        self._node_ms = saved.node_ms
        self._system = saved.system
        self._gaps = saved.gaps
        self._sync_point = saved.synchronised_at

    @classmethod
    def start(
        cls, saved: SavedReading | None, system: SystemReading, *, build_date_ms: int
    ) -> NodeClock:
        """The clock of a run that begins at `system`, after what its store `saved`.

        Without `saved`, a store's first opening, node time begins at the wall clock, but not
        before `build_date_ms` (wall clock of this release).
        """
        if saved is None:
            first_ms = max(system.wall_ms, build_date_ms)
            saved = SavedReading(first_ms, system)
        clock = cls(saved, build_date_ms=build_date_ms)
        clock.observe(system)
        # A machine restored from a memory image has its old boot id and less CLOCK_BOOTTIME.
        clock._system = clock._system._replace(boot_ms=system.boot_ms)
        return clock

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Ascending; the same object until they change (see `Retention.with_gaps`)."""
        return self._gaps

    def now_ms(self, system: SystemReading) -> int:
        """Node time at `system`. A reading older than the last one changes nothing."""
        last = self._system
        if system.synchronised != last.synchronised or system.boot_id != last.boot_id:
            self.observe(system)
        elif system.boot_ms > last.boot_ms:
            self._node_ms += system.boot_ms - last.boot_ms
            self._system = system
        return self._node_ms

    def observe(self, system: SystemReading) -> None:
        """Takes notice of all that `system` says, `gaps` included."""
        system = self._checked(system)
        last = self._system
        if system.boot_id == last.boot_id:
            self._node_ms += max(0, system.boot_ms - last.boot_ms)
            system = system._replace(boot_ms=max(system.boot_ms, last.boot_ms))
        else:
            self._node_ms += _time_off_ms(last, system, build_date_ms=self._build_date_ms)
            self._open_gap()
        self._system = system
        if system.synchronised:
            self._measure_gap(system.wall_ms)
            self._sync_point = SyncPoint(self._node_ms, system.wall_ms)
        self._forget_gaps()

    def reading(self, system: SystemReading) -> SavedReading:
        """What the store keeps; `observe`s first."""
        self.observe(system)
        return SavedReading(self._node_ms, self._system, self._gaps, self._sync_point)

    def _checked(self, system: SystemReading) -> SystemReading:
        """No clock before our build date is right, whatever the operating system says of it."""
        if system.synchronised and system.wall_ms < self._build_date_ms:
            return system._replace(synchronised=False)
        return system

    def _open_gap(self) -> None:
        """The machine was off until now, perhaps for longer than node time gained."""
        unmeasured = bool(self._gaps) and self._gaps[-1].length_ms is None
        if self._sync_point is not None and not unmeasured:
            start_ms = bucket_start_ms(bucket_of(self._node_ms))
            self._gaps = (*self._gaps, Gap(start_ms, None))

    def _measure_gap(self, wall_ms: int) -> None:
        """The clock is synchronised: what node time lacks since it last was, is now known."""
        if not self._gaps or self._gaps[-1].length_ms is not None:
            return
        assert self._sync_point is not None, "a gap is only opened after a synchronised moment"
        passed_ms = wall_ms - self._sync_point.wall_ms
        lacking_ms = passed_ms - (self._node_ms - self._sync_point.node_ms)
        *measured, gap = self._gaps
        if lacking_ms > 0:
            if measured and measured[-1].start_ms == gap.start_ms:
                lacking_ms += measured.pop().length_ms or 0
            measured.append(Gap(gap.start_ms, lacking_ms))
        self._gaps = tuple(measured)

    def _forget_gaps(self) -> None:
        """Drops what no longer decides: the buckets before it are due by node time alone."""
        oldest_ms = self._node_ms - RETENTION_MAX_MS + BUCKET_MS
        if not self._gaps or self._gaps[0].start_ms > oldest_ms:
            return
        if self._gaps[-1].length_ms is None and self._gaps[-1].start_ms <= oldest_ms:
            # Its length would otherwise go to a later time off, and make what is younger older.
            self._sync_point = None
        self._gaps = tuple(gap for gap in self._gaps if gap.start_ms > oldest_ms)


def _time_off_ms(before: SystemReading, now: SystemReading, *, build_date_ms: int) -> int:
    """What of the time between two boots is known: the table above."""
    forward_ms = max(0, now.wall_ms - before.wall_ms)
    if before.synchronised and now.synchronised:
        return forward_ms
    if now.synchronised:
        return 0
    if before.wall_ms < build_date_ms:
        return 0
    return min(forward_ms, TIME_OFF_UNSURE_MS_MAX)
