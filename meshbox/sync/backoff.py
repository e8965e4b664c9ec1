"""How long to wait before dialling a peer again. Pure but for the random source it is given."""

from __future__ import annotations

import random
from typing import Final

FIRST_S: Final = 0.25
"""Seconds before the second try."""

LONGEST_S: Final = 15.0
"""Seconds between tries at most: a peer that returns unannounced is found within these."""

STEADY_S: Final = 5.0
"""Seconds that a session must have lasted for its end to count as a new misfortune."""


class Backoff:
    """Doubling waits with full jitter, so that the nodes of a LAN do not dial in step."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._failures = 0

    def succeeded(self, *, lasted_s: float) -> None:
        """A session was open for `lasted_s`: a short one does not make the peer trustworthy."""
        if lasted_s >= STEADY_S:
            self._failures = 0

    def reset(self) -> None:
        """The network changed or the peer announced itself: try at once."""
        self._failures = 0

    def next_s(self) -> float:
        """Seconds to wait before the next try."""
        bound_s = min(FIRST_S * 2**self._failures, LONGEST_S)
        self._failures = min(self._failures + 1, 16)
        return self._rng.uniform(bound_s / 2, bound_s)
