"""A listener for events, and what the tests of this folder announce."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import TypeVar

from meshbox.core.address import Endpoint
from meshbox.core.ids import NodeId, node_id_of
from meshbox.discovery.announcement import Announcement
from meshbox.discovery.events import Event
from meshbox.discovery.names import MeshName, parse_mesh

LOOPBACK = ["127.0.0.1"]
WITHIN_S = 10.0

E = TypeVar("E")


class Ears:
    """Takes events and lets a test wait for the one that it expects."""

    def __init__(self) -> None:
        self.heard: list[Event] = []
        self._unclaimed: list[Event] = []
        self._more = asyncio.Event()

    async def on_event(self, event: Event) -> None:
        self.heard.append(event)
        self._unclaimed.append(event)
        self._more.set()

    async def next(self, kind: type[E], is_it: Callable[[E], bool] = lambda _: True) -> E:
        """The first event of a kind that is it and was not returned before."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                for event in self._unclaimed:
                    if isinstance(event, kind) and is_it(event):
                        self._unclaimed.remove(event)
                        return event
                self._more.clear()
                await self._more.wait()


def new_mesh() -> MeshName:
    """A mesh that no other test is in."""
    return parse_mesh(f"t{secrets.token_hex(8)}")


def node(number: int) -> NodeId:
    return node_id_of(bytes([number]) * 32)


def at(port: int, host: str = "0.0.0.0") -> Announcement:
    """HTTP at `port` and sync at the next one."""
    return Announcement(http=Endpoint(host, port), sync=Endpoint(host, port + 1))
