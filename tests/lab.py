"""Whether a test may have a laboratory of network namespaces (scripts/lines/lab.py)."""

from __future__ import annotations

import os

import pytest

from scripts.lines.lab import unavailable

REQUIRE_ALL = "MESHBOX_TEST_REQUIRE_ALL"


def require_lab() -> None:
    """Skips the test where there can be no lab; fails it with MESHBOX_TEST_REQUIRE_ALL=1."""
    reason = unavailable()
    if reason is None:
        return
    if os.environ.get(REQUIRE_ALL) == "1":
        pytest.fail(f"no network namespaces: {reason}")
    pytest.skip(f"no network namespaces: {reason}")
