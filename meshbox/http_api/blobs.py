"""/blobs: the API of the apps from January 2026 to 0.18 (G1).

0.19 announced its media under the name of the store route; which of the two a body is, its
members tell.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from meshbox.core.errors import BodyInvalid
from meshbox.http_api.exchange import CREATED, Answer, Exchange, Route
from meshbox.http_api.numbered import NumberedLogs
from meshbox.http_api.settings import HttpSettings
from meshbox.mailbox.mailbox import Mailbox
from meshbox.wire.json_logs import BLOBS, STORE_BODY
from meshbox.wire.json_media import NOTHING_STORED


class BlobsApi:
    """The routes of G1."""

    def __init__(self, mailbox: Mailbox, settings: HttpSettings) -> None:
        self._logs = NumberedLogs(mailbox, ids=settings.ids, dialect=BLOBS)

    def routes(self) -> Iterable[Route]:
        """What G1 serves."""
        return (
            Route("POST", "/blobs/store", self._store),
            Route("POST", "/blobs/get", self._logs.get),
        )

    async def _store(self, exchange: Exchange) -> Answer:
        body = STORE_BODY.decode(await exchange.json_body())
        if body.blob_hashes is not msgspec.UNSET:
            return Answer(200, NOTHING_STORED)
        if body.blobs is msgspec.UNSET:
            raise BodyInvalid("the JSON body has neither `blobs` nor `blob_hashes`")
        await self._logs.store(exchange, body.blobs)
        return CREATED
