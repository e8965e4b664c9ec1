"""Store requests become blobs: limits first, and the loop is never held for long."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import msgspec
import pytest

from meshbox.core.errors import BodyInvalid, InvalidId, TooLarge
from meshbox.core.limits import BLOB_BYTES_MAX, MIB, REQUEST_BLOBS_MAX
from meshbox.http_api.deposits import client_blobs, decode_blob
from meshbox.http_api.settings import IdRule
from meshbox.mailbox.deposit import ClientBlob
from meshbox.wire.json_logs import BLIPS, BLOBS, STORE_BLIPS_BODY, BlobTree


def tree_of(document: Any) -> BlobTree:
    return STORE_BLIPS_BODY.decode(json.dumps({"blips": document}).encode()).blips


async def test_blobs_are_decoded_in_order() -> None:
    tree = tree_of({"t": {"a": {"1": "eA==", "0": {"blip": "aGk="}}}, "u": {"b": {"5": ""}}})
    assert await client_blobs(tree, ids=IdRule.ANY, dialect=BLIPS) == [
        ClientBlob("t", "a", 1, b"x"),
        ClientBlob("t", "a", 0, b"hi"),
        ClientBlob("u", "b", 5, b""),
    ]
    with pytest.raises(BodyInvalid):
        await client_blobs(tree, ids=IdRule.ANY, dialect=BLOBS)


async def test_limits_come_before_decoding() -> None:
    """The blobs here are no base64, so that decoding any of them would be another fault."""
    many = tree_of({"t": {"a": dict.fromkeys(map(str, range(REQUEST_BLOBS_MAX + 1)), "!")}})
    with pytest.raises(TooLarge, match="blobs"):
        await client_blobs(many, ids=IdRule.ANY, dialect=BLIPS)
    with pytest.raises(InvalidId):
        await client_blobs(tree_of({"t": {"a": {"0": "!"}}}), ids=IdRule.HEX64, dialect=BLIPS)
    large = tree_of({"t": {"a": {"0": "!" * (BLOB_BYTES_MAX // 3 * 4 + 4)}}})
    with pytest.raises(TooLarge, match="bytes"):
        await client_blobs(large, ids=IdRule.ANY, dialect=BLIPS)


async def turns_during(work: Any) -> tuple[Any, int]:
    """What `work` returns, and how many turns of the loop others got meanwhile."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    running = asyncio.create_task(others())
    result = await work
    running.cancel()
    return result, turns


async def test_others_get_their_turn_while_a_large_blob_is_decoded() -> None:
    data = bytes(range(256)) * (8 * MIB // 256)
    text = msgspec.json.decode(b'"' + base64.b64encode(data) + b'"', type=msgspec.Raw)
    decoded, turns = await turns_during(decode_blob(text))
    assert decoded == data
    assert turns >= 8


async def test_others_get_their_turn_while_many_blobs_are_decoded() -> None:
    blob = base64.b64encode(bytes(60_000)).decode()
    tree = tree_of({"t": {"a": {str(n): blob for n in range(100)}}})
    blobs, turns = await turns_during(client_blobs(tree, ids=IdRule.ANY, dialect=BLIPS))
    assert len(blobs) == 100
    assert turns >= 6
