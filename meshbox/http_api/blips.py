"""/blips: the API of the apps from 0.19 on (G3).

A store is answered with the watermarks of its logs, always: 0.20 fails without them, 0.19 does not
look at them. Status 201 suits both.
"""

from __future__ import annotations

from collections.abc import Iterable

from meshbox.http_api.exchange import Answer, Exchange, Route
from meshbox.http_api.numbered import NumberedLogs
from meshbox.http_api.settings import HttpSettings
from meshbox.mailbox.mailbox import Mailbox
from meshbox.wire.json_logs import BLIPS, STORE_BLIPS_BODY, encode_watermarks


class BlipsApi:
    """The routes of G3 that carry text."""

    def __init__(self, mailbox: Mailbox, settings: HttpSettings) -> None:
        self._logs = NumberedLogs(mailbox, ids=settings.ids, dialect=BLIPS)

    def routes(self) -> Iterable[Route]:
        """What G3 serves of text."""
        return (
            Route("POST", "/blips/store", self._store),
            Route("POST", "/blips/get", self._logs.get),
        )

    async def _store(self, exchange: Exchange) -> Answer:
        tree = STORE_BLIPS_BODY.decode(await exchange.json_body()).blips
        by_topic: dict[str, dict[str, int | None]] = {}
        watermarks = await self._logs.store(exchange, tree)
        for (topic, author), watermark in watermarks.items():
            by_topic.setdefault(topic, {})[author] = watermark
        return Answer(201, encode_watermarks(by_topic))
