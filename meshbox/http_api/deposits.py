"""From the blobs of a store request to what the mailbox takes, without holding the loop.

Limits before work: counts and sizes are known before the first blob is decoded.
"""

from __future__ import annotations

import asyncio
import io

import msgspec

from meshbox.http_api.settings import IdRule
from meshbox.mailbox.deposit import ClientBlob, check_counts, check_size
from meshbox.wire.json_base64 import SLICE_CHARACTERS, decode_slices, decoded_bytes_max
from meshbox.wire.json_logs import BlobTree, Dialect, blobs_of, count_blobs, unwrapped


async def client_blobs(tree: BlobTree, *, ids: IdRule, dialect: Dialect) -> list[ClientBlob]:
    """The blobs of `tree`, decoded; others get their turn after each MiB.

    Raises `TooLarge`, `InvalidId`, `BodyInvalid`, `BodyMalformed`.
    """
    counts = count_blobs(tree)
    check_counts(topics=counts.topics, logs=counts.logs, blobs=counts.blobs)
    ids.check_all(tree)
    blobs: list[ClientBlob] = []
    decoded = 0
    for topic, author, seq, raw in blobs_of(tree):
        text = unwrapped(raw) if dialect.has_scrub_hashes else raw
        check_size(decoded_bytes_max(text))
        blobs.append(ClientBlob(topic, author, seq, await decode_blob(text)))
        decoded += len(text)
        if decoded >= SLICE_CHARACTERS:
            decoded = 0
            await asyncio.sleep(0)
    return blobs


async def decode_blob(text: msgspec.Raw) -> bytes:
    """The bytes of one blob; `BodyInvalid`."""
    slices = decode_slices(text)
    if len(text) <= SLICE_CHARACTERS:
        return b"".join(slices)
    whole = io.BytesIO()
    for data in slices:
        whole.write(data)
        await asyncio.sleep(0)
    return whole.getvalue()
