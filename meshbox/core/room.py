"""Room: what storage is counted by, when it is full, and what goes first (design.md 4.7).

    footprint   bytes of blobs + `BLOB_OVERHEAD_BYTES` a blob + `metadata_bytes` a log
    bound       what the footprint may be now: the capacity that the operator's limit leaves, or
                what is used and what the disk has free beyond its reserve, if that is less

When a deposit would bring the footprint above the bound, what is nearest its end goes: the lowest
bucket first, and within it one log after the other in the order of their keys, round and round,
its lowest numbers first. So what goes lies side by side in the database and one range removal
takes it, and no log of a bucket is always the first. From then on the store is full, until a tenth
of the bound is free.

Knows no store, disk or clock. Invariant: what is refused would itself have been the first to go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from meshbox.core.ids import LogKey
from meshbox.core.inventory import LogRecord
from meshbox.core.limits import ID_BYTES_MAX, MIB

BLOB_OVERHEAD_BYTES: Final = 160
"""Bytes a blob beside its own: key and header (120), its part of index and filter."""

LOG_BYTES: Final = 320
"""Bytes a log beside its names and ranges: its record, and its entries in the other families."""

LOG_BYTES_MAX: Final = LOG_BYTES + 2 * ID_BYTES_MAX
"""Bytes of a new log at most."""

RANGE_BYTES: Final = 24
"""Bytes of one run or range of a record."""

LIMIT_BYTES_MIN: Final = 16_000_000
"""Bytes of disk that an operator must allow: with less the database's own files are most of it."""

ASIDE_BYTES_MAX: Final = 64 * MIB
"""Set aside on the disk, for a start when it is full: the write-ahead log's bound of 48 MiB, and
room for what is written about it."""

ASIDE_BYTES_MIN: Final = 4 * MIB
"""The same of the smallest limit, where that log is bounded by 1 MiB."""

ASIDE_SHARE: Final = 32
"""One part of so many of the operator's limit is set aside: twice that log's share."""

WORKING_SHARE: Final = 4
"""One part of so many of the operator's limit is for the database's log, for what was removed and
is not given back yet, and for what is being written anew: measured, at most 1.3 times what counts.
"""

SMALL_WORKING_BYTES: Final = 6_000_000
SMALL_WORKING_SHARE: Final = 6
"""Of a small limit so many bytes and one part of so many are for that: some files do not shrink."""

RESERVE_BYTES_MAX: Final = 128 * MIB
"""Bytes of the disk left free at most: the database's log and buffers, and what it tidies."""
RESERVE_SHARE: Final = 8
"""One part of so many of a small disk is left free."""

FREE_AGAIN: Final = 10
"""There is room again when one part of so many is free (design.md 4.7)."""

SLACK: Final = 64
"""One part of so many of the bound goes at once, so that not every deposit has to make room."""

SLACK_BYTES_MAX: Final = 64 * MIB
"""Bytes that go at once at most."""

FILLED_AGAIN: Final = 20
"""What went comes back until one part of so many of the bound is left."""

ENDLESS_BYTES: Final = 2**63
"""More than any disk has."""

RELEASE_INTERVAL_MS: Final = 10 * 60_000
"""Milliseconds of node time after which more is asked for, when what was did not come."""


def metadata_bytes(record: LogRecord | None) -> int:
    """Bytes that a log counts for, beside its blobs."""
    if record is None:
        return 0
    names = len(record.log.topic) + len(record.log.author)
    return LOG_BYTES + names + RANGE_BYTES * record.range_count


def footprint_bytes(*, blobs: int, size_bytes: int, logs_bytes: int) -> int:
    """What storage counts for: exact, and cheap to keep."""
    return size_bytes + blobs * BLOB_OVERHEAD_BYTES + logs_bytes


def newcomer_bytes(size_bytes: int) -> int:
    """What a blob of `size_bytes` may add to the footprint of a log that is known."""
    return size_bytes + BLOB_OVERHEAD_BYTES + RANGE_BYTES


def room_bytes(size_bytes: int) -> int:
    """What may have to be free for a blob of `size_bytes`, whether its log is known or new."""
    return newcomer_bytes(size_bytes) + LOG_BYTES_MAX


