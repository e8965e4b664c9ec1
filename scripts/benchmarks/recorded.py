"""What the apps' own mailbox server was measured at: marks to beat, not comparisons of one run.

Dash Chat's server (Rust, axum and redb; January 2026), built in release, on two busy cores with an
fdatasync of about 0.13 ms; medians of three runs.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Recorded(NamedTuple):
    """Answers a second, and the milliseconds that half of them and all but 1 % took."""

    rate: float
    p50_ms: float
    p99_ms: float


DEPOSITS: Final = {64: Recorded(1_841, 31, 155), 1: Recorded(1_363, 0.58, 1.6)}
"""Single blobs of 1 KB, by connections."""

BATCH_BLOBS_PER_S: Final = 46_000.0
"""Blobs of 1 KB, 500 a request."""

POLLS: Final = {
    (100, 16): Recorded(17_362, 0.85, 2.3),
    (100, 1): Recorded(4_500, 0.20, 0.69),
    (10_000, 16): Recorded(289, 53, 119),
    (10_000, 1): Recorded(154, 6.1, 10),
    (100_000, 16): Recorded(32, 491, 710),
    (100_000, 1): Recorded(15, 65, 89),
}
"""Polls with nothing new, by blobs in the topic and connections."""

MIXED: Final = Recorded(376, 39, 96)
"""90 % polls and 10 % deposits, a topic of 10,000 blobs, 16 connections."""
