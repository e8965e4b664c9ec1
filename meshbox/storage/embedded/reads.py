"""Blobs read by exact keys: what the records list, so nothing is sought."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

from meshbox.core.errors import StoreDamaged
from meshbox.core.ids import LogId
from meshbox.core.inventory import Run
from meshbox.core.limits import BLOB_CHUNK_BYTES
from meshbox.core.ranges import SeqRanges
from meshbox.core.retention import bucket_of, bucket_start_ms
from meshbox.storage.embedded.database import Database
from meshbox.storage.embedded.headers import HEADER_BYTES, decode_header
from meshbox.storage.embedded.schema import blob_key, chunk_key
from meshbox.storage.interface import BlobPage, StoredBlob
from meshbox.storage.keyvalue import Family

_FETCH_BYTES_MAX: Final = 256 * 1024
"""Bytes of one multi-get, by what the runs say: so much may be read in vain for a full page."""
_FETCH_BLOBS_MAX: Final = 256
"""Blobs of one multi-get."""


class _Candidate(NamedTuple):
    """A blob that a record lists."""

    log: LogId
    seq: int
    bucket: int
    entry: bytes
    """Its key in the database."""
    size_guess_bytes: int


class Bounds(NamedTuple):
    """How much one page may hold."""

    blobs_max: int
    bytes_max: int
    whole_bytes_max: int


async def read_page(
    database: Database, wanted: Sequence[tuple[LogId, SeqRanges]], bounds: Bounds
) -> BlobPage:
    """One page, as `MailboxStore.read`. All headers are of one moment.

    Chunks of large blobs are fetched after it, a turn of the loop each; where they were removed
    meanwhile, the page is read again.
    """
    while True:
        page = _read_headers(database, wanted, bounds)
        whole = await _with_chunks(database, page, bounds)
        if whole is not None:
            return whole


async def read_part(
    database: Database, blob: StoredBlob, *, offset: int, size: int
) -> bytes | None:
    """A part of a blob, as `MailboxStore.read_part`."""
    bucket = bucket_of(blob.stamp_ms)
    if bucket <= database.time.due_through():
        return None
    key = blob_key(bucket, blob.log.key, blob.seq)
    value = database.key_value.get_many(Family.BLOB, [key])[0]
    if value is None:
        return None
    header = decode_header(value)
    if header.content_hash != blob.content_hash or header.blob_class != blob.blob_class:
        return None
    end = min(offset + size, header.size_bytes)
    if not header.chunked:
        return value[HEADER_BYTES + offset : HEADER_BYTES + max(end, offset)]
    first, last = offset // BLOB_CHUNK_BYTES, -(-end // BLOB_CHUNK_BYTES)
    chunks = await _chunks(database, key, header.content_hash, range(first, last))
    if chunks is None:
        return None
    skipped = first * BLOB_CHUNK_BYTES
    return b"".join(chunks)[offset - skipped : max(end, offset) - skipped]


def _read_headers(
    database: Database, wanted: Sequence[tuple[LogId, SeqRanges]], bounds: Bounds
) -> BlobPage:
    blobs: list[StoredBlob] = []
    room_bytes = bounds.bytes_max
    candidates = _candidates(database, wanted)
    while len(blobs) < bounds.blobs_max:
        fetch = _fetch(candidates, bounds, blobs_max=bounds.blobs_max - len(blobs))
        for blob in _blobs_at(database, fetch, bounds.whole_bytes_max):
            counted_bytes = 0 if blob.data is None else blob.size_bytes
            if blobs and counted_bytes > room_bytes:
                return BlobPage(tuple(blobs), more=True)
            blobs.append(blob)
            room_bytes -= counted_bytes
        if not fetch:
            return BlobPage(tuple(blobs), more=False)
    return BlobPage(tuple(blobs), more=next(candidates, None) is not None)


def _fetch(candidates: Iterator[_Candidate], bounds: Bounds, *, blobs_max: int) -> list[_Candidate]:
    """The next candidates for one multi-get, by what the runs say of their size."""
    fetch: list[_Candidate] = []
    size_bytes = 0
    for candidate in islice(candidates, min(blobs_max, _FETCH_BLOBS_MAX)):
        fetch.append(candidate)
        size_bytes += min(candidate.size_guess_bytes, bounds.whole_bytes_max)
        if size_bytes >= _FETCH_BYTES_MAX:
            break
    return fetch


def _candidates(
    database: Database, wanted: Sequence[tuple[LogId, SeqRanges]]
) -> Iterator[_Candidate]:
    """What is held and not due among `wanted`, in its order."""
    due_through = database.time.due_through()
    keys = [log.key for log, _ in wanted]
    for (log, ranges), key, record in zip(wanted, keys, database.records(keys), strict=True):
        if record is None:
            continue
        for run, first, end in _parts(record.runs, ranges):
            if run.bucket <= due_through:
                continue
            guess_bytes = run.bytes // (run.end - run.first)
            for seq in range(first, end):
                entry = blob_key(run.bucket, key, seq)
                yield _Candidate(log, seq, run.bucket, entry, guess_bytes)


def _parts(runs: Sequence[Run], ranges: SeqRanges) -> Iterator[tuple[Run, int, int]]:
    """Where runs and wanted ranges overlap, by walking both once."""
    pairs = ranges.pairs
    i = j = 0
    while i < len(runs) and j < len(pairs):
        first = max(runs[i].first, pairs[j][0])
        end = min(runs[i].end, pairs[j][1])
        if first < end:
            yield runs[i], first, end
        if runs[i].end < pairs[j][1]:
            i += 1
        else:
            j += 1


def _blobs_at(
    database: Database, fetch: Sequence[_Candidate], whole_bytes_max: int
) -> Sequence[StoredBlob]:
    """The blobs, in order, also one asked for twice; one multi-get for those not remembered. A
    chunked one has no data yet, b'', and one larger than `whole_bytes_max` gets none."""
    remembered = database.caches.blobs
    found = {candidate.entry: remembered.get(candidate.entry) for candidate in fetch}
    missing = [
        candidate
        for candidate in fetch
        if (blob := found[candidate.entry]) is None or blob.size_bytes > whole_bytes_max
    ]
    if missing:
        values = database.key_value.get_many(Family.BLOB, [c.entry for c in missing])
        for candidate, value in zip(missing, values, strict=True):
            if value is None:
                raise StoreDamaged("a blob that the database should hold is not there")
            blob = _stored(candidate, value, whole_bytes_max)
            found[candidate.entry] = blob
            database.caches.remember_blob(candidate.entry, blob)
    blobs = (found[candidate.entry] for candidate in fetch)
    return [blob for blob in blobs if blob is not None]


def _stored(candidate: _Candidate, value: bytes, whole_bytes_max: int) -> StoredBlob:
    header = decode_header(value)
    return StoredBlob(
        candidate.log,
        candidate.seq,
        header.blob_class,
        bucket_start_ms(candidate.bucket) + header.offset_ms,
        header.origin,
        header.content_hash,
        header.size_bytes,
        value[HEADER_BYTES:] if header.size_bytes <= whole_bytes_max else None,
        header.earlier_ms,
    )


async def _with_chunks(database: Database, page: BlobPage, bounds: Bounds) -> BlobPage | None:
    """The page with the data of its large blobs; None when one was removed meanwhile."""
    if bounds.whole_bytes_max <= BLOB_CHUNK_BYTES:
        return page
    blobs = list(page.blobs)
    for at, blob in enumerate(blobs):
        if blob.data is not None and blob.size_bytes > BLOB_CHUNK_BYTES:
            key = blob_key(bucket_of(blob.stamp_ms), blob.log.key, blob.seq)
            count = -(-blob.size_bytes // BLOB_CHUNK_BYTES)
            chunks = await _chunks(database, key, blob.content_hash, range(count))
            if chunks is None:
                return None
            blobs[at] = blob._replace(data=b"".join(chunks))
    return BlobPage(tuple(blobs), page.more)


async def _chunks(
    database: Database, key: bytes, content_hash: bytes, indices: range
) -> list[bytes] | None:
    """Some chunks of a blob, a turn of the loop each; None when the blob was removed."""
    chunks: list[bytes] = []
    for index in indices:
        if chunks:
            await asyncio.sleep(0)
        header, chunk = database.key_value.get_many(
            Family.BLOB, [key, chunk_key(key, content_hash, index)]
        )
        if header is None or decode_header(header).content_hash != content_hash:
            return None
        if chunk is None:
            raise StoreDamaged("a part of a blob that the database should hold is not there")
        chunks.append(chunk)
    return chunks
