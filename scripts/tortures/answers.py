"""What came back on a connection, read strictly: answers of the table, one behind the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

STATUSES: Final = frozenset({200, 201, 204, 400, 401, 404, 405, 408, 413, 415, 417, 422, 431, 501})
"""Of docs/openapi.yaml and of HTTP itself. 501 is for media. No 503: nobody is that busy here."""

_BEGIN: Final = b"HTTP/1.1 "
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


def statuses(received: bytes) -> Iterator[int | str]:
    """The status of each answer; text for what is no answer of the table. The last may be cut."""
    while received:
        if received.startswith(_CONTINUE):
            received = received[len(_CONTINUE) :]
            continue
        head, end, rest = received.partition(b"\r\n\r\n")
        if not end:
            return
        status = _status(head)
        if isinstance(status, str):
            yield status
            return
        length = _length(head)
        # An answer to HEAD names a length and has no body.
        received = rest if rest.startswith(_BEGIN) else rest[length:]
        yield status


def _status(head: bytes) -> int | str:
    first, *lines = head.split(b"\r\n")
    if not first.startswith(_BEGIN) or not first[9:12].isdigit():
        return f"no answer: {head[:80]!r}"
    status = int(first[9:12])
    if status not in STATUSES:
        return f"not in the table: {first[:80]!r}"
    if b"access-control-allow-origin: *" not in lines and status not in (400, 408, 413, 431):
        return f"no CORS header: {head[:80]!r}"
    return status


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0
