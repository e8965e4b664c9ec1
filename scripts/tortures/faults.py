"""What goes wrong with a campaign itself."""

from __future__ import annotations


class TortureFailed(Exception):
    """It could not be carried out: what it would have said is not known."""
