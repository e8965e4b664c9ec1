"""/health: that this is a mailbox, and which. The apps keep the id per address, and what they have
sent per id. 503 once the node is about to stop, for whoever sends clients to several mailboxes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from meshbox.core.errors import NodeStopping
from meshbox.core.ids import NodeId
from meshbox.http_api.exchange import Answer, Exchange, Route
from meshbox.wire.json_media import encode_health


class HealthApi:
    """The one route that every generation has."""

    def __init__(self, node_id: NodeId, *, is_draining: Callable[[], bool]) -> None:
        self._is_draining = is_draining
        self._answer = Answer(200, encode_health(node_id))

    def routes(self) -> Iterable[Route]:
        """What is always served."""
        return (Route("GET", "/health", self._health),)

    async def _health(self, exchange: Exchange) -> Answer:
        del exchange
        if self._is_draining():
            raise NodeStopping("the node stops")
        return self._answer
