"""How RocksDB is set up: memory, recovery time and files bounded, for a Raspberry Pi as well.

Memtables are charged to the block cache, so `cache_bytes` bounds both. The write-ahead log is
bounded, since its replay is the time that a start after a crash takes. Blobs are not compressed:
they are encrypted by the apps.
"""

from __future__ import annotations

from typing import Final

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    WriteBufferManager,
    WriteOptions,
)

from meshbox.core.limits import KIB, MIB
from meshbox.storage.keyvalue import Family

CACHE_BYTES: Final = 64 * MIB
"""Block cache and memtables together, unless told otherwise."""
_WAL_BYTES_MAX: Final = 48 * MIB
_OPEN_FILES_MAX: Final = 256
_LOG_FILES_MAX: Final = 2
_LOG_FILE_BYTES_MAX: Final = 1 * MIB
_BLOB_BUFFER_BYTES: Final = 16 * MIB
_INDEX_BUFFER_BYTES: Final = 4 * MIB
_FILE_BYTES: Final = 32 * MIB
"""Of one table file: so much is written anew at the edge of what was removed."""
_LEVEL_FILES: Final = 4
"""Table files of the smallest level: what comes from memory is merged into these alone."""
_COMPACTION_FILES: Final = 4
"""Table files written anew at a time, while the old ones are still there."""
_SHARES: Final = 64
_SHARE_BYTES_MIN: Final = 1 * MIB
_BUFFERS_MAX: Final = 4
"""Memtables of a family, all but one being flushed; when all are full a write is refused."""
_BLOOM_BITS: Final = 10


def database_options(
    cache: Cache, *, cache_bytes: int, disk_bytes_max: int | None = None
) -> Options:
    """Of the database as a whole, and of the default family, which stays empty."""
    options = Options(raw_mode=True)
    options.create_if_missing(True)  # noqa: FBT003 - the binding takes it so
    options.create_missing_column_families(True)  # noqa: FBT003
    options.set_write_buffer_manager(
        WriteBufferManager.new_write_buffer_manager_with_cache(
            cache_bytes // 2,
            False,  # noqa: FBT003 - never stall a write: the loop would stand still
            cache,
        )
    )
    options.set_max_total_wal_size(_shared(_WAL_BYTES_MAX, disk_bytes_max))
    options.set_max_open_files(_OPEN_FILES_MAX)
    options.set_keep_log_file_num(_LOG_FILES_MAX)
    options.set_max_log_file_size(_LOG_FILE_BYTES_MAX)
    options.set_max_background_jobs(2)
    options.set_bytes_per_sync(1 * MIB)
    options.set_stats_dump_period_sec(0)
    options.set_stats_persist_period_sec(0)
    return options


def family_options(family: Family, cache: Cache, *, disk_bytes_max: int | None = None) -> Options:
    """Of one family."""
    blobs = family is Family.BLOB
    options = Options(raw_mode=True)
    buffer_bytes = _BLOB_BUFFER_BYTES if blobs else _INDEX_BUFFER_BYTES
    options.set_write_buffer_size(_shared(buffer_bytes, disk_bytes_max))
    file_bytes = _shared(_FILE_BYTES, disk_bytes_max)
    options.set_target_file_size_base(file_bytes)
    options.set_max_bytes_for_level_base(_LEVEL_FILES * file_bytes)
    options.set_max_compaction_bytes(_COMPACTION_FILES * file_bytes)
    options.set_max_write_buffer_number(_BUFFERS_MAX)
    options.set_compression_type(DBCompressionType.none() if blobs else DBCompressionType.zstd())
    options.set_level_compaction_dynamic_level_bytes(True)
    table = BlockBasedOptions()
    table.set_block_cache(cache)
    table.set_block_size(16 * KIB if blobs else 4 * KIB)
    table.set_cache_index_and_filter_blocks(True)
    table.set_pin_l0_filter_and_index_blocks_in_cache(True)
    table.set_format_version(5)
    if family in (Family.BLOB, Family.LOG, Family.PEER, Family.NOTE):
        table.set_bloom_filter(_BLOOM_BITS, False)  # noqa: FBT003 - the newer, full filter
    options.set_block_based_table_factory(table)
    return options


def _shared(size_bytes: int, disk_bytes_max: int | None) -> int:
    """Of a small allocation only a part: the log, buffers and files must not be most of it."""
    if disk_bytes_max is None:
        return size_bytes
    return max(_SHARE_BYTES_MIN, min(size_bytes, disk_bytes_max // _SHARES))


def live_write() -> WriteOptions:
    """Refuse a write rather than wait inside it, with the interpreter lock held."""
    options = WriteOptions()
    options.no_slowdown = True
    return options
