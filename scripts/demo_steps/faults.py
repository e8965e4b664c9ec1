"""The two ways in which a demo ends early."""

from __future__ import annotations

import signal


class DemoFailed(Exception):
    """Something that the demo shows was not seen: a sentence, and the node to look at if any."""

    def __init__(self, reason: str, *, node: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.node = node


class Interrupted(Exception):
    """A signal asked the demo to end."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number

    @property
    def exit_status(self) -> int:
        """What a shell expects: 130 for Ctrl-C."""
        return 128 + self.number
