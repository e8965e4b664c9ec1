"""When a log with nothing held is forgotten, name and all (design.md 4.7).

    last blob          empty logs within their bound    beyond it
    ───────────────    ─────────────────────────────    ─────────────────────
    until the floor    kept                             kept
    until 90 days      kept                             the oldest go, until
                                                        the rest is within it
    longer ago         forgotten                        forgotten

What is forgotten is what the log has seen: a blob of it that comes again is new. So nothing may be
left of it to come with an age at which it would be taken. Ages travel, so by the floor all that
was ever held here is older than any node keeps anything: no copy that went out from here, or that
came here, comes back, and two nodes that forget at different times pass nothing round. A client
that deposits once more what it has is what the log begins anew with, for a week.

Knows no store and no clock: node time comes in as `now_ms`. It may lack time that the machine was
off; then a log is forgotten later, never earlier.
"""

from __future__ import annotations

from typing import Final

from meshbox.core.limits import EMPTY_LOGS_BYTES_MAX
from meshbox.core.retention import DAY_MS, RETENTION_MAX_MS, bucket_of

FORGET_AFTER_MS: Final = 90 * DAY_MS
"""Milliseconds after its last blob when an empty log is forgotten: a term's holidays."""

FORGET_FLOOR_MS: Final = RETENTION_MAX_MS
"""Milliseconds that a log is remembered beyond the retention, whatever it costs: a node whose own
retention is short must not forget what others may hold for a week."""

EMPTY_SHARE: Final = 10
"""One part of so many of an allocation is for what is remembered of empty logs."""


def empty_bytes_max(capacity_bytes: int | None) -> int:
    """What empty logs may count for before the oldest go, of so large an allocation; None: of
    none."""
    return EMPTY_LOGS_BYTES_MAX if capacity_bytes is None else capacity_bytes // EMPTY_SHARE


def forgettable_through(
    now_ms: int, *, retention_ms: int, empty_bytes: int, empty_bytes_max: int
) -> int:
    """The next empty log is forgotten when its last blob came in this bucket or below; -1: none is.

    `empty_bytes` is what all of them count for. Ask again after each, the oldest first.
    """
    crowded = empty_bytes > empty_bytes_max
    after_ms = retention_ms + FORGET_FLOOR_MS if crowded else FORGET_AFTER_MS
    return max(-1, bucket_of(now_ms - after_ms) - 1)
