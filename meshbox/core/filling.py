"""What is just being filled from a peer, as far as a fetch has to know it (design.md 4.12).

Apps ask by their highest seq and never ask below it. So while a log's lower numbers are on their
way from a peer, a client that lacks them is given nothing above them. Which logs are so, and for
how long that may last, is kept elsewhere; this is only the question.
"""

from __future__ import annotations

from typing import Protocol

from meshbox.core.ids import LogId


class Filling(Protocol):
    """Knows the numbers that a connected peer was asked for and has not sent yet."""

    def stop_below(self, log: LogId, *, above: int | None) -> int | None:
        """The number below which a fetch of `log` stops, for a client whose height is `above`
        (None: it holds nothing): the lowest above its height that is just being filled. None when
        nothing is held back.
        """


class NothingFilling:
    """A node that fills nothing from anybody: it has no peers."""

    def stop_below(self, log: LogId, *, above: int | None) -> int | None:
        """Never holds anything back."""
        del log, above
        return None
