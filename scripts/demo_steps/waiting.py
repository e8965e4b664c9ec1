"""Waiting for a condition, never longer than told."""

from __future__ import annotations

import time
from collections.abc import Callable

PAUSE_S = 0.005
"""Seconds between two looks: the resolution of every time that the demo tells."""


def until(condition: Callable[[], bool], *, seconds: float, pause_s: float = PAUSE_S) -> bool:
    """Whether `condition` came true within `seconds`; it is looked at once at least."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(pause_s)
    return True


class Stopwatch:
    """Milliseconds since it was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def ms(self) -> float:
        return round((time.monotonic() - self._began) * 1000, 1)
