"""What a store counts and what its indexes say, against its records."""

from __future__ import annotations

from meshbox.core.ids import LogKey
from meshbox.core.inventory import LogRecord
from meshbox.core.room import metadata_bytes
from meshbox.storage.embedded.records import decode_name, decode_record
from meshbox.storage.embedded.schema import due_key, feed_key, parse_due_key, topic_prefix
from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.storage.keyvalue import Family, KeyValue

NO_BOUND = 10**9
END = b"\xff" * 64


def entries(key_value: KeyValue, family: Family) -> dict[bytes, bytes]:
    """All of a family."""
    return dict(key_value.scan(family, b"", END, limit=NO_BOUND))


def records_in(key_value: KeyValue) -> dict[LogKey, LogRecord]:
    """All logs that the database knows, by key."""
    return {LogKey(k): decode_record(v) for k, v in entries(key_value, Family.LOG).items()}


def assert_exact(store: EmbeddedStore) -> None:
    """Counts and indexes are what the records say, and name nothing else."""
    key_value, counts = store._database.key_value, store._database.counts
    records = records_in(key_value)
    held = {key: record for key, record in records.items() if record.runs}
    empty = {key: record for key, record in records.items() if not record.runs}
    assert counts.logs == len(held)
    assert counts.blobs == sum(record.blobs for record in held.values())
    assert counts.bytes == sum(record.bytes for record in held.values())
    assert counts.logs_bytes == sum(map(metadata_bytes, records.values()))
    assert counts.empty_bytes == sum(map(metadata_bytes, empty.values()))
    assert set(entries(key_value, Family.EMPTY)) == {
        due_key(record.last_bucket, key) for key, record in empty.items()
    }
    names = entries(key_value, Family.TOPIC)
    assert set(names) == {
        topic_prefix(record.log.namespace, record.log.topic) + key
        for key, record in records.items()
    }
    assert {decode_name(name) for name in names.values()} == {r.log for r in records.values()}
    assert entries(key_value, Family.FEED) == {
        feed_key(record.change): key for key, record in held.items()
    }
    for family in (Family.DUE, Family.EVICTED):
        for entry in map(parse_due_key, entries(key_value, family)):
            assert entry.bucket <= records[entry.log].last_bucket
    for record in held.values():
        assert max(run.bucket for run in record.runs) <= record.last_bucket
