"""What the store remembers of the database, bounded by count and by weight.

A cache never knows better than the database: it is filled from reads and from batches that were
written, in the same turn of the loop, and nothing is in it that the database would not say.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from meshbox.core.bounded_cache import BoundedCache
from meshbox.core.ids import LogKey, Namespace, Topic
from meshbox.core.inventory import LogRecord
from meshbox.core.ranges import SEQ_END
from meshbox.storage.interface import StoredBlob

RECORDS_COUNT_MAX: Final = 20_000
"""Parsed records remembered: about 1 KB each when logs are ordinary."""
RECORDS_WEIGHT_MAX: Final = 32 * 1024 * 1024
"""About the bytes of memory of all of them: a hostile log's record has 150 KB."""
TOPICS_COUNT_MAX: Final = 10_000
"""Topics whose logs are remembered."""
TOPICS_WEIGHT_MAX: Final = 16 * 1024 * 1024
"""About the bytes of memory of all of them."""
BLOBS_COUNT_MAX: Final = 4_096
"""Blobs remembered: what many ask for one after another, since it is new."""
BLOBS_WEIGHT_MAX: Final = 4 * 1024 * 1024
"""About the bytes of memory of all of them."""
BLOB_BYTES_MAX: Final = 16 * 1024
"""Bytes of a blob that is remembered: of larger ones few would be."""

_BLOB_WEIGHT: Final = 900
"""About the bytes of memory of a blob without its data."""

NEVER_DUE: Final = SEQ_END
"""A bucket above all: of what holds nothing."""


def record_weight(record: LogRecord) -> int:
    """About the bytes of memory of a parsed record."""
    ranges = record.expired.range_count + record.evicted.range_count
    return 700 + 280 * len(record.runs) + 180 * ranges


def oldest_bucket(record: LogRecord) -> int:
    """The bucket of its oldest blob: what decides whether any of it is due."""
    if len(record.runs) == 1:  # As of most logs, and four times as fast so.
        return record.runs[0].bucket
    return min((run.bucket for run in record.runs), default=NEVER_DUE)


TopicName = tuple[Namespace, Topic]


@dataclass(slots=True)
class TopicLogs:
    """The logs of a topic."""

    names: list[tuple[bytes, LogKey]]
    """(author in UTF-8, K), ascending."""
    records: tuple[LogRecord, ...] | None = None
    """Their records, until one changes."""
    oldest_bucket: int = NEVER_DUE
    """Of all `records`."""

    @property
    def weight(self) -> int:
        """About the bytes of memory, with records that nobody else may remember."""
        records = sum(record_weight(record) for record in self.records or ())
        return 300 + 250 * len(self.names) + records


@dataclass(slots=True)
class Caches:
    """Everything that is remembered."""

    records: BoundedCache[LogKey, LogRecord] = field(
        default_factory=lambda: BoundedCache(
            count_max=RECORDS_COUNT_MAX, weight_max=RECORDS_WEIGHT_MAX
        )
    )
    topics: BoundedCache[TopicName, TopicLogs] = field(
        default_factory=lambda: BoundedCache(
            count_max=TOPICS_COUNT_MAX, weight_max=TOPICS_WEIGHT_MAX
        )
    )
    blobs: BoundedCache[bytes, StoredBlob] = field(
        default_factory=lambda: BoundedCache(count_max=BLOBS_COUNT_MAX, weight_max=BLOBS_WEIGHT_MAX)
    )
    """By key in the database. One that was removed may be here yet, but no record lists it, and
    whatever is put in its place is noted (`note_put`)."""
    listings: int = 0
    """How often a log appeared or was forgotten: a topic that was read in several turns is stale
    if one did."""

    def remember(self, key: LogKey, record: LogRecord) -> None:
        """A record as the database has it."""
        self.records.put(key, record, weight=record_weight(record))

    def remember_blob(self, entry: bytes, blob: StoredBlob) -> None:
        """A blob as the database has it; only a small one that lies in its entry whole."""
        if blob.data and blob.size_bytes <= BLOB_BYTES_MAX:
            self.blobs.put(entry, blob, weight=_BLOB_WEIGHT + blob.size_bytes)

    def note_put(self, entry: bytes) -> None:
        """A batch wrote a blob's entry."""
        self.blobs.discard(entry)

    def note_changed(self, changed: Iterable[tuple[LogKey, LogRecord]], new: set[LogKey]) -> None:
        """Records as a batch wrote them."""
        for key, record in changed:
            if record.runs:
                self.remember(key, record)
            else:  # Seldom asked for, and a sweep makes all too many.
                self.records.discard(key)
            name = (record.log.namespace, record.log.topic)
            logs = self.topics.get(name)
            if logs is None:
                continue
            if key in new:
                insort(logs.names, (record.log.author.encode(), key))
            logs.records = None
            self.topics.put(name, logs, weight=logs.weight)
        self.listings += len(new)

    def note_forgotten(self, forgotten: Iterable[tuple[LogKey, LogRecord]]) -> None:
        """Logs that a batch removed."""
        for key, record in forgotten:
            self.listings += 1
            self.records.discard(key)
            name = (record.log.namespace, record.log.topic)
            logs = self.topics.get(name)
            if logs is None:
                continue
            entry = (record.log.author.encode(), key)
            at = bisect_left(logs.names, entry)
            assert logs.names[at] == entry, "a topic that is remembered has all its logs"
            del logs.names[at]
            logs.records = None
            self.topics.put(name, logs, weight=logs.weight)

    def remember_topic(self, name: TopicName, logs: TopicLogs) -> None:
        """The logs of a topic as the database has them."""
        self.topics.put(name, logs, weight=logs.weight)
