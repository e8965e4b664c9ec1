"""What a group of deposits touches, read in few multi-gets before it is planned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from meshbox.core.ids import LogKey
from meshbox.core.inventory import LogRecord
from meshbox.core.room import FirstToGo, metadata_bytes
from meshbox.storage.embedded.database import Database
from meshbox.storage.embedded.planning import Known, PreparedDeposit
from meshbox.storage.embedded.trial import Place, PreparedBlob


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
    database: Database,
    deposits: Sequence[PreparedDeposit],
    first: FirstToGo | None,
    *,
    most_bytes: int,
) -> Counter[int]:
    """Bucket → the footprint of what would come into it: all that is not held already, would not
    go before what goes `first`, and has room within `most_bytes`, which is all that can be had."""
    keys = list(dict.fromkeys(blob.key for deposit in deposits for blob in deposit.blobs))
    records = dict(zip(keys, database.records(keys), strict=True))
    incoming: Counter[int] = Counter()
    counted: set[LogKey] = set()
    for deposit in deposits:
        coming: Counter[int] = Counter()
        logs: set[LogKey] = set()
        for blob in deposit.blobs:
            if first and first.is_preceded_by(blob.bucket, blob.key, blob.seq):
                continue
            is_new = records[blob.key] is None and not (blob.key in counted or blob.key in logs)
            size_bytes = _coming_bytes(blob, records[blob.key], is_new_log=is_new)
            if deposit.whole or size_bytes <= most_bytes:
                coming[blob.bucket] += size_bytes
                logs.add(blob.key)
        if coming.total() <= most_bytes or not deposit.whole:
            incoming += coming
            counted |= logs
    return incoming


def _coming_bytes(blob: PreparedBlob, record: LogRecord | None, *, is_new_log: bool) -> int:
    """The footprint that a blob would add; 0 when one as good is held."""
    run = record.run_of(blob.seq) if record is not None else None
    if run is not None and run.blob_class >= blob.header.blob_class:
        return 0
    log_bytes = metadata_bytes(LogRecord(blob.log, 0)) if is_new_log else 0
    return blob.footprint_bytes + log_bytes


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
