"""Requests as the apps of every generation send them: what `mutations.py` begins with.

Ids and numbers come from small pools, so that requests meet each other's logs.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from typing import Any, Final, NamedTuple


class Request(NamedTuple):
    """A request before it is written: what a header game must know of it."""

    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def written(self) -> bytes:
        """As it goes over the wire, with the length that it has."""
        length = ((b"content-length", b"%d" % len(self.body)),) if self.method == "POST" else ()
        return self.written_with((*self.headers, *length), self.body)

    def written_with(self, headers: tuple[tuple[bytes, bytes], ...], body: bytes) -> bytes:
        """With other headers, and a body as it is."""
        lines = b"".join(b"%s: %s\r\n" % header for header in headers)
        return b"%s %s HTTP/1.1\r\n%s\r\n%s" % (
            self.method.encode(),
            self.target.encode(),
            lines,
            body,
        )


_HOST: Final = (b"host", b"mailbox:3000")
_JSON: Final = (_HOST, (b"content-type", b"application/json"))
_POOL: Final = 6
_SEQS: Final = (0, 1, 2, 3, 7, 100, 10_000, 2**31, 2**53, 2**63, 2**64 - 1)


def request(chance: random.Random) -> Request:
    """One of those that apps send."""
    return chance.choice(_MAKERS)(chance)


def document(chance: random.Random) -> Any:
    """The JSON of one that has a body."""
    return json.loads(chance.choice(_WITH_BODY)(chance).body)


def _post(path: str, body: Any) -> Request:
    return Request("POST", path, _JSON, json.dumps(body, separators=(",", ":")).encode())


def _topic(chance: random.Random) -> str:
    return f"{chance.randrange(_POOL):064x}"


def _blob(chance: random.Random) -> str:
    size = chance.choice([0, 1, 10, 200, 2_000])
    return base64.b64encode(chance.randbytes(size)).decode()


def _tree(chance: random.Random, leaf: Callable[[], Any]) -> dict[str, Any]:
    return {
        _topic(chance): {
            _topic(chance): {str(chance.choice(_SEQS)): leaf() for _ in range(chance.randint(0, 3))}
            for _ in range(chance.randint(0, 2))
        }
        for _ in range(chance.randint(0, 2))
    }


def _heights(chance: random.Random) -> dict[str, Any]:
    return {
        _topic(chance): {_topic(chance): chance.choice(_SEQS) for _ in range(chance.randint(0, 3))}
        for _ in range(chance.randint(0, 3))
    }


def _health(chance: random.Random) -> Request:
    return Request(chance.choice(["GET", "HEAD", "OPTIONS"]), "/health", (_HOST,), b"")


def _store_message(chance: random.Random) -> Request:
    return _post("/messages/store", {"topic_id": _topic(chance), "message": _blob(chance)})


def _get_messages(chance: random.Random) -> Request:
    return _post("/messages/get", {"topic_ids": [_topic(chance) for _ in range(2)]})


def _store_blobs(chance: random.Random) -> Request:
    return _post("/blobs/store", {"blobs": _tree(chance, lambda: _blob(chance))})


def _get_blobs(chance: random.Random) -> Request:
    return _post("/blobs/get", {"topics": _heights(chance)})


def _store_blips(chance: random.Random) -> Request:
    def leaf() -> Any:
        plain = _blob(chance)
        return plain if chance.random() < 0.7 else {"blip": plain, "scrub_hash": None}

    body: dict[str, Any] = {"blips": _tree(chance, leaf)}
    if chance.random() < 0.5:
        body |= {"sender_pubkey": _topic(chance), "signature": [1, 2, 255], "blob_hashes": ["ab"]}
    return _post("/blips/store", body)


def _get_blips(chance: random.Random) -> Request:
    return _post("/blips/get", {"topics": _heights(chance)})


def _register_hashes(chance: random.Random) -> Request:
    body = {"blob_hashes": [_topic(chance)], "sender_pubkey": None, "expect_upload": True}
    return _post(chance.choice(["/blobs/register-hashes", "/blobs/store"]), body)


def _register_peer(chance: random.Random) -> Request:
    return _post("/peers/register", {"addr": {"id": _topic(chance), "addrs": []}})


def _report(chance: random.Random) -> Request:
    body = {
        "reported_device_ids": [_topic(chance)],
        "timestamp": chance.choice([0, -1, 1_800_000_000_000, 2**63]),
        "reporter_pubkey": _topic(chance),
        "signature": "0" * 128,
    }
    return _post("/report", body)


def _upload(chance: random.Random) -> Request:
    kind = (b"content-type", b"application/octet-stream")
    return Request("POST", "/blobs/upload", (_HOST, kind), chance.randbytes(100))


_WITH_BODY: Final[tuple[Callable[[random.Random], Request], ...]] = (
    *(_store_message, _get_messages, _store_blobs, _get_blobs, _store_blips, _get_blips),
    *(_register_hashes, _register_peer, _report),
)
_MAKERS: Final = (*_WITH_BODY, _health, _upload)
