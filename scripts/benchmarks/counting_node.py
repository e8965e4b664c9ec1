"""A node whose frames are counted, by kind.

    python -m scripts.benchmarks.counting_node FOLDER [PEER]

The store, the sync service and gRPC with TLS are a node's; streams are wrapped, so that what is
counted are the frames as they are given to gRPC and taken from it. Prints a ready line; then
answers each line of its input with a line of JSON, and ends with its input:

    fill LOGS BLOBS   stores as many blobs of `BLOB_BYTES` in each of as many logs, from seq 0
    add LOGS BLOBS    stores one more blob in each of as many of these logs
    counts            what it holds, and the bytes of all frames until now
    digest            of all that it holds (admin/inventory.py)
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from meshbox.admin.inventory import inventory
from meshbox.admin.status import rss_bytes
from meshbox.core.address import Endpoint, parse_address
from meshbox.core.ids import (
    BlobClass,
    LogId,
    Namespace,
    NodeId,
    Origin,
    node_key_of,
    parse_author,
    parse_topic,
)
from meshbox.core.retention import RETENTION_MAX_MS
from meshbox.mailbox.system_clock import OperatingSystemClock
from meshbox.node.loop_watch import LoopWatch
from meshbox.node.opening import Opened, open_folder
from meshbox.storage.interface import Deposit, NewBlob
from meshbox.sync.service import SyncService
from meshbox.sync.transport import Answer, FrameStream, GrpcTransport
from meshbox.wire.v1 import sync_pb2 as pb
from scripts.benchmarks.loop import run
from scripts.benchmarks.requests import logs

BLOB_BYTES: Final = 32
TOPICS: Final = 50
_COMMIT_BLOBS: Final = 500


class CountedStream:
    """A stream whose frames are counted."""

    def __init__(self, stream: FrameStream, counts: Counter[str]) -> None:
        self._stream = stream
        self._counts = counts

    @property
    def dialler_host(self) -> str | None:
        return self._stream.dialler_host

    async def read(self) -> bytes | None:
        frame = await self._stream.read()
        if frame is not None:
            self._count("in", frame)
        return frame

    async def write(self, frame: bytes) -> None:
        self._count("out", frame)
        await self._stream.write(frame)

    async def close_writing(self) -> None:
        await self._stream.close_writing()

    def _count(self, direction: str, frame: bytes) -> None:
        kind = pb.Frame.FromString(frame).WhichOneof("body")
        self._counts[f"{direction}.{kind}"] += len(frame)
        self._counts[f"{direction}.{kind}.frames"] += 1


class CountedTransport:
    """gRPC, with streams that are counted."""

    def __init__(self, transport: GrpcTransport) -> None:
        self._transport = transport
        self.counts: Counter[str] = Counter()

    @property
    def leaf_fingerprint(self) -> bytes:
        return self._transport.leaf_fingerprint

    async def listen(self, answer: Answer, endpoint: Endpoint) -> Endpoint:
        async def counted(stream: FrameStream) -> str | None:
            return await answer(CountedStream(stream, self.counts))

        return await self._transport.listen(counted, endpoint)

    @asynccontextmanager
    async def dial(
        self, node_id: NodeId, endpoint: Endpoint, *, is_far: bool = False
    ) -> AsyncIterator[FrameStream]:
        async with self._transport.dial(node_id, endpoint, is_far=is_far) as stream:
            yield CountedStream(stream, self.counts)

    async def stop(self, *, grace_s: float) -> None:
        await self._transport.stop(grace_s=grace_s)


class CountingNode:
    """Answers the lines of its input."""

    def __init__(self, opened: Opened, counts: Counter[str], watch: LoopWatch) -> None:
        self._opened = opened
        self._counts = counts
        self._watch = watch

    async def answer(self, line: str) -> dict[str, Any]:
        """The document that answers `line`."""
        command, *numbers = line.split()
        store = self._opened.store
        if command == "fill":
            count, blobs = map(int, numbers)
            await self._store(count, range(blobs))
        elif command == "add":
            count, blobs = map(int, numbers)
            await self._store(count, range(blobs, blobs + 1))
        elif command == "digest":
            return {"digest": (await inventory(store)).digest}
        held = await store.statistics()
        return {
            "blobs": held.blobs,
            "frames": self._counts,
            "loop_held_ms": self._watch.held_ms_max,
            "rss_mb": rss_bytes() / 1e6,
        }

    async def _store(self, count: int, seqs: range) -> None:
        origin = Origin(node_key_of(self._opened.identity.node_id), bytes(4))
        now_ms = self._opened.store.now_ms()
        batch: list[NewBlob] = []
        for log in logs(count, label="strangers", topics=TOPICS):
            log_id = LogId(Namespace.LOGS, parse_topic(log.topic), parse_author(log.author))
            for seq in seqs:
                data = seq.to_bytes(BLOB_BYTES, "big")
                batch.append(NewBlob(log_id, seq, BlobClass.OPAQUE, now_ms, origin, data))
                if len(batch) == _COMMIT_BLOBS:
                    await self._opened.store.commit(Deposit(batch))
                    batch = []
        await self._opened.store.commit(Deposit(batch))


async def serve(folder: Path, peer: str | None) -> None:
    """Runs until its input ends, or SIGTERM."""
    opened = await open_folder(
        folder, system_clock=OperatingSystemClock(), retention_ms=RETENTION_MAX_MS
    )
    transport = CountedTransport(GrpcTransport(opened.identity))
    service = SyncService(
        store=opened.store,
        identity=opened.identity,
        transport=transport,
        rng=random.SystemRandom(),
        node_version="bench",
        log=lambda *_, **__: None,
    )
    bound = await service.start(Endpoint("127.0.0.1", 0))
    watch = LoopWatch()
    watch.start()
    if peer is not None:
        address = parse_address(peer)
        service.peer_found(address.node_id, address.endpoints, "static")
    _tell({"node_id": opened.identity.node_id, "sync": str(bound)})
    node = CountingNode(opened, transport.counts, watch)
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    loop.add_signal_handler(signal.SIGTERM, lines.feed_eof)
    while line := (await lines.readline()).decode():
        _tell(await node.answer(line))
    await service.stop()
    watch.stop()
    await opened.store.close()


def _tell(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    data_dir = Path(sys.argv[1])
    data_dir.mkdir(parents=True, exist_ok=True)
    run(serve(data_dir, sys.argv[2] if len(sys.argv) > 2 else None))
