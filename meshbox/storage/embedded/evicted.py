"""What went for room, by the bucket that it lay in: so that the newest can come back first.

One entry a (bucket, K): which numbers of the log went from that bucket, by class, and how much they
counted for. It goes when they leave seen, or when the bucket is due and they count as expired.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from meshbox.core.errors import StoreDamaged
from meshbox.core.ids import LogKey
from meshbox.core.inventory import NONE_SEEN, ClassedRanges
from meshbox.core.ranges import SeqRanges, union
from meshbox.storage.embedded.changes import Put, Remove
from meshbox.storage.embedded.records import FlatSeen, flat_seen, seen_of
from meshbox.storage.embedded.schema import DueEntry, bucket_key, due_key, parse_due_key
from meshbox.storage.keyvalue import Family, KeyValue

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[int, FlatSeen])


class Evicted(NamedTuple):
    """What went of one log from one bucket."""

    footprint_bytes: int = 0
    ranges: ClassedRanges = NONE_SEEN

    def __add__(self, other: object) -> Evicted:
        assert isinstance(other, Evicted)
        ranges = ClassedRanges(
            self.ranges.opaque | other.ranges.opaque, self.ranges.verified | other.ranges.verified
        )
        return Evicted(self.footprint_bytes + other.footprint_bytes, ranges)

    def __sub__(self, part: Evicted) -> Evicted:
        return Evicted(self.footprint_bytes - part.footprint_bytes, self.ranges - part.ranges.all)

    def newest(self, bytes_max: int) -> Evicted:
        """The highest numbers that counted for about `bytes_max` at most; all if that is enough."""
        if self.footprint_bytes <= bytes_max:
            return self
        ranges = self.ranges.all
        rest = ranges.count - ranges.count * max(bytes_max, 0) // self.footprint_bytes
        part = self.ranges - ranges.take_lowest(rest)
        return Evicted(bytes_max, part) if part.range_count else Evicted()


def decode_evicted(value: bytes) -> Evicted:
    """The value of an entry; `StoreDamaged` for anything else."""
    try:
        size_bytes, ranges = _decoder.decode(value)
        return Evicted(size_bytes, seen_of(ranges))
    except (msgspec.DecodeError, ValueError) as error:
        raise StoreDamaged("what was evicted of a log is damaged in the database") from error


def entry_op(entry: DueEntry, evicted: Evicted) -> Put | Remove:
    """Makes `evicted` what is there of an entry."""
    if not evicted.ranges.range_count:
        return Remove(Family.EVICTED, due_key(*entry))
    value = _encoder.encode((evicted.footprint_bytes, flat_seen(evicted.ranges)))
    return Put(Family.EVICTED, due_key(*entry), value)


def evicted_before(key_value: KeyValue, entries: Sequence[DueEntry]) -> list[Evicted]:
    """What is there already of each entry."""
    if not entries:
        return []
    values = key_value.get_many(Family.EVICTED, [due_key(*entry) for entry in entries])
    return [Evicted() if value is None else decode_evicted(value) for value in values]


def evicted_still(
    key_value: KeyValue, after: Mapping[DueEntry, Evicted], *, first: int, newest: int
) -> dict[LogKey, SeqRanges]:
    """What went of each log of `after` from the buckets `first` to `newest`, once the entries of
    `after` are like that."""
    logs = dict.fromkeys(entry.log for entry in after)
    entries = [DueEntry(bucket, log) for log in logs for bucket in range(first, newest + 1)]
    went: dict[LogKey, list[SeqRanges]] = {log: [] for log in logs}
    for entry, before in zip(entries, evicted_before(key_value, entries), strict=True):
        went[entry.log].append(after.get(entry, before).ranges.all)
    return {log: union(ranges) for log, ranges in went.items()}


def newest_first(
    key_value: KeyValue, *, newest: int, above: int, limit: int
) -> list[tuple[DueEntry, Evicted]]:
    """The first `limit` entries of the buckets from `newest` down to the one over `above`."""
    entries: list[tuple[DueEntry, Evicted]] = []
    for bucket in range(newest, above, -1):
        first, end = bucket_key(bucket), bucket_key(bucket + 1)
        entries += _entries(key_value.scan(Family.EVICTED, first, end, limit=limit - len(entries)))
        if len(entries) >= limit:
            break
    return entries


def through(key_value: KeyValue, bucket: int, *, limit: int) -> list[tuple[DueEntry, Evicted]]:
    """The first `limit` entries of the buckets up to `bucket`."""
    end = bucket_key(bucket + 1)
    return list(_entries(key_value.scan(Family.EVICTED, b"", end, limit=limit)))


def _entries(found: Sequence[tuple[bytes, bytes]]) -> Iterator[tuple[DueEntry, Evicted]]:
    for key, value in found:
        yield parse_due_key(key), decode_evicted(value)
