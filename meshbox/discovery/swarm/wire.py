"""DNS messages as bytes: enough of RFC 1035 to write and to read those of the swarm dialect.

Pure. Names are tuples of labels, folded to lower case when read.

Invariants: strangers write what is read. A message is malformed as a whole or not at all, as it is
for the apps. Reading is bounded by the message's bytes and `SWARM_RECORDS_MAX`: pointers lead only
backwards, and the name behind one is read once.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from meshbox.core.limits import SWARM_RECORDS_MAX

CLASS_IN = 1
"""Exactly: 0x8001, with the cache-flush or unicast bit, is another class here."""
A, PTR, TXT, AAAA, SRV = 1, 12, 16, 28, 33
HEADER_BYTES = 12

_HEADER = struct.Struct("!6H")
_QUESTION = struct.Struct("!HH")
_RECORD = struct.Struct("!HHIH")
_SRV = struct.Struct("!HHH")
_RESPONSE = 0x8400  # Authoritative.
_POINTER = 0xC0
_NAME_BYTES_MAX = 255
_ADDRESS_BYTES = {A: 4, AAAA: 16}

Name = tuple[bytes, ...]


class Malformed(Exception):
    """Not a DNS message, or one larger than any that is of use."""


class Record(NamedTuple):
    """A record of class 1. `target` and `port` are those of an SRV record."""

    name: Name
    type_: int
    rdata: bytes
    target: Name = ()
    port: int = 0


class Message(NamedTuple):
    """The names that PTR questions of class 1 ask for, and the records of class 1."""

    asked: tuple[Name, ...]
    answers: tuple[Record, ...]
    additionals: tuple[Record, ...]


def parse_name(text: str) -> Name:
    """The name that `text` spells; it is ours, so its labels are not too long."""
    return tuple(text.encode("ascii").lower().rstrip(b".").split(b"."))


def encode_name(name: Name) -> bytes:
    return b"".join(bytes([len(label)]) + label for label in name) + b"\0"


def encode_pointer(at: int) -> bytes:
    """Stands for the name at offset `at` of the message."""
    return struct.pack("!H", _POINTER << 8 | at)


def encode_question(name: Name) -> bytes:
    """A message that asks for the PTR records of `name`."""
    header = _HEADER.pack(0, 0, 1, 0, 0, 0)
    return header + encode_name(name) + _QUESTION.pack(PTR, CLASS_IN)


def encode_record(name: bytes, type_: int, rdata: bytes) -> bytes:
    """A record with an encoded name and TTL 0."""
    return name + _RECORD.pack(type_, CLASS_IN, 0, len(rdata)) + rdata


def encode_srv(port: int, target: Name) -> bytes:
    """The data of an SRV record; the target is its end."""
    return _SRV.pack(0, 0, port) + encode_name(target)


def encode_response(answers: list[bytes], additionals: list[bytes]) -> bytes:
    header = _HEADER.pack(0, _RESPONSE, 0, len(answers), 0, len(additionals))
    return header + b"".join(answers + additionals)


def read_message(data: bytes) -> Message:
    """The message that `data` is, or `Malformed`."""
    try:
        return _Reader(data).message()
    except (struct.error, IndexError) as error:
        raise Malformed from error


class _Reader:
    """One pass over one message."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = HEADER_BYTES
        self._pointed_at: dict[int, Name] = {}

    def message(self) -> Message:
        _, _, *counts = _HEADER.unpack_from(self._data)
        if sum(counts) > SWARM_RECORDS_MAX:
            raise Malformed
        questions, answers, authorities, additionals = counts
        asked = [name for _ in range(questions) for name in self._question()]
        answered = [record for _ in range(answers) for record in self._record()]
        for _ in range(authorities):
            self._record()
        added = [record for _ in range(additionals) for record in self._record()]
        return Message(tuple(asked), tuple(answered), tuple(added))

    def _question(self) -> list[Name]:
        name = self._name()
        type_, class_ = _QUESTION.unpack_from(self._data, self._at)
        self._at += _QUESTION.size
        return [name] if (type_, class_) == (PTR, CLASS_IN) else []

    def _record(self) -> list[Record]:
        name = self._name()
        type_, class_, _, length = _RECORD.unpack_from(self._data, self._at)
        at = self._at + _RECORD.size
        end = at + length
        rdata = self._data[at:end]
        if len(rdata) != length or length != _ADDRESS_BYTES.get(type_, length):
            raise Malformed
        record = Record(name, type_, rdata)
        if type_ == SRV and class_ == CLASS_IN:
            _, _, port = _SRV.unpack_from(rdata)
            self._at = at + _SRV.size
            record = record._replace(target=self._name(), port=port)
        self._at = end
        return [record] if class_ == CLASS_IN else []

    def _name(self) -> Name:
        """The name that comes next."""
        labels: list[bytes] = []
        jumps: list[tuple[int, int]] = []
        at, bound, end, length = self._at, self._at, 0, 1
        while size := self._data[at]:
            if size >= _POINTER:
                pointed = struct.unpack_from("!H", self._data, at)[0] & 0x3FFF
                end = end or at + 2
                if pointed >= bound or pointed < HEADER_BYTES:
                    raise Malformed
                if pointed in self._pointed_at:
                    labels += self._pointed_at[pointed]
                    break
                jumps.append((pointed, len(labels)))
                at = bound = pointed
                continue
            label = self._data[at + 1 : at + 1 + size]
            length += 1 + size
            if len(label) != size or size > 63 or length > _NAME_BYTES_MAX:
                raise Malformed
            labels.append(label.lower())
            at += 1 + size
        self._at = end or at + 1
        return self._known(labels, jumps)

    def _known(self, labels: list[bytes], jumps: list[tuple[int, int]]) -> Name:
        if sum(map(len, labels)) + len(labels) >= _NAME_BYTES_MAX:
            raise Malformed
        for pointed, count in jumps:
            self._pointed_at[pointed] = tuple(labels[count:])
        return tuple(labels)
