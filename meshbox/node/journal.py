"""What the parts of a node tell: events for the log, and a warning in its status while it lasts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from meshbox.mailbox.system_clock import TEST_CLOCK_VARIABLE
from meshbox.node.log import Log


class Journal:
    """Takes what is told; `warnings` has the text of each that holds, by what it is about."""

    def __init__(self, log: Log, *, wall_ms: Callable[[], int]) -> None:
        """`wall_ms`: the wall clock in ms since 1970."""
        self.warnings: dict[str, str] = {}
        self.failed_ms: int | None = None
        """Since when the store is in trouble, by the wall clock."""
        self._wall_ms = wall_ms
        self._log = log

    def store(self, event: str, **fields: Any) -> None:
        """What the store tells of its database: shown as a warning as long as it is in trouble."""
        if event == "store.failed":
            self.failed_ms = self.failed_ms or self._wall_ms()
            self.warnings["store"] = f"nothing is stored: {fields['detail']}"
            self._log.error(event, **fields)
        elif event == "login.refused":
            self.warnings["login"] = f"the Cassandra takes no new connection: {fields['detail']}"
            self._log.warning(event, **fields)
        elif event == "login.accepted":
            self.warnings.pop("login", None)
            self._log.info(event, **fields)
        else:
            if event != "identity.archived":
                self.failed_ms = None
                self.warnings.pop("store", None)
            self._log.warning(event, **fields)

    def certificate(self, event: str, **fields: Any) -> None:
        """What becomes of the public certificate's files; while they are of no use, a warning."""
        if event == "certificate.failed":
            self.warnings["https"] = f"the former certificate is shown on: {fields['detail']}"
            self._log.warning(event, **fields)
        else:
            self.warnings.pop("https", None)
            self._log.info(event, **fields)

    def peers(self, event: str, **fields: Any) -> None:
        """What `sync` tells: with a traceback it is a defect, else an event as any other."""
        if fields.get("exc_info"):
            self._log.error(event, **fields)
        else:
            self._log.info(event, **fields)

    def settings(self, *, test_clock_in_use: bool, unknown_variables: tuple[str, ...]) -> None:
        """What is odd about how the node was started, which lasts."""
        if test_clock_in_use:
            self._warn("clock", f"{TEST_CLOCK_VARIABLE} moves this node's clocks")
        for name in unknown_variables:
            self._warn(name, f"the variable {name} is no setting and was not looked at")

    def _warn(self, about: str, text: str) -> None:
        self.warnings[about] = text
        self._log.warning("setting.warning", text=text)
