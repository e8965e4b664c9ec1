"""Waiting for what will be so."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable

WITHIN_S = 20.0
"""Seconds that anything here may take; on an idle machine it is milliseconds."""

PAUSE_S_MIN, PAUSE_S_MAX = 0.001, 0.02
"""Between two looks: what comes soon is seen soon, what takes its time costs little."""


async def eventually(is_so: Callable[[], object], *, within_s: float = WITHIN_S) -> None:
    """Returns once what `is_so()` is, or what that awaits, is true.

    Raises:
        TimeoutError: It was not within `within_s`.
    """
    pause_s = PAUSE_S_MIN
    async with asyncio.timeout(within_s):
        while not (await found if inspect.isawaitable(found := is_so()) else found):
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_S_MAX)
