"""Positions: how changes of several processes are ordered, by node time and who made them.

    position = microseconds of node time (the wall clock of the process) * 1,024 + its own 10 bits

A process gives each position once and ascending, also while its clock stands still. Two processes
can only give the same one in the same microsecond, with the same 10 bits.
"""

from __future__ import annotations

from typing import Final

from meshbox.core.retention import HOUR_MS

_SALTS: Final = 1_024
UNITS_PER_MS: Final = 1_000 * _SALTS


def position_of(node_ms: int) -> int:
    """The lowest position of a moment."""
    return node_ms * UNITS_PER_MS


def ms_of(position: int) -> int:
    """The node time of a position."""
    return position // UNITS_PER_MS


def micros_of(position: int) -> int:
    """The timestamp that Cassandra is given with what is written at a position."""
    return position // _SALTS


def hour_of(position: int) -> int:
    """The hour of node time that a position lies in."""
    return ms_of(position) // HOUR_MS


class Positions:
    """Gives the positions of one process."""

    def __init__(self, salt: int) -> None:
        """`salt`: random, its lowest 10 bits are used."""
        self._salt = salt % _SALTS
        self.last = 0
        """The highest given, or heard of."""

    def next(self, now_ms: int) -> int:
        """The next one: of now, or as little above the last as there can be."""
        ahead = self.last // _SALTS + 1
        self.last = max(position_of(now_ms) // _SALTS, ahead) * _SALTS + self._salt
        return self.last

    def hear(self, position: int) -> None:
        """Another process gave it: whoever waits for something beyond the last is to notice."""
        self.last = max(self.last + 1, position)
