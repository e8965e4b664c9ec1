"""What fetches wait for, told from what is asked of peers (design.md 4.12)."""

from __future__ import annotations

from collections.abc import Callable

from meshbox.core.ids import LogId
from meshbox.core.wants import WantLedger


class LedgerFilling:
    """`core.filling.Filling` from the ledger of wants; `clock` is in milliseconds."""

    def __init__(self, ledger: WantLedger, clock: Callable[[], int]) -> None:
        self._ledger = ledger
        self._clock = clock

    def stop_below(self, log: LogId, *, above: int | None) -> int | None:
        """See `Filling`."""
        if log not in self._ledger:  # Of nearly all logs, at each fetch.
            return None
        return self._ledger.stop_below(log, above=above, now_ms=self._clock())
