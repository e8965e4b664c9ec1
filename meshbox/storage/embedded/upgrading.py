"""A database of the version before is brought to this one, once, at its opening.

Version 1 knew no family `empty`, and counted nothing of it. Its rebuilding (rebuilding.py) gave
logs the last bucket 0, or one that is older than their newest blob. All that is written here may
be written again: the version is, with the counts, in the opening's own batch, after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

from meshbox.core.ids import LOG_KEY_BYTES, LogKey
from meshbox.core.inventory import LogRecord
from meshbox.core.room import metadata_bytes
from meshbox.storage.embedded.commit import patiently
from meshbox.storage.embedded.records import decode_record, encode_record
from meshbox.storage.embedded.schema import due_key
from meshbox.storage.embedded.state import Counts
from meshbox.storage.keyvalue import Family, KeyValue

_LOGS_AT_ONCE: Final = 1_024
_END: Final = b"\xff" * (LOG_KEY_BYTES + 1)


async def upgrade(key_value: KeyValue, counts: Counts, *, bucket: int) -> Counts:
    """Gives every log of a database of version 1 what forgetting goes by; the counts with it.

    `bucket`: the present one, for empty logs of which nothing tells their last. Not durable yet.
    `StoreDamaged` for a damaged record. Reads every record: 26 µs each, 12 of them of the loop.
    """
    empty_bytes, first = 0, b""
    while page := key_value.scan(Family.LOG, first, _END, limit=_LOGS_AT_ONCE):
        first = page[-1][0] + b"\0"
        logs = [(LogKey(key), decode_record(value)) for key, value in page]
        await patiently(partial(_write, key_value, logs, bucket))
        empty_bytes += sum(metadata_bytes(record) for _, record in logs if not record.runs)
        await asyncio.sleep(0)
    return counts._replace(empty_bytes=empty_bytes)


def _write(key_value: KeyValue, logs: Sequence[tuple[LogKey, LogRecord]], bucket: int) -> None:
    batch = key_value.new_batch()
    for key, record in logs:
        newest = max((run.bucket for run in record.runs), default=0)
        last_bucket = max(newest, record.last_bucket) or bucket
        if last_bucket != record.last_bucket:
            batch.put(Family.LOG, key, encode_record(record._replace(last_bucket=last_bucket)))
        if not record.runs:
            batch.put(Family.EMPTY, due_key(last_bucket, key), b"")
    key_value.write(batch)
