"""What the command line of `scripts/bench` chooses; what is None each benchmark decides itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """Of one benchmark."""

    folder: Path
    """Where the folders of nodes are made, and removed again."""
    runs: int = 3
    seconds: float | None = None
    """Of each measured stretch."""
    blobs: int | None = None
    """How many are there when the measurement begins."""
    nodes: int | None = None
    backlog: int = 0
    """Blobs that all but one node lack when `propagation` begins."""
    dialect: str = "blips"
    baseline: str = "rocksdb"
    seed: int = 1
