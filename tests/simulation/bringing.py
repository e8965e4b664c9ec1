"""What phones bring to a mailbox: blobs of logs that authors write."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from meshbox.core.errors import MeshboxError
from meshbox.core.ids import (
    BlobClass,
    LogId,
    Namespace,
    Origin,
    node_key_of,
    parse_author,
    parse_topic,
)
from meshbox.core.ranges import SeqRanges
from meshbox.core.session.assembly import content_hash
from meshbox.mailbox.deposit import ClientBlob
from meshbox.storage.interface import Deposit, NewBlob
from tests.simulation.node import Machine, Process
from tests.simulation.truth import Truth

TOPICS = ("quay", "mole")


def log_of(number: int) -> LogId:
    """The log number `number`: one of the topics, an author."""
    topic = parse_topic(TOPICS[number % len(TOPICS)])
    return LogId(Namespace.LOGS, topic, parse_author(f"author {number}"))


def content_of(log: int, seq: int, *, variant: int, size_bytes: int) -> bytes:
    """The bytes of a blob: of each variant others."""
    return f"{variant}/{log}/{seq}.".encode().ljust(size_bytes, b".")


class Brought(NamedTuple):
    """A blob as a phone has it."""

    log: LogId
    seq: int
    blob_class: BlobClass
    data: bytes


class Bringing(NamedTuple):
    """What an author's phone deposits in one request."""

    log: int
    seqs: SeqRanges
    blob_class: BlobClass
    variant: int
    size_bytes: int

    def blobs(self) -> list[Brought]:
        """Each of them."""
        log, variant, size_bytes = self.log, self.variant, self.size_bytes
        return [
            Brought(
                log_of(log),
                seq,
                self.blob_class,
                content_of(log, seq, variant=variant, size_bytes=size_bytes),
            )
            for seq in self.seqs.numbers()
        ]


async def deposit(machine: Machine, bringing: Bringing, truth: Truth) -> None:
    """Brings blobs to a mailbox; nothing when it does not run, or ends meanwhile."""
    process = machine.process
    if process is not None:
        bringing_in = hand_in(machine, process, bringing.blobs(), truth)
        await asyncio.wait([process.owner.start(bringing_in)])


async def hand_in(
    machine: Machine, process: Process, blobs: Sequence[Brought], truth: Truth
) -> list[Brought]:
    """Deposits `blobs`, those of each class in a request of their own; what was accepted."""
    accepted: list[Brought] = []
    for blob_class in BlobClass:
        part = [blob for blob in blobs if blob.blob_class is blob_class]
        for blob in part:
            truth.deposited(machine.name, blob.log.key, blob.seq, content_hash(blob.data))
        try:
            if part:
                await _deposit(machine, process, part)
                accepted += part
        except MeshboxError:
            """The phone is told, and brings it again or not."""
        finally:
            for blob in part:
                truth.answered(blob.log.key, blob.seq, content_hash(blob.data))
    return accepted


async def _deposit(machine: Machine, process: Process, blobs: Sequence[Brought]) -> None:
    """All of one class."""
    if blobs[0].blob_class is BlobClass.VERIFIED:
        await process.store.commit(Deposit(_verified(machine, process, blobs)))
    else:
        brought = [ClientBlob(b.log.topic, b.log.author, b.seq, b.data) for b in blobs]
        await process.mailbox.deposit(brought, client="a phone")


def _verified(machine: Machine, process: Process, blobs: Sequence[Brought]) -> list[NewBlob]:
    origin = Origin(node_key_of(machine.node_id), b"sign")
    now_ms = process.store.now_ms()
    return [NewBlob(b.log, b.seq, b.blob_class, now_ms, origin, b.data) for b in blobs]
