"""Which release this is. A test keeps it equal to what the package is called."""

from __future__ import annotations

from typing import Final

VERSION: Final = "0.2.0"
"""The version of the package, as in pyproject.toml; here because reading metadata takes 20 ms."""
