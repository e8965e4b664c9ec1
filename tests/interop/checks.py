"""Demands on answers. Each says in a sentence what is wrong, or nothing."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.interop.bodies import filled, filled_value
from tests.interop.row import Answer, Scene

_EXCERPT_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Status:
    """One of these statuses."""

    statuses: tuple[int, ...]

    def fault(self, answer: Answer, scene: Scene) -> str | None:
        del scene
        if answer.status in self.statuses:
            return None
        wanted = " or ".join(map(str, self.statuses))
        return f"status {answer.status} instead of {wanted}"


@dataclass(frozen=True, slots=True)
class Success:
    """Any 2xx: all that the apps look at."""

    def fault(self, answer: Answer, scene: Scene) -> str | None:
        del scene
        return None if 200 <= answer.status < 300 else f"status {answer.status} instead of 2xx"


@dataclass(frozen=True, slots=True)
class Header:
    """A header that is there once, with this value."""

    name: str
    value: str

    def fault(self, answer: Answer, scene: Scene) -> str | None:
        del scene
        values = answer.header(self.name)
        return None if values == [self.value] else f"{self.name}: {values}, not [{self.value!r}]"


@dataclass(frozen=True, slots=True)
class HeaderTokens:
    """A header whose values, all together, list exactly these words in any order."""

    name: str
    tokens: frozenset[str]

    def fault(self, answer: Answer, scene: Scene) -> str | None:
        del scene
        listed = ",".join(answer.header(self.name)).lower().split(",")
        found = {token.strip() for token in listed if token.strip()}
        return None if found == self.tokens else f"{self.name} lists {sorted(found)}"


@dataclass(frozen=True, slots=True)
class NoHeader:
    """A header that is not there."""

    name: str

    def fault(self, answer: Answer, scene: Scene) -> str | None:
        del scene
        values = answer.header(self.name)
        return f"{self.name} is there: {values}" if values else None


@dataclass(frozen=True, slots=True)
class BodyIs:
    """Exactly this text, byte for byte."""

    text: str

    def fault(self, answer: Answer, scene: Scene) -> str | None:
        wanted = filled(self.text, scene).encode()
        if answer.body == wanted:
            return None
        return f"body {excerpt(answer.body)} instead of {excerpt(wanted)}"


@dataclass(frozen=True, slots=True)
class BodyStarts:
    """Text that begins so; "" is any text but none."""

    prefix: str

    def fault(self, answer: Answer, scene: Scene) -> str | None:
        del scene
        if answer.body.startswith(self.prefix.encode()) and answer.body:
            return None
        return f"body {excerpt(answer.body)} does not begin {self.prefix!r}"


@dataclass(frozen=True, slots=True)
class JsonIs:
    """JSON of exactly this value; the order of members does not count, that of lists does."""

    value: Any

    def fault(self, answer: Answer, scene: Scene) -> str | None:
        found, wanted = parsed(answer), filled_value(self.value, scene)
        if found == wanted:
            return None
        return f"body {excerpt(answer.body)} instead of {excerpt(json.dumps(wanted))}"


@dataclass(frozen=True, slots=True)
class JsonHas:
    """JSON of which something holds; `holds` gets the value and a function that fills names in."""

    says: str
    holds: Callable[[Any, Callable[[str], str]], bool]

    def fault(self, answer: Answer, scene: Scene) -> str | None:
        try:
            fulfilled = self.holds(parsed(answer), lambda text: filled(text, scene))
        except (KeyError, TypeError, ValueError, IndexError, AttributeError):
            fulfilled = False
        return None if fulfilled else f"not so: {self.says}; body {excerpt(answer.body)}"


@dataclass(frozen=True, slots=True)
class SameAsBefore:
    """A member that has, in every answer of one play that is asked for it, the same text."""

    member: str

    def fault(self, answer: Answer, scene: Scene) -> str | None:
        value = parsed(answer)
        found = value.get(self.member) if isinstance(value, dict) else None
        if isinstance(found, str) and scene.remembered.setdefault(self.member, found) == found:
            return None
        return f"{self.member} is {found!r}, before it was {scene.remembered.get(self.member)!r}"


def parsed(answer: Answer) -> Any:
    """The body as JSON, or None."""
    try:
        return json.loads(answer.body)
    except ValueError:
        return None


def excerpt(text: bytes | str) -> str:
    """The beginning of a body, for people."""
    shown = repr(text[: _EXCERPT_CHARACTERS + 1])
    return shown if len(text) <= _EXCERPT_CHARACTERS else f"{shown}… ({len(text)} in all)"


def is_mailbox_id(health: Any) -> bool:
    """Whether /health names one Ed25519 key in both its forms, as 0.19 and later demand."""
    endpoint_id, address = health["endpoint_id"], health["endpoint_addr"]
    try:
        key = base64.b64decode(endpoint_id + "=", altchars=b"-_", validate=True)
    except binascii.Error:
        return False
    return (
        len(endpoint_id) == 43
        and base64.urlsafe_b64encode(key).rstrip(b"=").decode() == endpoint_id
        and address["id"] == key.hex()
        and isinstance(address["addrs"], list)
        and is_curve_point(key)
    )


def is_curve_point(key: bytes) -> bool:
    """Whether 32 bytes are a point of edwards25519 (RFC 8032, 5.1.3): iroh refuses others."""
    p = 2**255 - 19
    d = -121665 * pow(121666, -1, p) % p
    y = int.from_bytes(key, "little") & (2**255 - 1)
    square = (y * y - 1) * pow(d * y * y + 1, -1, p) % p
    return y < p and (square == 0 or pow(square, (p - 1) // 2, p) == 1)


OK = Success()
EMPTY = (BodyIs(""), NoHeader("content-type"))
JSON_TYPE = Header("content-type", "application/json")
TEXT_TYPE = Header("content-type", "text/plain; charset=utf-8")
VARY = HeaderTokens(
    "vary",
    frozenset({"origin", "access-control-request-method", "access-control-request-headers"}),
)
CORS = (
    Header("access-control-allow-origin", "*"),
    Header("access-control-expose-headers", "*"),
    VARY,
)
PREFLIGHT = (
    Status((200,)),
    BodyIs(""),
    Header("access-control-allow-origin", "*"),
    Header("access-control-allow-methods", "*"),
    Header("access-control-allow-headers", "*"),
    NoHeader("access-control-allow-credentials"),
    NoHeader("access-control-max-age"),
    VARY,
)


def status(*statuses: int) -> Status:
    """Shorter to read in rows."""
    return Status(statuses)
