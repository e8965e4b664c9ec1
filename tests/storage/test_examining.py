"""What every engine is told of a blob before it stores it."""

from __future__ import annotations

import asyncio
import hashlib
from typing import NamedTuple

import pytest

from meshbox.core.errors import TooLarge
from meshbox.core.ids import LogKey
from meshbox.core.limits import BLOB_BYTES_MAX, BLOB_CHUNK_BYTES
from meshbox.storage.examining import examine
from meshbox.storage.interface import Deposit, NewBlob
from tests.contract.material import LOG, OPAQUE, ORIGIN

NOW_MS = 1_000_000


class Examined(NamedTuple):
    blob: NewBlob
    key: LogKey
    content_hash: bytes
    stamp_ms: int


def blob(seq: int, data: bytes = b"data", stamp_ms: int = NOW_MS) -> NewBlob:
    return NewBlob(LOG, seq, OPAQUE, stamp_ms, ORIGIN, data)


async def examined(*blobs: NewBlob) -> tuple[Examined, ...]:
    return await examine(Deposit(blobs), Examined, now_ms=NOW_MS)


async def test_each_blob_comes_with_its_logs_key_and_its_hash() -> None:
    large = bytes(BLOB_CHUNK_BYTES + 1)
    small, other = await examined(blob(3), blob(4, large))
    assert (small.key, small.content_hash) == (
        LOG.key,
        hashlib.blake2b(b"data", digest_size=32).digest(),
    )
    assert (other.key, other.content_hash) == (
        LOG.key,
        hashlib.blake2b(large, digest_size=32).digest(),
    )


@pytest.mark.parametrize(
    ("stamp_ms", "told_ms"), [(-1, 0), (5, 5), (NOW_MS, NOW_MS), (NOW_MS + 1, NOW_MS)]
)
async def test_a_stamp_is_never_ahead_of_node_time(stamp_ms: int, told_ms: int) -> None:
    (told,) = await examined(blob(0, stamp_ms=stamp_ms))
    assert told.stamp_ms == told_ms


async def test_a_deposit_of_less_than_a_mib_waits_for_nothing() -> None:
    ready: list[str] = []

    async def deposit(name: str, *blobs: NewBlob) -> None:
        await examined(*blobs)
        ready.append(name)

    many = [blob(seq) for seq in range(500)]
    await asyncio.gather(deposit("first", *many), deposit("second", blob(0)))
    assert ready == ["first", "second"]


async def test_a_large_blob_lets_others_go_first() -> None:
    ready: list[str] = []

    async def deposit(name: str, data: bytes) -> None:
        await examined(blob(0, data))
        ready.append(name)

    await asyncio.gather(deposit("large", bytes(3 * BLOB_CHUNK_BYTES)), deposit("small", b"x"))
    assert ready == ["small", "large"]


async def test_more_than_a_blob_may_have_is_an_error() -> None:
    with pytest.raises(TooLarge, match=str(BLOB_BYTES_MAX)):
        await examined(blob(0, bytes(BLOB_BYTES_MAX + 1)))
