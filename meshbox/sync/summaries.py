"""What this node holds, in short: for peers with which it shares no cursor.

A summary is of one moment: the elements of all logs (core/reconcile.py), and the cursor from
which the feed goes on. Making one reads all records, in slices, off the hot path; it is kept for
`FRESH_S` and shared by all sessions with its key, since an older one is as right: what changed
after it comes by the feed.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Generator, Iterable
from typing import Final, TypeVar

from meshbox.core.ids import LOG_KEY_BYTES, LogKey
from meshbox.core.limits import SUMMARY_LOGS_MAX
from meshbox.core.reconcile import (
    Digest,
    Sketch,
    differing,
    element_of,
    pack_symbols,
    unpack_symbols,
)
from meshbox.core.session.comparing import SYMBOLS_SECOND
from meshbox.storage.interface import MailboxStore

FRESH_S: Final = 10.0
"""Seconds for which a summary is given to further sessions."""
SUMMARIES_MAX: Final = 4
"""Summaries kept; one has about 50 bytes a log."""
_TURN_LOGS: Final = 128
"""Records read in one turn of the loop."""

_Result = TypeVar("_Result")


class Summary:
    """What is held at one moment."""

    def __init__(self, cursor: bytes) -> None:
        self.cursor = cursor
        self.digest = Digest()
        self._elements = array("Q")
        self._keys = bytearray()
        self._sketch: Sketch | None = None
        self._sketching = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._elements)

    def add(self, key: LogKey, element: int) -> None:
        """One more log."""
        self._elements.append(element)
        self._keys += key

    def finish(self) -> None:
        """All logs were added."""
        self.digest = Digest().adding(self._elements)
        self._sketch = Sketch(self._elements)

    async def symbols(self, first: int, end: int) -> bytes:
        """Symbols of the sketch, packed."""
        return pack_symbols((await self._symbols(end))[first:end])

    async def lacking(
        self, digest: Digest, symbols: bytes
    ) -> tuple[tuple[LogKey, ...], tuple[int, ...]] | None:
        """The logs of ours that the set of `digest` and `symbols` has otherwise or not at all, and
        the elements that only that set has.

        None: it takes more symbols to tell.
        """
        if digest == self.digest:
            return (), ()
        told = unpack_symbols(symbols)
        ours = await self._symbols(len(told))
        found = await _in_turns(differing(ours, told))
        if found is None:
            return None
        places = [place for place, element in enumerate(self._elements) if element in found]
        own = [self._elements[place] for place in places]
        theirs = tuple(sorted(found.difference(own)))
        if self.digest.removing(own).adding(theirs) != digest:
            return None
        return tuple(self._key_at(place) for place in places), theirs

    def with_elements(self, elements: Iterable[int]) -> tuple[LogKey, ...]:
        """The logs of ours that have `elements`; what none of them has is passed over."""
        wanted = frozenset(elements)
        places = (place for place, element in enumerate(self._elements) if element in wanted)
        return tuple(self._key_at(place) for place in places)

    async def _symbols(self, count: int) -> list[int]:
        """The first `count` symbols of ours. Those of the first two asks are made at once: each
        time costs a look at all elements."""
        assert self._sketch is not None
        async with self._sketching:
            await _in_turns(self._sketch.extend(max(count, SYMBOLS_SECOND)))
        return self._sketch.symbols[:count]

    def _key_at(self, place: int) -> LogKey:
        return LogKey(bytes(self._keys[place * LOG_KEY_BYTES : (place + 1) * LOG_KEY_BYTES]))


class Summaries:
    """Makes and keeps the summaries of one store, one at a time."""

    def __init__(self, store: MailboxStore) -> None:
        self._store = store
        self._kept: dict[bytes, tuple[float, Summary | None]] = {}
        self._making = asyncio.Lock()

    async def of(self, key: bytes) -> Summary | None:
        """A summary with elements of `key`; None when more is held than is ever summarised.

        Errors are the store's.
        """
        async with self._making:
            now_s = asyncio.get_running_loop().time()
            self._kept = {
                other: (made_s, summary)
                for other, (made_s, summary) in self._kept.items()
                if now_s - made_s < FRESH_S
            }
            # Another opening of the store may hold less.
            name = self._store.epoch.id + key
            if name in self._kept:
                return self._kept[name][1]
            summary = await self._make(key)
            if len(self._kept) < SUMMARIES_MAX:
                self._kept[name] = now_s, summary
            return summary

    async def _make(self, key: bytes) -> Summary | None:
        summary = Summary(self._store.cursor_now())
        after: LogKey | None = None
        while records := await self._store.all_logs(after, logs_max=_TURN_LOGS):
            for after, record in records.items():
                if record.runs:
                    summary.add(after, element_of(key, after, record.runs))
            if len(summary) > SUMMARY_LOGS_MAX:
                return None
            await asyncio.sleep(0)
        summary.finish()
        return summary


async def _in_turns(work: Generator[None, None, _Result]) -> _Result:
    """The result of `work`, others getting a turn wherever it yields."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            result: _Result = done.value
            return result
        await asyncio.sleep(0)
