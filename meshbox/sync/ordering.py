"""The order of one session's commits: they begin, and are answered, in the order of the calls.

The store keeps the order of small deposits by itself, so they may overlap and share a sync. Two
kinds may not: a deposit that moves the cursor must find all blobs before it stored, or a crash
between the two would hide them for ever; and a large deposit, which is hashed and written in
pieces, must not be overtaken by a higher blob of its log, or clients would never ask for it
(design.md 4.12). Nor may one that waits for such a deposit be overtaken by the next, nor an answer
by a quicker one: a page of the feed is settled after all before it, and a peer that hears otherwise
takes us for a fraud.
After a commit that failed none follows: its blobs are not stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


class _Turn:
    """One commit's."""

    __slots__ = ("alone", "begun", "done")

    def __init__(self, *, alone: bool) -> None:
        self.alone = alone
        self.begun = asyncio.Event()
        """All before it have begun as well."""
        self.done = asyncio.Event()
        """All before it are done as well."""

    def end(self) -> None:
        """It is over, whatever came of it."""
        self.begun.set()
        self.done.set()


class CommitOrder:
    """Runs commits in the order of the calls; those that are `alone` overlap with no other."""

    def __init__(self) -> None:
        self._last = _Turn(alone=False)
        self._last.end()
        self._failed: BaseException | None = None

    async def run(self, commit: Callable[[], Awaitable[T]], *, alone: bool) -> T:
        """The result of `commit`, begun when its turn came; raises what an earlier one raised."""
        before, mine = self._last, _Turn(alone=alone)
        self._last = mine
        try:
            await (before.done if alone or before.alone else before.begun).wait()
            self._raise_earlier()
            mine.begun.set()
            result = await commit()
            await before.done.wait()
            self._raise_earlier()
        except BaseException as error:
            self._failed = error
            raise
        else:
            return result
        finally:
            mine.end()

    def _raise_earlier(self) -> None:
        if self._failed is not None:
            raise self._failed
