"""Keeps zeroconf's cache from being filled by inventions.

It holds 10,000 records, and for a new one drops the one that expires first. So whoever fills it
with records of a long life has every true address (120 s, RFC 6762, 10) dropped as soon as it
comes: no peer would be found any more. Here, after so many new records, all are dropped but those
of names that somebody keeps; what is true is announced again, and reported again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from zeroconf import RecordUpdate, RecordUpdateListener, Zeroconf

from meshbox.core.limits import DISCOVERY_RECORDS_MAX
from meshbox.discovery import questions


class CacheGuard(RecordUpdateListener):
    """Guards until `stop`. `kept` gives the names whose records stay."""

    def __init__(self, zeroconf: Zeroconf, *, kept: Callable[[], Iterable[str]]) -> None:
        self._zeroconf = zeroconf
        self._kept = kept
        self._new = 0
        zeroconf.async_add_listener(self, None)

    def async_update_records(self, zc: Zeroconf, now: float, records: list[RecordUpdate]) -> None:
        """See `RecordUpdateListener`."""
        self._new += sum(update.old is None for update in records)

    def async_update_records_complete(self) -> None:
        """See `RecordUpdateListener`; now the records are in the cache."""
        if self._new > DISCOVERY_RECORDS_MAX:
            self._new = 0
            questions.keep_only(self._zeroconf, self._kept())

    def stop(self) -> None:
        """Leaves zeroconf."""
        self._zeroconf.async_remove_listener(self)
