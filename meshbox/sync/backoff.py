"""How long to wait before dialling a peer again, or whatever else may be back soon. Pure but for
the random source it is given.

A misfortune (a cut, a crash) costs a short wait that a new announcement ends. A misbehaviour costs
a long one that nothing ends, and in which the peer may not dial us either.
"""

from __future__ import annotations

import random
from typing import Final

FIRST_S: Final = 0.25
"""Seconds before the second try."""

LONGEST_S: Final = 15.0
"""Seconds between tries at most: a peer that returns unannounced is found within these."""

STEADY_S: Final = 5.0
"""Seconds that a session must have lasted for its end to count as a new misfortune."""


OFFENCE_FIRST_S: Final = 30.0
"""Seconds without a session after a misbehaviour: twice the longest wait after a misfortune."""

OFFENCE_LONGEST_S: Final = 15 * 60.0
"""Seconds that it grows to, doubling: a peer whose software was repaired is back before long."""

FORGIVEN_S: Final = 3_600.0
"""Seconds that a session must have lasted for former misbehaviour to be forgotten."""


class Backoff:
    """Doubling waits with full jitter, so that the nodes of a LAN do not dial in step."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._failures = 0
        self._offences = 0
        self._barred_until_s = 0.0

    def succeeded(self, *, lasted_s: float) -> None:
        """A session was open for `lasted_s`: a short one does not make the peer trustworthy."""
        if lasted_s >= STEADY_S:
            self._failures = 0
        if lasted_s >= FORGIVEN_S:
            self._offences = 0

    def misbehaved(self, *, now_s: float) -> None:
        """The peer broke the rules of a session at `now_s`."""
        wait_s = min(OFFENCE_FIRST_S * 2**self._offences, OFFENCE_LONGEST_S)
        self._offences = min(self._offences + 1, 16)
        self._barred_until_s = now_s + wait_s

    def barred_s(self, *, now_s: float) -> float:
        """Seconds for which there is to be no session at all."""
        return max(0.0, self._barred_until_s - now_s)

    def reset(self) -> None:
        """The network changed or the peer announced itself: try at once, unless it is barred."""
        self._failures = 0

    def next_s(self) -> float:
        """Seconds to wait before the next try."""
        bound_s = min(FIRST_S * 2**self._failures, LONGEST_S)
        self._failures = min(self._failures + 1, 16)
        return self._rng.uniform(bound_s / 2, bound_s)
