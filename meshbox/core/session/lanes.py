"""Lanes: what must not wait for what. Wants of each have a budget of their own.

| lane  | what goes there                                                     | so that            |
|-------|---------------------------------------------------------------------|--------------------|
| FRESH | logs of fresh pages (fresh.py): a few small blobs each              | what was written   |
|       |                                                                     | now passes the rest|
| FEED  | logs of the feed's pages                                            |                    |
| BULK  | logs of the feed's pages that lack a blob too large for one frame   | a photograph holds |
|       |                                                                     | its own log alone  |

Within a log everything ascends, so a log is in one lane at a time.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Final

from meshbox.core.limits import (
    FRAME_BYTES_MAX,
    FRESH_BYTES_MAX,
    FRESH_SEQS_LOG_MAX,
    FRESH_SEQS_MAX,
    WANT_BYTES_MAX,
    WANT_SEQS_MAX,
)
from meshbox.core.ranges import SeqRanges
from meshbox.core.session.frames import OfferedRun


class Lane(IntEnum):
    """See the table above. A number, since it is looked up for every log and answer."""

    FRESH = 1
    FEED = 2
    BULK = 3


SEQS_MAX: Final = {
    Lane.FRESH: FRESH_SEQS_MAX,
    Lane.FEED: WANT_SEQS_MAX,
    Lane.BULK: FRESH_SEQS_MAX,
}
"""Sequence numbers in flight a lane."""
BYTES_MAX: Final = {
    Lane.FRESH: FRESH_BYTES_MAX,
    Lane.FEED: WANT_BYTES_MAX,
    Lane.BULK: WANT_BYTES_MAX,
}
"""Bytes in flight a lane, by what the offers say, unless a single blob is larger."""
SEQS_ALL_MAX: Final = sum(SEQS_MAX.values())
"""Sequence numbers in flight a peer."""


def lane_of(
    runs: Iterable[OfferedRun], lacking: SeqRanges, *, fresh: bool, flight_bytes: int
) -> Lane:
    """Where `lacking` of an offered log goes; `fresh`: it stands on a fresh page.

    `flight_bytes`: what the line takes (pacing.py).
    """
    lacked = [run for run in runs if lacking.meets(run.first, run.end)]
    if any(run.largest_bytes > min(FRAME_BYTES_MAX, flight_bytes) for run in lacked):
        return Lane.BULK
    is_small = lacking.count <= FRESH_SEQS_LOG_MAX
    return Lane.FRESH if fresh and is_small else Lane.FEED


class Budget:
    """What is in flight in one lane."""

    __slots__ = ("_lane", "bytes", "seqs")

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self.seqs = 0
        self.bytes = 0

    def copy(self) -> Budget:
        """To reckon with."""
        copied = Budget(self._lane)
        copied.take(self.seqs, self.bytes)
        return copied

    def room_seqs(self, size_guess_bytes: int, *, flight_bytes: int) -> int:
        """How many more blobs of about this size may be asked for; one at least when none is.

        `flight_bytes`: what the line takes (pacing.py).
        """
        bytes_max = min(BYTES_MAX[self._lane], flight_bytes)
        by_bytes = max(bytes_max - self.bytes, 0) // size_guess_bytes
        if not self.seqs:
            by_bytes = max(by_bytes, 1)
        return min(by_bytes, SEQS_MAX[self._lane] - self.seqs)

    def take(self, seqs: int, size_bytes: int) -> None:
        """So much more is in flight; less, if negative."""
        self.seqs += seqs
        self.bytes += size_bytes
