"""Bodies of requests: text with placeholders, JSON, padding up to a size, signed reports."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.interop.row import Scene

_PLACEHOLDER = re.compile(r"\$([abctuv])")


def filled(text: str, scene: Scene) -> str:
    """`text` with the scene's names for its placeholders."""
    return _PLACEHOLDER.sub(lambda match: scene.names[match[1]], text)


def filled_value(value: Any, scene: Scene) -> Any:
    """A JSON value with the scene's names, in keys too; numbers as keys become text."""
    if isinstance(value, str):
        return filled(value, scene)
    if isinstance(value, dict):
        return {filled(str(key), scene): filled_value(item, scene) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [filled_value(item, scene) for item in value]
    return value


@dataclass(frozen=True, slots=True)
class Text:
    """Exactly this text."""

    text: str

    def render(self, scene: Scene) -> bytes:
        return filled(self.text, scene).encode()


@dataclass(frozen=True, slots=True)
class Octets:
    """Exactly these bytes."""

    octets: bytes

    def render(self, scene: Scene) -> bytes:
        del scene
        return self.octets


@dataclass(frozen=True, slots=True)
class Json:
    """A value as compact JSON."""

    value: Any

    def render(self, scene: Scene) -> bytes:
        value = filled_value(self.value, scene)
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Padded:
    """A value as JSON, followed by spaces up to `size_bytes`."""

    value: Any
    size_bytes: int

    def render(self, scene: Scene) -> bytes:
        return Json(self.value).render(scene).ljust(self.size_bytes)


@dataclass(frozen=True, slots=True)
class Chunked:
    """Another body in chunks of the given size, then what ends it."""

    body: Json | Padded
    chunk_bytes: int = 1 << 20
    end: bytes = b"0\r\n\r\n"

    def render(self, scene: Scene) -> bytes:
        whole = self.body.render(scene)
        starts = range(0, len(whole), self.chunk_bytes)
        pieces = (whole[start : start + self.chunk_bytes] for start in starts)
        return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report of devices as an app signs it; `changes` are made after signing."""

    devices: tuple[str, ...] = ("07" * 32,)
    minutes_off: float = 0
    changes: tuple[tuple[str, Any], ...] = ()

    def render(self, scene: Scene) -> bytes:
        key = Ed25519PrivateKey.from_private_bytes(b"\x05" * 32)
        timestamp = scene.now_ms + round(self.minutes_off * 60_000)
        signed = b"dashchat/report/v1" + len(self.devices).to_bytes(8, "big")
        signed += b"".join(map(bytes.fromhex, self.devices))
        signed += timestamp.to_bytes(8, "big", signed=True)
        report: dict[str, Any] = {
            "reported_device_ids": list(self.devices),
            "timestamp": timestamp,
            "reporter_pubkey": key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex(),
            "signature": key.sign(signed).hex(),
        }
        return json.dumps(report | dict(self.changes)).encode()
