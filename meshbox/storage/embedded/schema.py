"""Where everything lies: the keys of each family, which are the order of the database.

    family  key                                value
    blob    bucket K seq                       header, and the bytes unless they are in chunks
    blob    bucket K seq hash16 index          one chunk; index 2^32-1: that all chunks are there
    log     K                                  what is known of the log (records.py)
    feed    change                             K; a log's former entry goes when it gets a new one
    due     bucket K                           empty: the log has blobs in the bucket
    topic   hash8(namespace, topic) K          the log's names, should its record be lost
    peer    node id                            its cursors (peers.py)
    refill  change K                           bucket; the log is to be asked for (refill.py)
    evicted bucket K                           what went for room (evicted.py)
    empty   bucket K                           empty: the log holds nothing, and this is the last
                                               bucket that it took a blob in (forgetting.py)
    note    keeper K                           bucket, and the note (notes.py)
    meta    name                               schema version, node id, epochs, state (state.py)

K is the log's 16 bytes, hash16 the first half of the content's hash; numbers are big-endian, so
that keys ascend as they do. Blobs are bucket-first: expiry is one range removal for a bucket, and
whatever a crash left behind in it goes with it. The schema version guards every value.
"""

from __future__ import annotations

import hashlib
from struct import Struct
from typing import Final, NamedTuple

from meshbox.core.ids import LOG_KEY_BYTES, LogKey, Namespace, Topic

SCHEMA_VERSION: Final = 2
SCHEMA_OLDEST: Final = 1
"""The oldest that is read: it had no `empty` (upgrading.py)."""

_BLOB = Struct(">I16sQ")
_DUE = Struct(">I16s")
_CHUNK = Struct(">28s16sI")
_REFILL = Struct(">Q16s")
_U32 = Struct(">I")
_U64 = Struct(">Q")

BLOB_KEY_BYTES: Final = _BLOB.size
CHUNK_END: Final = 2**32 - 1
"""The index of the entry that says that all chunks are there."""
HASH_BYTES_IN_KEY: Final = 16
_AFTER_CHUNKS: Final = b"\xff" * (HASH_BYTES_IN_KEY + 5)

FEED_END: Final = b"\xff" * 9
REFILL_END: Final = b"\xff" * 25
NOTE_END: Final = b"\xff" * 33
TOPIC_HASH_BYTES: Final = 8

META_SCHEMA: Final = b"schema"
META_NODE: Final = b"node"
META_EPOCHS: Final = b"epochs"
META_STATE: Final = b"state"

blob_key = _BLOB.pack
"""(bucket, K, seq) → the key of a blob's header."""
due_key = _DUE.pack
"""(bucket, K) → the entry by which the sweep finds the log, that of what was evicted, and that of a
log with nothing held."""
feed_key = _U64.pack
"""change → the feed's entry."""
bucket_key = _U32.pack
"""bucket → the first possible key of a bucket, in `blob` and in `due`."""
refill_key = _REFILL.pack
"""(change, K) → the entry of a log that is to be asked for by name."""


class BlobEntry(NamedTuple):
    """Where a blob, or a chunk of it, lies."""

    bucket: int
    log: LogKey
    seq: int


class DueEntry(NamedTuple):
    """A log that has, or had, blobs in a bucket."""

    bucket: int
    log: LogKey


def parse_blob_key(key: bytes) -> BlobEntry:
    """What `blob_key` made, or `chunk_key` of it."""
    bucket, log, seq = _BLOB.unpack_from(key)
    return BlobEntry(bucket, LogKey(log), seq)


def parse_due_key(key: bytes) -> DueEntry:
    """What `due_key` made."""
    bucket, log = _DUE.unpack(key)
    return DueEntry(bucket, LogKey(log))


def parse_feed_key(key: bytes) -> int:
    """The change of a feed entry."""
    change: int = _U64.unpack(key)[0]
    return change


def parse_refill_key(key: bytes) -> LogKey:
    """The log of an entry of the refill list."""
    return LogKey(_REFILL.unpack(key)[1])


def blob_range(bucket: int, log: LogKey, first: int, end: int) -> tuple[bytes, bytes]:
    """Every key of the blobs first … end-1 of a log in a bucket, chunks included."""
    return blob_key(bucket, log, first), blob_key(bucket, log, end - 1) + _AFTER_CHUNKS


def chunk_key(blob: bytes, content_hash: bytes, index: int) -> bytes:
    """The key of a chunk of the blob whose header is at `blob`."""
    return _CHUNK.pack(blob, content_hash[:HASH_BYTES_IN_KEY], index)


def chunk_range(blob: bytes, content_hash: bytes) -> tuple[bytes, bytes]:
    """Every chunk key of one content at `blob`."""
    first = chunk_key(blob, content_hash, 0)
    return first, chunk_key(blob, content_hash, CHUNK_END) + b"\0"


def topic_prefix(namespace: Namespace, topic: Topic) -> bytes:
    """What the topic family's keys of a topic begin with. Others may share it: compare names."""
    name = b"%c%b" % (namespace, topic.encode())
    return hashlib.blake2b(name, digest_size=TOPIC_HASH_BYTES).digest()


def topic_range(prefix: bytes) -> tuple[bytes, bytes]:
    """Every topic entry under a prefix."""
    return prefix, prefix + b"\xff" * (LOG_KEY_BYTES + 1)
