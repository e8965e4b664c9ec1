"""What the story needs of the nodes, however they are run."""

from __future__ import annotations

from typing import Any, Protocol

NAMES = ("north", "east", "south")


class Mesh(Protocol):
    """Three nodes. Every method ends in bounded time and raises `DemoFailed` when it cannot."""

    kind: str
    """What one node is, for the reader: "process"."""

    preparing: str
    """What `start` does, for the reader who waits for it."""

    remains: str
    """What is left when all was ended, for the reader."""

    def start(self) -> dict[str, float]:
        """Starts all and waits until each is ready; the milliseconds that each took."""

    def http(self, name: str) -> str:
        """HOST:PORT where a running node serves the apps."""

    def node_id(self, name: str) -> str:
        """The id that a running node says it has."""

    def status(self, name: str) -> dict[str, Any]:
        """The document of `meshbox status`."""

    def inventory(self, name: str) -> dict[str, Any]:
        """The document of `meshbox inventory`."""

    def kill(self, name: str) -> None:
        """Ends a node as a power cut would: SIGKILL. It is dead on return."""

    def start_again(self, name: str) -> float:
        """Starts a killed node on its folder; the milliseconds until it was ready."""

    def stop(self) -> dict[str, int]:
        """Asks all to end (SIGTERM) and waits; their exit statuses."""

    def log(self, name: str) -> list[str]:
        """The last lines that a node logged."""

    def end(self) -> None:
        """Ends what is left of all nodes, in whatever state; never raises `DemoFailed`."""
