"""What fits the line: how much is asked for at a time, and how large a frame is sent.

Pure. On a LAN both are at their limits at once. On a line of 8 kB/s a frame of 256 KiB would hold
everything behind it up for half a minute, what is new, and the answer to a ping too; so

- the reader has no more in flight than what came in `FLIGHT_MS` of late (`FlightSize`); and since
  one blob may be larger, those in parts come by credit (`Credit`): as much is given anew as came;
- the sender sends a credit in `FRAMES_A_CREDIT` frames: it learns from it what the line takes.

What is in flight begins small and grows with what is measured: over `SAMPLE_MS` of waiting, or
`SAMPLE_BYTES`. It at most doubles with one sample, since one alone deceives: behind a lost packet
nothing comes for seconds, and then everything at once. Time in which nothing was waited for says
nothing about a line.
"""

from __future__ import annotations

from typing import Final

from meshbox.core.limits import FRAME_BYTES_MAX, KIB, WANT_BYTES_MAX

FRAMES_A_CREDIT: Final = 2
"""Frames that a credit is sent in: what is new waits for one of them."""
FRAME_BYTES_MIN: Final = 4 * KIB
"""Bytes of the smallest frame, of which the headers are a fiftieth (design.md 7)."""

FLIGHT_MS: Final = 2_500
"""Milliseconds' worth of blobs in flight: above the two seconds of the longest way there and back,
so that what is in flight grows to what the line takes."""
FLIGHT_BYTES_FIRST: Final = 16 * KIB
"""Bytes in flight before anything was measured: with as much again, by half, in parts, a ping is
answered on 64 kbit/s before the other side gives up on it."""
FLIGHT_BYTES_MIN: Final = 16 * KIB
"""Bytes in flight on the slowest line: two seconds of 64 kbit/s."""

SAMPLE_MS: Final = 250
SAMPLE_BYTES: Final = 256 * KIB


class _Rate:
    """Bytes a second, by samples."""

    __slots__ = ("_bytes", "_ms", "_since_ms")

    def __init__(self) -> None:
        self._bytes = 0
        self._ms = 0
        self._since_ms: int | None = None

    def begin(self, now_ms: int) -> None:
        """Work begins, unless it is under way."""
        if self._since_ms is None:
            self._since_ms = now_ms

    def moved(self, size_bytes: int, now_ms: int) -> float | None:
        """So much was moved; the rate when that completes a sample."""
        if self._since_ms is None:
            return None
        self._ms += now_ms - self._since_ms
        self._since_ms = now_ms
        self._bytes += size_bytes
        if self._ms < SAMPLE_MS and self._bytes < SAMPLE_BYTES:
            return None
        rate = self._bytes * 1_000 / max(self._ms, 1)
        self._bytes = self._ms = 0
        return rate

    def rest(self) -> None:
        """There is nothing to move for now."""
        self._since_ms = None


def frame_bytes(credit: int) -> int:
    """How large a frame of blobs should be for a peer that gives so much credit at a time."""
    return min(max(credit // FRAMES_A_CREDIT, FRAME_BYTES_MIN), FRAME_BYTES_MAX)


class FlightSize:
    """`bytes`: how much should be in flight at most."""

    __slots__ = ("_rate", "bytes")

    def __init__(self) -> None:
        self.bytes = FLIGHT_BYTES_FIRST
        self._rate = _Rate()

    def asked(self, *, now_ms: int) -> None:
        """Something was asked for."""
        self._rate.begin(now_ms)

    def came(self, size_bytes: int, *, now_ms: int) -> None:
        """Bytes of blobs came."""
        rate = self._rate.moved(size_bytes, now_ms)
        if rate is not None:
            fitting = min(int(rate * FLIGHT_MS / 1_000), 2 * self.bytes)
            self.bytes = min(max(fitting, FLIGHT_BYTES_MIN), WANT_BYTES_MAX)

    def answered(self) -> None:
        """Nothing is waited for any more."""
        self._rate.rest()


class Credit:
    """How many bytes of blobs in parts the peer may still send us."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = 0

    def came(self, size_bytes: int) -> None:
        """A part came."""
        self._left -= size_bytes

    def give(self, flight_bytes: int) -> int:
        """How much more to give now: half of `flight_bytes` may be in flight; seldom and much."""
        credit_bytes = flight_bytes // 2
        if self._left > credit_bytes // 2:
            return 0
        given = credit_bytes - self._left
        self._left = credit_bytes
        return given
