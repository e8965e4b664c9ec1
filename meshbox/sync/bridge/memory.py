"""What is remembered of each log at one server, as notes of the store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from meshbox.core.bridging import UNKNOWN, FarLog, kept
from meshbox.core.ids import LogId
from meshbox.core.limits import NOTE_KEEPER_BYTES
from meshbox.core.ranges import SeqRanges
from meshbox.storage.interface import MailboxStore, Note

_Flat = tuple[list[int], list[int], list[int]]
_decoder = msgspec.msgpack.Decoder(_Flat)


class Memory:
    """Of one server. One that gives itself another id has lost what it had, and is another."""

    def __init__(self, store: MailboxStore, *, url: str, server_id: str | None) -> None:
        self._store = store
        name = f"{url} {server_id or ''}".encode()
        self._keeper = hashlib.blake2b(name, digest_size=NOTE_KEEPER_BYTES).digest()

    async def of(self, logs: Iterable[LogId]) -> dict[LogId, FarLog]:
        """What is remembered of `logs`; `UNKNOWN` of those that nothing is."""
        wanted = list(logs)
        texts = await self._store.notes(self._keeper, [log.key for log in wanted])
        return {log: _decoded(text) for log, text in zip(wanted, texts, strict=True)}

    def notes(self, known: Mapping[LogId, FarLog]) -> list[Note]:
        """For the deposit that makes it true."""
        return [Note(self._keeper, log.key, _encoded(far)) for log, far in known.items()]


def _encoded(far: FarLog) -> bytes:
    flat = [[edge for first, end in ranges for edge in (first, end - 1)] for ranges in kept(far)]
    return msgspec.msgpack.encode(flat)


def _decoded(text: bytes | None) -> FarLog:
    """What was encoded; of what a later version wrote, nothing."""
    if text is None:
        return UNKNOWN
    try:
        return FarLog(*map(_ranges, _decoder.decode(text)))
    except (msgspec.DecodeError, ValueError):
        return UNKNOWN


def _ranges(flat: list[int]) -> SeqRanges:
    pairs = zip(flat[::2], flat[1::2], strict=True)
    return SeqRanges((first, last + 1) for first, last in pairs)
