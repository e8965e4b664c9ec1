"""Where tests run their Cassandra, and as whom they use it."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[1] / ".cassandra" / f"tests-{os.getpid()}"
USER: Final = "cassandra"
PASSWORD: Final = "cassandra"


def some_network() -> str:
    """A loopback network that most likely nobody else uses: other worktrees run the same tests."""
    chance = random.SystemRandom()
    return f"127.{chance.randrange(1, 255)}.{chance.randrange(256)}"