def aside_bytes(limit_bytes: int | None) -> int:
    """Bytes of disk that are set aside; they are part of the limit, where there is one."""
    if limit_bytes is None:
        return ASIDE_BYTES_MAX
    return min(ASIDE_BYTES_MAX, max(ASIDE_BYTES_MIN, limit_bytes // ASIDE_SHARE))


def capacity_bytes(limit_bytes: int) -> int:
    """The footprint that keeps the data folder within `limit_bytes` of disk (ADR 0008)."""
    files_bytes = limit_bytes - aside_bytes(limit_bytes)
    small_bytes = SMALL_WORKING_BYTES + files_bytes // SMALL_WORKING_SHARE
    return files_bytes - max(files_bytes // WORKING_SHARE, small_bytes)


def reserve_bytes(disk_bytes: int) -> int:
    """What is left free of a disk of so many bytes."""
    return min(RESERVE_BYTES_MAX, disk_bytes // RESERVE_SHARE)


class FirstToGo(NamedTuple):
    """The blob that goes first."""

    bucket: int
    log: LogKey
    seq: int

    def is_preceded_by(self, bucket: int, log: LogKey, seq: int) -> bool:
        """Whether a newcomer at that place would go before it.

        The logs of a bucket go round and round, and a newcomer among them joins behind: only the
        lower numbers of the log whose turn it is go before.
        """
        if bucket != self.bucket:
            return bucket < self.bucket
        return log == self.log and seq < self.seq


class RoomLeft(NamedTuple):
    """What a group of deposits may take."""

    left_bytes: int | None = None
    """None: no bound."""
    first: FirstToGo | None = None
    """What would go before it is refused. None: nothing is for that."""
    is_roomy: bool = False
    """Enough is free for what went to come back: nothing that fits is refused for that. Else of
    several that come at once, and do not all fit, none would be stored, however often they come."""

    def taking(self, taken_bytes: int) -> RoomLeft:
        """What is left after that."""
        if self.left_bytes is None:
            return self
        return self._replace(left_bytes=self.left_bytes - taken_bytes)

    def takes(self, taken_bytes: int, place: tuple[int, LogKey, int], *, whole: bool) -> bool:
        """Whether a newcomer at a bucket, log and number may make it so much that is taken.

        What is stored `whole` or not at all had room made for it, by what went before it: it is
        not refused for what is the first to go only now, or that would come and go for nothing.
        """
        if self.left_bytes is None:
            return True
        if taken_bytes > self.left_bytes:
            return False
        precedes = self.first is not None and self.first.is_preceded_by(*place)
        return whole or self.is_roomy or not precedes


UNBOUNDED: Final = RoomLeft()


class DiskSpace(NamedTuple):
    """What the disk has, as far as it matters."""

    free_bytes: int
    """What may still be written to it by anybody."""
    returning_bytes: int = 0
    """Of what was removed, and its space is not given back yet."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """How much may be stored. None, None: as much as the disk takes."""

    capacity_bytes: int | None = None
    """The footprint that the operator's limit leaves."""
    reserve_bytes: int = 0
    """Free bytes of the disk that are left alone: for other programs, and for RocksDB to tidy."""

    def bound_bytes(self, used_bytes: int, disk: DiskSpace | None) -> int | None:
        """What the footprint may be, of which `used_bytes` are taken; None: no bound.

        Below the reserve nothing more comes in than goes; the store only shrinks for the disk's
        sake when that is exhausted, since others may have filled it.
        """
        if disk is None:
            return self.capacity_bytes
        spare_bytes = disk.free_bytes + disk.returning_bytes - self.reserve_bytes
        if not self.is_exhausted(disk):
            spare_bytes = max(0, spare_bytes)
        by_disk = max(0, used_bytes + spare_bytes)
        return by_disk if self.capacity_bytes is None else min(by_disk, self.capacity_bytes)

    def is_exhausted(self, disk: DiskSpace | None) -> bool:
        """Whether nothing may be written at all until the disk got some space back: half of the
        reserve is gone, so the database itself is in danger."""
        return disk is not None and 2 * disk.free_bytes < self.reserve_bytes


UNLIMITED: Final = Allocation()


def goal_bytes(bound_bytes: int) -> int:
    """Down to where the footprint is brought when it would exceed `bound_bytes`."""
    return bound_bytes - min(bound_bytes // SLACK, SLACK_BYTES_MAX)


def has_room(used_bytes: int, bound_bytes: int | None) -> bool:
    """Whether enough is free for what went to come back."""
    return bound_bytes is None or used_bytes <= bound_bytes - bound_bytes // FREE_AGAIN


def releasable_bytes(used_bytes: int, bound_bytes: int | None) -> int:
    """How much of what went may come back now, so that it stays."""
    if bound_bytes is None:
        return ENDLESS_BYTES
    return max(0, bound_bytes - bound_bytes // FILLED_AGAIN - used_bytes)
