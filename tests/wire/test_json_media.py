"""The shapes around the mailbox."""

from __future__ import annotations

import json

from meshbox.core.ids import node_id_of, node_key_of
from meshbox.wire.json_media import NOTHING_STORED, encode_health

NODE_ID = node_id_of(bytes(range(200, 232)))


def test_health_has_the_key_in_both_spellings_and_no_addresses() -> None:
    body = json.loads(encode_health(NODE_ID))
    assert body == {
        "status": "ok",
        "endpoint_id": NODE_ID,
        "endpoint_addr": {"id": node_key_of(NODE_ID).hex(), "addrs": []},
    }
    assert body["endpoint_addr"]["id"] == body["endpoint_addr"]["id"].lower()


def test_nothing_is_claimed_to_be_stored() -> None:
    assert json.loads(NOTHING_STORED) == {"already_stored": []}
