"""A blob's value: a small header, then the bytes, unless these lie in chunks of their own.

The header holds what is exact for each blob: the place of its stamp within the bucket, what it
was older than its stamp says, class, origin and content hash. The bucket, log and seq are its key.
"""

from __future__ import annotations

from struct import Struct, error
from typing import Final, NamedTuple

from meshbox.core.errors import StoreDamaged
from meshbox.core.ids import NODE_KEY_BYTES, ORIGIN_TAG_BYTES, BlobClass, Origin

_HEADER = Struct(f">BBIII{NODE_KEY_BYTES}s{ORIGIN_TAG_BYTES}s32s")
HEADER_BYTES: Final = _HEADER.size

_INLINE, _CHUNKED = 0, 1


class Header(NamedTuple):
    """What is stored beside a blob's bytes."""

    chunked: bool
    blob_class: BlobClass
    offset_ms: int
    """The stamp, in milliseconds from the start of the bucket."""
    earlier_ms: int
    """How much older the blob is than its stamp says (`Retention.earlier_ms`)."""
    size_bytes: int
    origin: Origin
    content_hash: bytes


def encode_header(header: Header) -> bytes:
    """The first `HEADER_BYTES` of the blob's value."""
    node, tag = header.origin
    assert len(node) == NODE_KEY_BYTES, "an origin is named by a node's key"
    assert len(tag) == ORIGIN_TAG_BYTES, "an origin's tag has its fixed size"
    return _HEADER.pack(
        _CHUNKED if header.chunked else _INLINE,
        header.blob_class,
        header.offset_ms,
        header.earlier_ms,
        header.size_bytes,
        node,
        tag,
        header.content_hash,
    )


def decode_header(value: bytes) -> Header:
    """What `encode_header` made; `StoreDamaged` for anything else."""
    try:
        kind, blob_class, offset_ms, earlier_ms, size_bytes, node, tag, content_hash = (
            _HEADER.unpack_from(value)
        )
        header = Header(
            kind == _CHUNKED,
            BlobClass(blob_class),
            offset_ms,
            earlier_ms,
            size_bytes,
            Origin(node, tag),
            content_hash,
        )
    except (error, ValueError) as cause:
        raise StoreDamaged("a blob's header in the database is damaged") from cause
    if kind not in (_INLINE, _CHUNKED) or (
        kind == _INLINE and len(value) != HEADER_BYTES + size_bytes
    ):
        raise StoreDamaged("a blob in the database is damaged")
    return header
