"""What a group of deposits touches, read in few multi-gets before it is planned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from meshbox.core.ids import LogKey
from meshbox.core.inventory import LogRecord
from meshbox.core.room import FirstToGo, metadata_bytes
from meshbox.storage.embedded.database import Database
from meshbox.storage.embedded.planning import Known, PreparedDeposit
from meshbox.storage.embedded.trial import Place


def load(database: Database, deposits: Sequence[PreparedDeposit], *, due_through: int) -> Known:
    """All that a `GroupPlan` of `deposits` may look at. `StoreFailed` for a damaged log or blob."""
    keys = list(dict.fromkeys(blob.key for deposit in deposits for blob in deposit.blobs))
    records = dict(zip(keys, database.records(keys), strict=True))
    blobs = [blob for deposit in deposits for blob in deposit.blobs if blob.header.chunked]
    peers = dict.fromkeys(c.peer for deposit in deposits for c in deposit.cursors)
    peers.update((r.peer, None) for deposit in deposits for r in deposit.refills)
    return Known(
        records,
        database.held(_met(deposits, records, due_through)),
        database.chunked((blob.blob_key, blob.header.content_hash) for blob in blobs),
        database.peers(peers),
        database.peer_order.returned_at,
    )


def newcomers(
    database: Database, deposits: Sequence[PreparedDeposit], first: FirstToGo | None
) -> Counter[int]:
    """Bucket → the footprint of what would come into it: all that is not held already, and would
    not go before what goes `first`."""
    blobs = [
        blob
        for deposit in deposits
        for blob in deposit.blobs
        if first is None or not first.is_preceded_by(blob.bucket, blob.key, blob.seq)
    ]
    keys = list(dict.fromkeys(blob.key for blob in blobs))
    records = dict(zip(keys, database.records(keys), strict=True))
    incoming: Counter[int] = Counter()
    new_logs = {blob.key: blob for blob in blobs if records[blob.key] is None}
    for blob in new_logs.values():
        incoming[blob.bucket] += metadata_bytes(LogRecord(blob.log, 0))
    for blob in blobs:
        record = records[blob.key]
        run = record.run_of(blob.seq) if record is not None else None
        if run is None or run.blob_class < blob.header.blob_class:
            incoming[blob.bucket] += blob.footprint_bytes
    return incoming


def _met(
    deposits: Sequence[PreparedDeposit],
    records: Mapping[LogKey, LogRecord | None],
    due_through: int,
) -> Iterator[tuple[Place, int]]:
    """Where a blob is held already, with its bucket; what is due counts as not held."""
    for deposit in deposits:
        for blob in deposit.blobs:
            record = records[blob.key]
            run = record.run_of(blob.seq) if record is not None else None
            if run is not None and run.bucket > due_through:
                yield (blob.key, blob.seq), run.bucket
