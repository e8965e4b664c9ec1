"""A bound on bytes a second, by how long each one who moved some waits before the next.

Bytes are never refused, since frames come whole: what was too much is waited for afterwards. What
was not used for `BURST_S` is lost. Pure: time comes in as seconds.
"""

from __future__ import annotations

from typing import Final

BURST_S: Final = 0.25
"""Seconds of the rate that may go at once after a pause."""


class RateLimit:
    """One direction of all sessions together."""

    def __init__(self, bytes_per_s: int | None) -> None:
        """None: no bound."""
        self._bytes_per_s = bytes_per_s
        self._paid_until_s = float("-inf")

    def wait_s(self, size_bytes: int, *, now_s: float) -> float:
        """Seconds to wait after `size_bytes` moved, before more does."""
        if self._bytes_per_s is None:
            return 0.0
        begun_s = max(self._paid_until_s, now_s - BURST_S)
        self._paid_until_s = begun_s + size_bytes / self._bytes_per_s
        return max(0.0, self._paid_until_s - now_s)


UNBOUNDED: Final = RateLimit(None)
