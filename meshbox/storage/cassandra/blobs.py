"""Blobs in their partitions: written, and read back in the order and to the bounds that were asked.

A blob lies at (log, bucket, slice of its number); what the log's record lists says where. Above
`INLINE_BYTES_MAX` its bytes are in chunks of their own, under the hash of the whole: they are
written before, and only the row of the blob makes it exist.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from meshbox.core.ids import BlobClass, LogId, LogKey, Origin
from meshbox.core.inventory import LogRecord, Run
from meshbox.core.limits import KIB
from meshbox.core.ranges import SeqRanges
from meshbox.core.retention import bucket_of
from meshbox.storage.cassandra.connection import Connection, Row
from meshbox.storage.cassandra.positions import micros_of
from meshbox.storage.cassandra.spans import SLICE_SEQS, Bounds, Span, by_slice, spans_of, take_some
from meshbox.storage.cassandra.statements import Statements
from meshbox.storage.interface import BlobPage, StoredBlob

INLINE_BYTES_MAX: Final = 64 * KIB
"""Bytes of a blob that are in its row."""
CHUNK_BYTES: Final = 512 * KIB
"""Bytes of a chunk: far below what one statement may have (8 MiB)."""
PART_CHUNKS: Final = 16
"""Chunks of a partition: 8 MiB."""
BATCH_BYTES_MAX: Final = 32 * KIB
"""Bytes of a batch: servers refuse 50 KiB by default. A larger row goes alone."""
_SIGNED: Final = 2**63
"""Numbers are unsigned, and Cassandra's are not: so much less, they have the same order."""


class PreparedBlob(NamedTuple):
    """A blob of a deposit, with what is computed once."""

    log: LogId
    key: LogKey
    seq: int
    bucket: int
    blob_class: BlobClass
    stamp_ms: int
    earlier_ms: int
    origin: Origin
    content_hash: bytes
    size_bytes: int
    data: bytes

    @property
    def chunked(self) -> bool:
        """Whether its bytes are in chunks."""
        return self.size_bytes > INLINE_BYTES_MAX


