"""Backlog yields: how much of it may be in flight at this node while something new is on its way.

Pure. New blobs are asked for first, and served first, by either side. They wait all the same for
what the two nodes have under way of the backlog: a frame that is being read, a commit that is being
made, and where cores are few, for the other processes of the machine. No side sees the other's
load, but the reader sees how long what is new takes from being asked for to being stored. So it
lets less of the backlog be in flight when that is long, and more again when it is short: half as
much at once, a little more each time. Without anything new there is nothing to yield to.

What is long is told by each line's own best time: a line across the world is slow by itself.
"""

from __future__ import annotations

from typing import Final

from meshbox.core.limits import KIB, WANT_BYTES_MAX

YIELD_MS: Final = 100
"""What is new may take so long, whatever the line: a tenth of the second in which it should be
everywhere, since that is a part of its way only."""
YIELD_TIMES: Final = 2
"""Or so many times as long as it took at best on its line."""
YIELD_REST_MS: Final = 1_000
"""Milliseconds without anything new after which the backlog has everything again."""
BACKLOG_BYTES_MIN: Final = 64 * KIB
"""Bytes in flight a peer at least: with less, each frame and commit has little, and costs the same
(adr/0031)."""
BACKLOG_BYTES_STEP: Final = 16 * KIB
"""Bytes in flight a peer that are gained by what was quick."""


class Yielding:
    """One node's; `backlog_bytes` may be in flight of each peer."""

    __slots__ = ("_cut_ms", "_fresh_ms", "backlog_bytes")

    def __init__(self) -> None:
        self.backlog_bytes = WANT_BYTES_MAX
        self._cut_ms = 0
        self._fresh_ms = 0

    def came(self, took_ms: int, *, quick_ms: int, now_ms: int) -> None:
        """Something new is stored, `took_ms` after it was asked for; `quick_ms` is not too long."""
        self._fresh_ms = now_ms
        if took_ms <= quick_ms:
            more_bytes = self.backlog_bytes + BACKLOG_BYTES_STEP
            self.backlog_bytes = min(more_bytes, WANT_BYTES_MAX)
        elif now_ms - took_ms >= self._cut_ms:  # It was asked for after the last cut.
            self._cut_ms = now_ms
            self.backlog_bytes = max(self.backlog_bytes // 2, BACKLOG_BYTES_MIN)

    def tick(self, now_ms: int) -> None:
        """Time passed."""
        if now_ms - self._fresh_ms >= YIELD_REST_MS:
            self.backlog_bytes = WANT_BYTES_MAX


class FreshTimes:
    """How long what is new takes on one line."""

    __slots__ = ("_least_ms", "_yielding")

    def __init__(self, yielding: Yielding) -> None:
        self._yielding = yielding
        self._least_ms: int | None = None

    def came(self, took_ms: int, *, now_ms: int) -> None:
        """Something new is stored, `took_ms` after it was asked for."""
        self._least_ms = took_ms if self._least_ms is None else min(took_ms, self._least_ms)
        quick_ms = max(YIELD_MS, YIELD_TIMES * self._least_ms)
        self._yielding.came(took_ms, quick_ms=quick_ms, now_ms=now_ms)
