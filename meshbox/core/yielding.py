"""Backlog yields: how much of it comes to this node while something new is on its way.

Pure. New blobs are asked for first, and served first, by either side. They wait all the same for
what the two nodes have under way of the backlog: a frame that is being read, a commit that is being
made, and where cores are few, for the other processes of the machine. No side sees the other's
load, but the reader sees how long what is new takes from being asked for to being stored. So it
asks for less of the backlog when that is long, and for more again when it is short: half as much at
once, or less where it took very long, a little more each time. Without anything new there is
nothing to yield to.

How much is by turns, and not by what is in flight alone: what comes is asked for anew at once, so a
small window keeps all cores as busy as a large one, and what is new waits for a core.

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
YIELD_CUT: Final = 8
"""The backlog is cut to one of so many parts at the most."""
BACKLOG_BYTES_MIN: Final = 128 * KIB
"""Bytes a peer and turn, a quarter of a second, at least: of less each frame and commit has little,
and costs the same (adr/0031)."""
BACKLOG_BYTES_STEP: Final = 4 * KIB
"""Bytes a peer and turn that are gained by what was quick."""


class Yielding:
    """One node's; `backlog_bytes` may be in flight of each peer, and be asked of it in a turn."""

    __slots__ = ("_cut_ms", "_fresh_ms", "backlog_bytes")

    def __init__(self) -> None:
        self.backlog_bytes = WANT_BYTES_MAX
        self._cut_ms = 0
        self._fresh_ms = 0

    @property
    def is_yielding(self) -> bool:
        """Whether what is new was slow of late."""
        return self.backlog_bytes < WANT_BYTES_MAX

    def came(self, took_ms: int, *, quick_ms: int, now_ms: int) -> None:
        """Something new is stored, `took_ms` after it was asked for; `quick_ms` is not too long."""
        self._fresh_ms = now_ms
        if took_ms <= quick_ms:
            more_bytes = self.backlog_bytes + BACKLOG_BYTES_STEP
            self.backlog_bytes = min(more_bytes, WANT_BYTES_MAX)
        elif now_ms - took_ms >= self._cut_ms:  # It was asked for after the last cut.
            self._cut_ms = now_ms
            parts = min(max(took_ms // quick_ms, 2), YIELD_CUT)
            self.backlog_bytes = max(self.backlog_bytes // parts, BACKLOG_BYTES_MIN)

    def tick(self, now_ms: int) -> None:
        """Time passed."""
        if now_ms - self._fresh_ms >= YIELD_REST_MS:
            self.backlog_bytes = WANT_BYTES_MAX


class BacklogTurn:
    """What one peer was asked for of its backlog in the present turn, from tick to tick."""

    __slots__ = ("_asked_bytes", "_yielding")

    def __init__(self, yielding: Yielding) -> None:
        self._yielding = yielding
        self._asked_bytes = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be asked for before the next turn."""
        yielding = self._yielding
        return yielding.is_yielding and self._asked_bytes >= yielding.backlog_bytes

    def asked(self, size_bytes: int) -> None:
        """So much was asked for."""
        self._asked_bytes += size_bytes

    def tick(self) -> bool:
        """The next turn begins; whether more may have waited for it."""
        asked_bytes, self._asked_bytes = self._asked_bytes, 0
        return asked_bytes > 0


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
