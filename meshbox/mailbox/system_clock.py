"""The operating system's clocks as `SystemReading`s, and the file by which tests move them.

Knows the system calls and nothing of node time (core/clock.py). Where a system does not tell:

- without CLOCK_BOOTTIME (macOS) CLOCK_MONOTONIC serves, which counts sleep there;
- without a boot id (anything but Linux) every start counts as another boot, so the time between
  two runs is taken from the wall clock;
- without `adjtimex` (anything but Linux, or a sandbox that forbids it) the clock counts as not
  synchronised, so at most 7 days of time off are believed.

Invariant: `read` never fails once the clock was made.
"""

from __future__ import annotations

import ctypes
import os
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import msgspec

from meshbox.core.clock import SystemReading
from meshbox.core.errors import InvalidSetting

BUILD_DATE_MS: Final = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
"""Wall clock, ms: this release was made later. Node time does not begin before it, and a clock
that is before it is wrong. A release may move it forward, never beyond its own date."""

TEST_CLOCK_VARIABLE: Final = "MESHBOX_TEST_CLOCK"

SYNCHRONISED_CHECK_INTERVAL_MS: Final = 2_000
"""Milliseconds between two questions whether the clock is synchronised."""

OFFSET_MS_MAX: Final = 100 * 365 * 86_400_000
"""Milliseconds by which a test may move a clock: a century, far inside every field's range."""

_BOOT_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_BOOT_ID_FILE: Final = Path("/proc/sys/kernel/random/boot_id")


class OperatingSystemClock:
    """The real `SystemClock`. `read` costs microseconds, plus one `stat` under a test clock."""

    def __init__(self, *, test_clock: Path | None = None) -> None:
        """`test_clock`: a file that moves the clocks, see `ClockMovesFile`."""
        self._boot_id = _boot_id()
        self._synchronisation = _Synchronisation()
        self._test_clock = ClockMovesFile(test_clock) if test_clock else None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> OperatingSystemClock:
        """With the test clock that MESHBOX_TEST_CLOCK names, if any; `InvalidSetting` when bad."""
        path = environment.get(TEST_CLOCK_VARIABLE)
        return cls(test_clock=Path(path) if path else None)

    @property
    def test_clock_in_use(self) -> bool:
        """Whether a file moves the clocks: worth a warning for as long as it is so."""
        return self._test_clock is not None

    def read(self) -> SystemReading:
        """What the operating system says now, moved as the test clock wants."""
        boot_ms = time.clock_gettime_ns(_BOOT_CLOCK) // 1_000_000
        wall_ms = time.time_ns() // 1_000_000
        synchronised = self._synchronisation.at(boot_ms)
        if self._test_clock is None:
            return SystemReading(boot_ms, self._boot_id, wall_ms, synchronised)
        moved = self._test_clock.settings()
        return SystemReading(
            boot_ms + moved.boot_offset_ms,
            moved.boot_id or self._boot_id,
            wall_ms + moved.wall_offset_ms,
            synchronised if moved.synchronised is None else moved.synchronised,
        )


_Offset = Annotated[int, msgspec.Meta(ge=-OFFSET_MS_MAX, le=OFFSET_MS_MAX)]


class ClockMoves(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a test moves the clocks. What it leaves out stays as the operating system says.

    Node time never goes back: a `boot_offset_ms` that is made smaller while a node runs stops its
    node time until it is made up. A new `boot_id` is what a power cut looks like.
    """

    boot_offset_ms: _Offset = 0
    wall_offset_ms: _Offset = 0
    synchronised: bool | None = None
    boot_id: Annotated[str, msgspec.Meta(min_length=1, max_length=128)] | None = None


# msgspec reports text that is not UTF-8 as UnicodeDecodeError, a ValueError, not as its own error.
_UNREADABLE: Final = (OSError, msgspec.MsgspecError, ValueError)


class ClockMovesFile:
    """The file of MESHBOX_TEST_CLOCK, read again whenever it changes.

    At start a file that is missing or malformed is an `InvalidSetting`. Later, since a file may be
    seen half written, the last good settings stay in force until it is whole again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version: _FileVersion | None = None
        try:
            self._settings = _parsed(path)
        except _UNREADABLE as error:
            raise InvalidSetting(
                f"{TEST_CLOCK_VARIABLE}: {path}: {error}",
                hint='it is a JSON file such as {"boot_offset_ms": 0, "wall_offset_ms": 0, '
                '"synchronised": true, "boot_id": "…"}, each optional',
            ) from error

    def settings(self) -> ClockMoves:
        """What the file says now, or said when it was last whole."""
        try:
            version = _FileVersion.of(self._path)
            if version != self._version:
                self._settings = _parsed(self._path)
                self._version = version if version.is_settled else None
        except _UNREADABLE:
            self._version = None
        return self._settings


class _FileVersion(NamedTuple):
    modified_ns: int
    inode: int
    size_bytes: int

    @classmethod
    def of(cls, path: Path) -> _FileVersion:
        stat = path.stat()
        return cls(stat.st_mtime_ns, stat.st_ino, stat.st_size)

    @property
    def is_settled(self) -> bool:
        """Whether another write would show. Times of files move in steps of up to 10 ms (a second
        on some filesystems), so two writes in one step look like one."""
        return not 0 <= time.time_ns() - self.modified_ns < 2_000_000_000


def _parsed(path: Path) -> ClockMoves:
    return msgspec.json.decode(path.read_bytes(), type=ClockMoves)


def _boot_id() -> str:
    try:
        return _BOOT_ID_FILE.read_text().strip()
    except OSError:
        return f"start-{uuid.uuid4()}"


class _Synchronisation:
    """Whether the kernel's clock is disciplined by a time service; asked every few seconds."""

    def __init__(self) -> None:
        self._answer = False
        self._asked_ms: int | None = None

    def at(self, boot_ms: int) -> bool:
        """The answer at CLOCK_BOOTTIME `boot_ms`."""
        asked_ms = self._asked_ms
        if asked_ms is None or boot_ms - asked_ms >= SYNCHRONISED_CHECK_INTERVAL_MS:
            self._answer = kernel_synchronised()
            self._asked_ms = boot_ms
        return self._answer


class _Timex(ctypes.Structure):
    """Linux's `struct timex`, see adjtimex(2); the rest of the struct is spare room."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 512),
    )


_STA_UNSYNC: Final = 0x0040
_TIME_ERROR: Final = 5


def kernel_synchronised() -> bool:
    """Whether Linux calls its wall clock synchronised; False where nobody says so."""
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except (AttributeError, OSError):
        return False
    timex = _Timex()
    state: int = adjtimex(ctypes.byref(timex))
    return state not in {-1, _TIME_ERROR} and not timex.status & _STA_UNSYNC
