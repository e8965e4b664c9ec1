"""Waiting for what will be so, and for what must not be."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable

WITHIN_S = 20.0
"""Seconds that anything here may take; on an idle machine it is milliseconds."""

PAUSE_S_MIN, PAUSE_S_MAX = 0.001, 0.02
"""Between two looks: what comes soon is seen soon, what takes its time costs little."""


async def eventually(is_so: Callable[[], object], *, within_s: float = WITHIN_S) -> float:
    """Returns once what `is_so()` is, or what that awaits, is true; the seconds that it took.

    Raises:
        TimeoutError: It was not within `within_s`.
    """
    began_s, pause_s = time.monotonic(), PAUSE_S_MIN
    async with asyncio.timeout(within_s):
        while not (await found if inspect.isawaitable(found := is_so()) else found):
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_S_MAX)
    return time.monotonic() - began_s


def becomes(is_so: Callable[[], object], *, within_s: float = WITHIN_S) -> float:
    """The same where there is no loop to go on: other processes do all the work."""
    began_s = time.monotonic()
    while not is_so():
        if time.monotonic() > began_s + within_s:
            raise TimeoutError(f"it did not become so in {within_s} s")
        time.sleep(PAUSE_S_MAX)
    return time.monotonic() - began_s


async def a_while(seconds: float) -> None:
    """Time in which what must not happen would have happened, or what passes with time passes."""
    await asyncio.sleep(seconds)


def stand_by(seconds: float) -> None:
    """The same where there is no loop to go on."""
    time.sleep(seconds)
