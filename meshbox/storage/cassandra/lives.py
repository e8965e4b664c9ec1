"""How long rows live: Cassandra drops them by itself, later than meshbox stops to show them.

Ages are decided by the node's clock (design.md 4.3), which a test may move and the servers' not.
So a time to live is what is left of a life, and a day more: it only frees the space.
"""

from __future__ import annotations

from typing import Final

from meshbox.core.retention import BUCKET_MS, DAY_MS, RETENTION_MAX_MS, bucket_start_ms

_SPARE_MS: Final = DAY_MS

SEEN_S: Final = (90 * DAY_MS + RETENTION_MAX_MS + BUCKET_MS) // 1_000
"""Of a log's record, from its last change: forgotten 90 days after (design.md 4.7)."""

FEED_MS: Final = RETENTION_MAX_MS + DAY_MS
"""A log that holds something changed within these."""
FEED_S: Final = (FEED_MS + _SPARE_MS) // 1_000


def blob_s(bucket: int, *, retention_ms: int, now_ms: int) -> int:
    """Seconds that a blob of a bucket lives; never 0, which would be for ever."""
    left_ms = bucket_start_ms(bucket) + retention_ms - now_ms
    return (max(left_ms, 0) + _SPARE_MS) // 1_000
