"""A small world: the product's bounds made so small that a few blobs reach them.

The bounds are looked up by name in the modules that use them, so they are replaced in each.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Final

from meshbox.core.session.lanes import Lane

KIB: Final = 1024

SMALL: Final[dict[str, object]] = {
    "FRESH_PAGES_UNSETTLED_MAX": 2,
    "FRESH_SEQS_MAX": 6,
    "FRESH_BYTES_MAX": 2 * KIB,
    "FRESH_SEQS_LOG_MAX": 3,
    "CLAIMED_RANGES_MAX": 8,
    "NAMES_MAX": 4,
    "BLOB_CHUNK_BYTES": KIB,
    "LOG_RANGES_MAX": 24,
    "SWEEP_LOGS_MAX": 2,
    "COMMIT_BLOBS_MAX": 12,
    "FRAME_BYTES_MAX": 2 * KIB,
    "FRAME_BLOBS_MAX": 5,
    "PAGE_LOGS_MAX": 3,
    "PAGE_RUNS_MAX": 16,
    "PAGES_UNSETTLED_MAX": 3,
    "WANT_SEQS_LOG_MAX": 8,
    "WANT_SEQS_MAX": 20,
    "WANT_BYTES_MAX": 8 * KIB,
    "WANT_RANGES_MAX": 5,
    "RECEIVED_BYTES_MAX": 8 * KIB,
    "RECEIVED_BYTES_ALL_MAX": 16 * KIB,
    "PARTS_BYTES_MAX": 128 * KIB,
    "PARTS_TURN_MS": 5_000,
    "GONE_PROMISES_MAX": 40,
    "FRAMES_UNWRITTEN_MAX": 60,
    "BEGINNINGS_MAX": 3,
    "BEGINNINGS_BYTES_MAX": 128 * KIB,
    "SKETCH_SYMBOLS_MAX": 64,
    "SUMMARY_LOGS_MAX": 18,
    "LOGS_A_TURN": 2,
    "SYMBOLS_FIRST": 2,
    "SYMBOLS_SECOND": 5,
    "RELAYS_VAIN": 1,
    "_OVERLAPPING_BYTES_MAX": KIB // 2,
    "SEQS_MAX": {Lane.FRESH: 6, Lane.FEED: 20, Lane.BULK: 6},
    "BYTES_MAX": {Lane.FRESH: 2 * KIB, Lane.FEED: 8 * KIB, Lane.BULK: 8 * KIB},
    "SEQS_ALL_MAX": 32,
    "FREE_AGAIN": 4,
    "FILLED_AGAIN": 8,
    "SLACK": 16,
    "RELEASE_INTERVAL_MS": 8_000,
    "EVICT_READ_BLOBS_MAX": 4,
    "_TURN_LOGS": 4,
    "_TURN_LOGS_MAX": 4,
}


@contextmanager
def small_limits() -> Iterator[None]:
    """Everything in here is of a small world."""
    before: list[tuple[ModuleType, str, object]] = []
    for name, module in sys.modules.copy().items():
        if name.startswith("meshbox."):
            bounds = SMALL.keys() & vars(module).keys()
            before += ((module, bound, vars(module)[bound]) for bound in bounds)
    for module, bound, _ in before:
        setattr(module, bound, SMALL[bound])
    try:
        yield
    finally:
        for module, bound, value in before:
            setattr(module, bound, value)
