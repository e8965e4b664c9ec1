"""What becomes of a deposit when a log would be in more pieces than it may be (design.md 4.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from meshbox.core.errors import TooManyRanges
from meshbox.core.ids import LogKey
from meshbox.core.limits import LOG_RANGES_MAX
from meshbox.core.ranges import SeqRanges
from meshbox.storage.interface import Outcome


def refuse_pushed(
    outcomes: list[Outcome],
    places: Iterable[tuple[LogKey, int]],
    pushed: Mapping[LogKey, SeqRanges],
    *,
    whole: bool,
) -> None:
    """Refuses, in `outcomes`, the blobs of a deposit that were `pushed` out of their logs; `places`
    are their logs and numbers. `TooManyRanges` when it is stored `whole` or not at all."""
    for at, (key, seq) in enumerate(places):
        if outcomes[at] is not Outcome.EXPIRED and seq in pushed.get(key, ()):
            outcomes[at] = Outcome.REFUSED
    if whole and Outcome.REFUSED in outcomes:
        raise TooManyRanges(f"the log would be in more than {LOG_RANGES_MAX} pieces")
