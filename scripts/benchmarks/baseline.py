"""What a deposit costs without group commit: a server that makes each request durable by itself.

    python -m scripts.benchmarks.baseline FOLDER rocksdb|fdatasync

The same HTTP library, event loop and JSON decoding as a node, no rules at all, and one durable
write a request: RocksDB with sync, or an append and an fdatasync. Prints {"http": HOST:PORT}.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from aiohttp import web
from rocksdict import Options, Rdict, WriteOptions

from meshbox.wire.json_logs import STORE_BLIPS_BODY, STORE_BODY, BlobTree, blobs_of
from scripts.benchmarks.loop import run
from scripts.benchmarks.requests import DIALECTS

Write = Callable[[bytes, bytes], None]

_ANSWER: Final = b'{"watermarks":{}}'


def rocksdb_write(folder: Path) -> Write:
    """One write with sync into a database of its own."""
    database = Rdict(str(folder / "database"), Options(raw_mode=True))
    options = WriteOptions()
    options.sync = True
    return lambda key, value: database.put(key, value, options)


def fdatasync_write(folder: Path) -> Write:
    """One append to a file, and an fdatasync."""
    sync = getattr(os, "fdatasync", os.fsync)
    descriptor = os.open(folder / "file", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def write(key: bytes, value: bytes) -> None:
        os.write(descriptor, key + value)
        sync(descriptor)

    return write


WRITES: Final = {"rocksdb": rocksdb_write, "fdatasync": fdatasync_write}


def _tree(path: str, body: bytes) -> BlobTree:
    if path == DIALECTS["blips"].store:
        return STORE_BLIPS_BODY.decode(body).blips
    tree = STORE_BODY.decode(body).blobs
    assert not isinstance(tree, msgspec.UnsetType), "what a benchmark sends"
    return tree


async def serve(write: Write) -> None:
    """Serves stores on a free port of loopback until SIGTERM."""

    async def store(request: web.BaseRequest) -> web.Response:
        for topic, author, seq, text in blobs_of(_tree(request.path, await request.read())):
            blob = base64.b64decode(bytes(text)[1:-1], validate=True)
            write(f"{topic}/{author}/{seq}".encode(), blob)
        return web.Response(status=201, body=_ANSWER, content_type="application/json")

    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(web.Server(store, access_log=None), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    sys.stdout.write(json.dumps({"http": f"{host}:{port}"}) + "\n")
    sys.stdout.flush()
    await stop.wait()
    server.close()


if __name__ == "__main__":
    folder, kind = sys.argv[1:]
    run(serve(WRITES[kind](Path(folder))))