class Blobs:
    """The tables `blob` and `chunk`."""

    def __init__(self, connection: Connection, statements: Statements, *, writer: bytes) -> None:
        self._connection = connection
        self._statements = statements
        self._writer = writer

    async def write(self, blobs: Iterable[tuple[PreparedBlob, int, int]]) -> None:
        """Writes rows: blob, its position, its seconds to live; batches by partition."""
        sent = []
        batch: list[tuple[Any, Sequence[Any]]] = []
        batch_bytes, batch_partition = 0, None
        for blob, arrived, ttl_s in blobs:
            partition = (blob.key, blob.bucket, blob.seq // SLICE_SEQS)
            row_bytes = 256 + (0 if blob.chunked else blob.size_bytes)
            if batch and (
                partition != batch_partition or batch_bytes + row_bytes > BATCH_BYTES_MAX
            ):
                sent.append(self._connection.batch(batch))
                batch, batch_bytes = [], 0
            batch.append((self._statements.write_blob, self._values(blob, arrived, ttl_s)))
            batch_bytes, batch_partition = batch_bytes + row_bytes, partition
        if batch:
            sent.append(self._connection.batch(batch))
        await asyncio.gather(*sent)

    async def write_chunks(self, blob: PreparedBlob, *, ttl_s: int) -> None:
        """Writes the bytes of a large blob, a turn of the loop each chunk."""
        for number in range(_chunk_count(blob.size_bytes)):
            data = blob.data[number * CHUNK_BYTES : (number + 1) * CHUNK_BYTES]
            place = (blob.key, blob.seq - _SIGNED, blob.content_hash, number // PART_CHUNKS, number)
            await self._connection.execute(self._statements.write_chunk, *place, data, ttl_s)

    async def drop(self, key: LogKey, gone: Iterable[Run], *, position: int) -> None:
        """Removes what was written up to a position, of runs that were pushed out of a log."""
        statement = self._statements.drop_blobs
        await asyncio.gather(
            *(
                self._connection.execute(
                    statement,
                    micros_of(position),
                    key,
                    run.bucket,
                    first // SLICE_SEQS,
                    first - _SIGNED,
                    end - 1 - _SIGNED,
                )
                for run in gone
                for first, end in by_slice(run.first, run.end)
            )
        )

    async def header(self, log: LogId, bucket: int, seq: int) -> StoredBlob | None:
        """A blob without its data; None when it is not there."""
        span = Span(log, bucket, SeqRanges.single(seq), 0)
        found = await self._read_span(span, with_data=False)
        return found[0] if found else None

    async def page(self, wanted: Iterable[tuple[LogRecord, SeqRanges]], bounds: Bounds) -> BlobPage:
        """What is held of records (none of it due), in their order, to the bounds."""
        blobs: list[StoredBlob] = []
        left_bytes = bounds.bytes_max
        spans = spans_of(wanted)
        while True:
            some, spans = take_some(spans, bounds, blobs_max=bounds.blobs_max - len(blobs) + 1)
            if not some:
                return BlobPage(await self._whole(blobs, bounds), more=False)
            found = await asyncio.gather(
                *(self._read_span(span, with_data=bounds.whole_bytes_max > 0) for span in some)
            )
            for blob in (blob for part in found for blob in part):
                is_whole = blob.size_bytes <= bounds.whole_bytes_max
                counted_bytes = blob.size_bytes if is_whole else 0
                full = len(blobs) == bounds.blobs_max or counted_bytes > left_bytes
                if blobs and full:
                    return BlobPage(await self._whole(blobs, bounds), more=True)
                blobs.append(blob if is_whole else blob._replace(data=None))
                left_bytes -= counted_bytes

    async def part(self, blob: StoredBlob, *, offset: int, size: int) -> bytes | None:
        """`size` bytes of a blob from `offset`; None when another, or none, is there."""
        span = Span(blob.log, bucket_of(blob.stamp_ms), SeqRanges.single(blob.seq), 0)
        rows = await self._read_span(span, with_data=blob.size_bytes <= INLINE_BYTES_MAX)
        now = rows[0] if rows else None
        if now is None or (now.content_hash, now.blob_class) != (
            blob.content_hash,
            blob.blob_class,
        ):
            return None
        end = max(min(offset + size, now.size_bytes), offset)
        if end == offset:
            return b""
        if now.size_bytes <= INLINE_BYTES_MAX:
            return (now.data or b"")[offset:end]
        first = offset // CHUNK_BYTES
        data = await self._chunks(now, range(first, -(-end // CHUNK_BYTES)))
        return None if data is None else data[offset - first * CHUNK_BYTES :][: end - offset]

    async def _whole(self, blobs: Sequence[StoredBlob], bounds: Bounds) -> tuple[StoredBlob, ...]:
        """With the bytes of large ones; one whose bytes are gone is left out."""
        whole: list[StoredBlob] = []
        for blob in blobs:
            if INLINE_BYTES_MAX < blob.size_bytes <= bounds.whole_bytes_max:
                data = await self._chunks(blob, range(_chunk_count(blob.size_bytes)))
                if data is not None:
                    whole.append(blob._replace(data=data))
            elif not blob.size_bytes:
                whole.append(blob._replace(data=b""))
            else:
                whole.append(blob)
        return tuple(whole)

    async def _chunks(self, blob: StoredBlob, numbers: range) -> bytes | None:
        place = (blob.log.key, blob.seq - _SIGNED, blob.content_hash)
        read = self._statements.read_chunk
        found = []
        for at in range(numbers.start, numbers.stop, PART_CHUNKS):
            found += await asyncio.gather(
                *(
                    self._connection.execute(read, *place, number // PART_CHUNKS, number)
                    for number in range(at, min(at + PART_CHUNKS, numbers.stop))
                )
            )
        if not all(found):
            return None
        return b"".join(rows[0][0] for rows in found)

    async def _read_span(self, span: Span, *, with_data: bool) -> list[StoredBlob]:
        statements = self._statements
        statement = statements.read_blobs if with_data else statements.read_headers
        rows = await self._connection.execute(
            statement,
            span.log.key,
            span.bucket,
            span.slice,
            span.seqs.pairs[0][0] - _SIGNED,
            span.seqs.pairs[-1][1] - 1 - _SIGNED,
        )
        found = [_stored(span.log, row) for row in rows]
        return [blob for blob in found if blob.seq in span.seqs]

    def _values(self, blob: PreparedBlob, arrived: int, ttl_s: int) -> tuple[Any, ...]:
        return (
            blob.key,
            blob.bucket,
            blob.seq // SLICE_SEQS,
            blob.seq - _SIGNED,
            int(blob.blob_class),
            arrived,
            self._writer,
            blob.stamp_ms,
            blob.earlier_ms,
            blob.origin.node,
            blob.origin.tag,
            blob.content_hash,
            blob.size_bytes,
            None if blob.chunked else blob.data,
            ttl_s,
            micros_of(arrived),
        )


def _chunk_count(size_bytes: int) -> int:
    return -(-size_bytes // CHUNK_BYTES)


def _stored(log: LogId, row: Row) -> StoredBlob:
    seq, blob_class, stamp_ms, earlier_ms, node, tag, content_hash, size_bytes, *data = row
    return StoredBlob(
        log,
        seq + _SIGNED,
        BlobClass(blob_class),
        stamp_ms,
        Origin(node, tag),
        content_hash,
        size_bytes,
        data[0] if data else None,
        earlier_ms,
    )
