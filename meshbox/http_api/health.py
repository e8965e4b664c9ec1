"""/health: that this is a mailbox, and which. The apps keep the id per address, and what they have
sent per id."""

from __future__ import annotations

from collections.abc import Iterable

from meshbox.core.ids import NodeId
from meshbox.http_api.exchange import Answer, Exchange, Route
from meshbox.wire.json_media import encode_health


class HealthApi:
    """The one route that every generation has."""

    def __init__(self, node_id: NodeId) -> None:
        self._answer = Answer(200, encode_health(node_id))

    def routes(self) -> Iterable[Route]:
        """What is always served."""
        return (Route("GET", "/health", self._health),)

    async def _health(self, exchange: Exchange) -> Answer:
        del exchange
        return self._answer
