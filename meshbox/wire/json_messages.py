"""The JSON shapes of the oldest API, whose messages have no numbers: /messages (G0).

store  {"topic_id": topic, "message": base64}
get    {"topic_ids": [topic]}
got    {"messages": {topic: [base64]}}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from meshbox.wire.json_body import BodyDecoder


class StoreMessageBody(msgspec.Struct):
    """What /messages/store takes."""

    topic_id: str
    message: msgspec.Raw


class GetMessagesBody(msgspec.Struct):
    """What /messages/get takes; a topic named twice counts once."""

    topic_ids: list[str]


STORE_MESSAGE_BODY = BodyDecoder(StoreMessageBody)
GET_MESSAGES_BODY = BodyDecoder(GetMessagesBody)


def encode_messages(messages: Mapping[str, Sequence[bytes]]) -> bytes:
    """The answer to a get request: every requested topic, its messages in the order given."""
    return msgspec.json.encode({"messages": dict(sorted(messages.items()))})
