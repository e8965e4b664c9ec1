"""The order of one session's commits.

The store keeps the order of small deposits by itself, so they may overlap and share a sync. Two
kinds may not: a deposit that moves the cursor must find all blobs before it stored, or a crash
between the two would hide them for ever; and a large deposit, which is hashed and written in
pieces, must not be overtaken by a higher blob of its log, or clients would never ask for it
(design.md 4.12).
After a commit that failed none follows: its blobs are not stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


class CommitOrder:
    """Runs commits in the order of the calls; those that are `alone` overlap with no other."""

    def __init__(self) -> None:
        self._under_way: dict[asyncio.Future[None], bool] = {}
        self._failed: BaseException | None = None

    async def run(self, commit: Callable[[], Awaitable[T]], *, alone: bool) -> T:
        """The result of `commit`, begun when its turn came; raises what an earlier one raised."""
        before = [done for done, was_alone in self._under_way.items() if alone or was_alone]
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._under_way[done] = alone
        try:
            if before:
                await asyncio.wait(before)
            self._raise_earlier()
            return await commit()
        except BaseException as error:
            self._failed = error
            raise
        finally:
            del self._under_way[done]
            done.set_result(None)

    def _raise_earlier(self) -> None:
        if self._failed is not None:
            raise self._failed
