"""A deposit made ready for a round: each blob with its bucket."""

from __future__ import annotations

from meshbox.core.ids import LogKey
from meshbox.core.retention import bucket_of
from meshbox.storage.cassandra.blobs import PreparedBlob
from meshbox.storage.cassandra.writer import PreparedDeposit
from meshbox.storage.examining import examine
from meshbox.storage.interface import Deposit, NewBlob


async def prepare(deposit: Deposit, *, now_ms: int) -> PreparedDeposit:
    """Examines and hashes every blob; what `examine` raises."""
    blobs = await examine(deposit, _prepared, now_ms=now_ms)
    return PreparedDeposit(blobs, deposit.cursors, deposit.refills, deposit.notes, deposit.whole)


def _prepared(blob: NewBlob, key: LogKey, content_hash: bytes, stamp_ms: int) -> PreparedBlob:
    return PreparedBlob(
        blob.log,
        key,
        blob.seq,
        bucket_of(stamp_ms),
        blob.blob_class,
        stamp_ms,
        blob.earlier_ms,
        blob.origin,
        content_hash,
        len(blob.data),
        blob.data,
    )
