"""What ends a benchmark without a figure."""

from __future__ import annotations


class BenchFailed(Exception):
    """It could not be measured; the message says why, in one line or with the end of a log."""
