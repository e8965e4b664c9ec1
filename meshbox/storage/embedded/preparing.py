"""A deposit made ready for the planner: each blob with its header, and large ones without data."""

from __future__ import annotations

from meshbox.core.ids import LogKey
from meshbox.core.limits import BLOB_CHUNK_BYTES
from meshbox.core.retention import bucket_of, bucket_start_ms
from meshbox.storage.embedded.headers import Header
from meshbox.storage.embedded.notes import put_note
from meshbox.storage.embedded.planning import PreparedDeposit
from meshbox.storage.embedded.trial import PreparedBlob
from meshbox.storage.examining import examine
from meshbox.storage.interface import Deposit, NewBlob


async def prepare(deposit: Deposit, *, now_ms: int) -> PreparedDeposit:
    """Examines and hashes every blob; what `examine` raises."""
    blobs = await examine(deposit, _prepared, now_ms=now_ms)
    return PreparedDeposit(
        blobs,
        deposit.cursors,
        deposit.refills,
        tuple(put_note(note, bucket=bucket_of(now_ms)) for note in deposit.notes),
        deposit.whole,
        sum(len(blob.data) for blob in blobs),
        now_ms,
    )


def planned_at(deposit: PreparedDeposit, now_ms: int) -> PreparedDeposit:
    """The deposit as it is planned at `now_ms`: what a client stores is as old as when it came.

    A machine that slept between would else acknowledge what is due at once, or soon. What a peer
    sent goes on ageing, and within a bucket nothing changes when it is due. Chunks of a large blob
    lie under its bucket, and have to be written anew.
    """
    if not deposit.whole or bucket_of(now_ms) == bucket_of(deposit.prepared_ms):
        return deposit
    waited_ms = now_ms - deposit.prepared_ms
    blobs = tuple(_younger(blob, waited_ms) for blob in deposit.blobs)
    return deposit._replace(blobs=blobs, prepared_ms=now_ms)


def _younger(blob: PreparedBlob, span_ms: int) -> PreparedBlob:
    stamp_ms = bucket_start_ms(blob.bucket) + blob.header.offset_ms + span_ms
    bucket = bucket_of(stamp_ms)
    header = blob.header._replace(offset_ms=stamp_ms - bucket_start_ms(bucket))
    return blob._replace(bucket=bucket, header=header)


def _prepared(blob: NewBlob, key: LogKey, content_hash: bytes, stamp_ms: int) -> PreparedBlob:
    size_bytes = len(blob.data)
    bucket = bucket_of(stamp_ms)
    chunked = size_bytes > BLOB_CHUNK_BYTES
    header = Header(
        chunked,
        blob.blob_class,
        stamp_ms - bucket_start_ms(bucket),
        blob.earlier_ms,
        size_bytes,
        blob.origin,
        content_hash,
    )
    return PreparedBlob(blob.log, key, blob.seq, bucket, header, b"" if chunked else blob.data)
