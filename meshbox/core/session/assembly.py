"""Parts of blobs made whole, and checked against the hash that was sent with them.

At most one blob is in parts at a time; its parts follow one another, with whole blobs of other logs
between them (lanes.py). What is held is bounded by `BLOB_BYTES_MAX`.
"""

from __future__ import annotations

import hashlib

from meshbox.core.errors import BlobCorrupt, BlobUnasked
from meshbox.core.limits import BLOB_BYTES_MAX
from meshbox.core.ranges import SeqRanges
from meshbox.core.session.frames import BlobPart

CONTENT_HASH_BYTES = 32


def content_hash(data: bytes) -> bytes:
    """blake2b-32 of a blob's bytes: what every node calls its content by."""
    return hashlib.blake2b(data, digest_size=CONTENT_HASH_BYTES).digest()


class Assembly:
    """The blob that is being received in parts, if any."""

    __slots__ = ("_data", "_first")

    def __init__(self) -> None:
        self._first: BlobPart | None = None
        self._data = bytearray()

    def add(self, part: BlobPart) -> bytes | None:
        """The whole blob when `part` completes one; `BlobCorrupt` when its hash is another."""
        if part.size_bytes > BLOB_BYTES_MAX or part.offset + len(part.data) > part.size_bytes:
            raise BlobCorrupt(f"a blob of {part.size_bytes} bytes with a part that does not fit")
        if self._passes(part):
            return _checked(part.data, part)
        if self._first is None and part.offset == 0:
            self._first = part
        elif self._first is None or not self._continues(self._first, part):
            raise BlobUnasked("a part of a blob that does not follow the one before it")
        if not part.data:
            raise BlobCorrupt("a part without bytes")
        self._data += part.data
        if len(self._data) < part.size_bytes:
            return None
        data = bytes(self._data)
        self._drop()
        return _checked(data, part)

    def forget(self, page: int, place: int, ranges: SeqRanges) -> None:
        """The peer gave up on `ranges`: a blob in parts among them will not be completed."""
        first = self._first
        if first is not None and (first.page, first.log) == (page, place) and first.seq in ranges:
            self._drop()

    def _passes(self, part: BlobPart) -> bool:
        """Whether it is whole, and of another log than the blob in parts, if any."""
        first = self._first
        same = first is not None and (first.page, first.log) == (part.page, part.log)
        return part.offset == 0 and len(part.data) == part.size_bytes and not same

    def _continues(self, first: BlobPart, part: BlobPart) -> bool:
        same = first._replace(offset=0, data=b"") == part._replace(offset=0, data=b"")
        return same and part.offset == len(self._data)

    def _drop(self) -> None:
        self._first = None
        self._data = bytearray()


def _checked(data: bytes, part: BlobPart) -> bytes:
    if part.content_hash and content_hash(data) != part.content_hash:
        raise BlobCorrupt(f"blob {part.seq} does not have the announced hash")
    return data
