"""/messages: the API of the relay that came before the apps (G0); no shipped app used it."""

from __future__ import annotations

from collections.abc import Iterable

from meshbox.http_api.deposits import decode_blob
from meshbox.http_api.exchange import CREATED, Answer, Exchange, Route
from meshbox.http_api.settings import HttpSettings
from meshbox.mailbox.deposit import check_size
from meshbox.mailbox.mailbox import Mailbox
from meshbox.wire.json_base64 import decoded_bytes_max
from meshbox.wire.json_messages import GET_MESSAGES_BODY, STORE_MESSAGE_BODY, encode_messages


class MessagesApi:
    """The routes of G0."""

    def __init__(self, mailbox: Mailbox, settings: HttpSettings) -> None:
        self._mailbox = mailbox
        self._ids = settings.ids

    def routes(self) -> Iterable[Route]:
        """What G0 serves."""
        return (
            Route("POST", "/messages/store", self._store),
            Route("POST", "/messages/get", self._get),
        )

    async def _store(self, exchange: Exchange) -> Answer:
        message = STORE_MESSAGE_BODY.decode(await exchange.json_body())
        self._ids.check(message.topic_id)
        check_size(decoded_bytes_max(message.message))
        data = await decode_blob(message.message)
        await self._mailbox.deposit_message(message.topic_id, data, client=exchange.client)
        return CREATED

    async def _get(self, exchange: Exchange) -> Answer:
        topics = list(dict.fromkeys(GET_MESSAGES_BODY.decode(await exchange.json_body()).topic_ids))
        for topic in topics:
            self._ids.check(topic)
        page = await self._mailbox.plan_messages(topics, bytes_max=exchange.page_bytes_max())
        await exchange.lend_answer(page.bytes_bound)
        return Answer(200, encode_messages(await self._mailbox.read_messages(page)))
