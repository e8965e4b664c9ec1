"""The shapes of /messages."""

from __future__ import annotations

import pytest

from meshbox.core.errors import BodyInvalid
from meshbox.wire.json_messages import GET_MESSAGES_BODY, STORE_MESSAGE_BODY, encode_messages


def test_requests_are_read() -> None:
    stored = STORE_MESSAGE_BODY.decode(b'{"topic_id":"t","message":"aGk="}')
    assert (stored.topic_id, bytes(stored.message)) == ("t", b'"aGk="')
    assert GET_MESSAGES_BODY.decode(b'{"topic_ids":["t","t"]}').topic_ids == ["t", "t"]


@pytest.mark.parametrize(
    "body", [b'{"topic_id":"t"}', b'{"message":""}', b'{"topic_id":1,"message":""}']
)
def test_a_store_without_a_topic_or_message_is_invalid(body: bytes) -> None:
    with pytest.raises(BodyInvalid):
        STORE_MESSAGE_BODY.decode(body)


def test_an_answer_has_topics_in_order_and_messages_as_given() -> None:
    body = encode_messages({"u": [], "t": [b"b", b"a"]})
    assert body == b'{"messages":{"t":["Yg==","YQ=="],"u":[]}}'
